"""Splits thinking from story: `split_thinking`, with one rule for all engines.

Knows the tags `<think>` and `</think>`, and those that work the same way: `[THINK]` and `[/THINK]`
(Magistral, Ministral), `<|channel>thought` and `<channel|>` (Gemma 4), and `<thinking>`, which
models without a chat template's tags write, and which may also end at `</thinking>`. Does not know
about models or the terminal.

The rule does not depend on how the text is cut into pieces:

- Thinking comes first. It starts at once if the prompt has opened it, else at an opening tag with
  only white space before it, and ends at the next closing tag. A block directly after it is
  thinking too; blocks are joined by one empty line. A second opening tag at the start of a block
  and a second closing tag after it are dropped.
- From its first character on, the story is exactly the model's text, including any tags.
- Thinking that is never closed lasts to the end. If it is unknown whether the prompt has opened
  it, all text is held back until the first closing tag: the text before it is thinking;
  without one, all of it is story.
- A piece with a `kind` is labelled already: tags have no meaning in labelled thinking, but labelled
  story may still start with tags.
- White space is trimmed around thinking, and from the start of a story after a tag or thinking.
  Only spaces, tabs and line breaks count: the wide space that indents a Japanese paragraph is part
  of the story.

Tokens are counted with the first chunk from their piece. A piece without text gives an empty chunk,
which is thinking until the story starts, and so does one that is held back, so that its reader can
stop between two pieces.
"""

from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import Literal

from polaris_cli.events import AnswerEvent, Chunk, Finish, Kind, Piece, RawEvent, closing

Ends = tuple[str, ...]

OPENS = ("<think>", "[THINK]", "<|channel>thought")
CLOSES: Ends = ("</think>", "[/THINK]", "<channel|>")
TAG_TOKENS = ("<think>", "[THINK]", "<|channel>", *CLOSES)
"""The tokens in these tags; a model has those of one kind, or none."""

TAGS: dict[str, Ends] = {
    **dict.fromkeys(OPENS, CLOSES),
    "<thinking>": ("</thinking>", *CLOSES),
}
CLOSING_TAGS = (*CLOSES, "</thinking>")

_SPACE = " \t\r\n"
_State = Literal[
    "start",  # only white space so far, and no tag
    "unknown",  # text that is thinking if a closing tag follows
    "opening",  # in a block, only white space so far
    "thinking",  # in a block
    "field",  # in labelled thinking
    "between",  # after a block, only white space so far
    "story",
]
_Labelled = Iterator[tuple[Kind, str]]


def closing_tag(is_token: Callable[[str], bool]) -> str:
    """The tag that closes a model's thinking: the one that is a token of it, else `</think>`."""
    return next(filter(is_token, CLOSES), CLOSES[0])


def as_written(tag: str) -> str:
    """A closing tag with the line breaks that chat templates write around it."""
    return f"\n{tag}\n\n"


def ends_inside(prompt: str) -> bool:
    """Whether a prompt ends inside the thinking, so that the answer starts with thinking."""
    return max(map(prompt.rfind, OPENS)) > max(map(prompt.rfind, CLOSES))


def split_thinking(events: Iterator[RawEvent], *, opened: bool | None) -> Iterator[AnswerEvent]:
    """Label the text of `events` as thinking or story; the `Finish` is the last event.

    `opened` says whether the prompt has opened the thinking; with None (unknown), unlabelled text
    is held back until a tag or the end. Held text is yielded piece by piece, at the end and before
    an exception from `events` is raised. The number and order of tokens and ids do not change. When
    the generator ends or is closed, it closes `events`.
    """
    splitter = Splitter(opened)
    finish: Finish | None = None
    with closing(events):
        try:
            for event in events:
                if isinstance(event, Finish):
                    finish = event
                    break
                yield from splitter.feed(event)
        except (Exception, KeyboardInterrupt):
            yield from splitter.flush()
            raise
    yield from splitter.flush()
    if finish:
        yield finish


class Splitter:
    """Applies the rule piece by piece; `split_thinking` applies it to a stream."""

    def __init__(self, opened: bool | None) -> None:
        self._state: _State = "opening" if opened else "start"
        self._certain = opened is not None
        self._label: Kind | None = None  # of the last text
        self._story_started = False
        self._tail = ""  # the start of a possible tag
        self._ends = CLOSES  # the tags that end the block
        self._held: list[str] = []  # white space at the start, or text in the state "unknown"
        self._block = _Blocks()
        self._tokens = 0
        self._ids: list[int] = []
        self._log_probs: list[float] = []

    @property
    def inside(self) -> bool:
        """Whether the next text is thinking, as far as is known."""
        return self._state in ("opening", "thinking", "field")

    def feed(self, piece: Piece) -> Iterator[Chunk]:
        """Add a piece; yield the chunks whose label is certain."""
        self._tokens += piece.tokens
        self._ids += piece.ids
        self._log_probs += piece.log_probs
        if not piece.text and piece.kind:
            yield self._chunk(piece.kind, "")
            return
        no_text = True
        if piece.text:
            for kind, text in chain(self._follow_label(piece.kind), self._read(piece.text)):
                no_text = False
                yield self._chunk(kind, text)
        if no_text and self._state == "unknown":
            yield Chunk("thinking", "", 0)
        elif no_text and self._state != "start":
            yield self._chunk("story" if self._story_started else "thinking", "")

    def flush(self) -> Iterator[Chunk]:
        """Yield the held text, and a chunk for tokens that are not in any chunk yet."""
        for kind, text in self._release_held(at_end=True):
            yield self._chunk(kind, text)
        if self._tokens or self._ids:
            yield self._chunk("story", "")

    def _chunk(self, kind: Kind, text: str) -> Chunk:
        chunk = Chunk(kind, text, self._tokens, tuple(self._ids), tuple(self._log_probs))
        self._tokens = 0
        self._ids, self._log_probs = [], []
        return chunk

    def _follow_label(self, kind: Kind | None) -> _Labelled:
        """Leave a state that ends when the label changes to `kind`."""
        if kind == self._label:
            return
        self._label = kind
        self._certain = self._certain or kind is not None
        if kind == "thinking":
            yield from self._release_held()
            self._state = "field"
        elif self._state == "field":
            self._leave_block()
        elif kind == "story" and self._state in ("opening", "thinking", "unknown"):
            yield from self._release_held()
            self._leave_block()

    def _leave_block(self) -> None:
        self._block.end()
        self._state = "story" if self._story_started else "between" if self._block.any else "start"

    def _release_held(self, *, at_end: bool = False) -> _Labelled:
        """Yield the held text, as no tag can follow that would change its label."""
        text, self._tail = self._tail, ""
        if self._state in ("opening", "thinking", "field"):
            yield from self._block.add(text)
            self._block.end()
            return
        held, self._held = self._held, []
        if not (text or at_end or self._state == "unknown"):
            held = []
        for part in filter(None, (*held, text)):
            self._story_started = True
            yield "story", part

    def _read(self, text: str) -> _Labelled:
        text, self._tail = self._tail + text, ""
        while text:
            if self._state == "story":
                self._story_started = True
                yield "story", text
                return
            if self._state == "field":
                yield from self._block.add(text)
                return
            if self._state in ("thinking", "unknown"):
                text = yield from self._to_closing_tag(text)
            else:
                text = self._read_front(text)

    def _read_front(self, text: str) -> str:
        """Remove a tag and white space from the start of the text; return the rest."""
        body = text.lstrip(_SPACE)
        if self._state == "start":
            self._held.append(text[: len(text) - len(body)])
        tags = (*TAGS, *(self._ends if self._state == "opening" else CLOSING_TAGS))
        if tag := next(filter(body.startswith, tags), None):
            self._held.clear()
            self._ends = TAGS.get(tag, self._ends)
            self._state = "opening" if tag in TAGS else "between"
            return body[len(tag) :]
        if any(tag.startswith(body) for tag in tags):
            self._tail = body
            return ""
        if self._state == "start" and not self._certain:
            self._state = "unknown"
        elif self._state == "opening":
            self._state = "thinking"
        else:
            self._state = "story"
            body = "".join(self._held) + body
            self._held.clear()
        return body

    def _to_closing_tag(self, text: str) -> Generator[tuple[Kind, str], None, str]:
        """Yield the text of the block; return the text after its closing tag."""
        tag = min((end for end in self._ends if end in text), key=text.index, default="")
        body, _, rest = text.partition(tag) if tag else (text, "", "")
        if not tag:
            body, self._tail = _before_partial_tag(body, self._ends)
        if self._state == "unknown":
            self._held.append(body)
            body = ""
            if tag:
                body = "".join(self._held)
                self._held.clear()
        yield from self._block.add(body)
        if tag:
            self._block.end()
            self._state = "between"
        return rest


def _before_partial_tag(text: str, tags: Ends) -> tuple[str, str]:
    """Split off the end of `text` if it may be the start of one of the tags."""
    for at in range(max(len(text) - max(map(len, tags)), 0), len(text)):
        if any(tag.startswith(text[at:]) for tag in tags):
            return text[:at], text[at:]
    return text, ""


class _Blocks:
    """Trims the white space around blocks of thinking and joins them."""

    def __init__(self) -> None:
        self.any = False  # whether any block had text
        self._in_text = False  # whether this block had text
        self._space: list[str] = []  # dropped if the block ends here

    def add(self, text: str) -> _Labelled:
        """Yield the text of a block, without white space that may be at its end."""
        if not self._in_text:
            text = text.lstrip(_SPACE)
        body = text.rstrip(_SPACE)
        if not body:
            if text:
                self._space.append(text)
            return
        joint = "\n\n" if self.any and not self._in_text else ""
        yield "thinking", joint + "".join(self._space) + body
        self._space = [text[len(body) :]]
        self.any = self._in_text = True

    def end(self) -> None:
        """End the block."""
        self._in_text = False
        self._space.clear()
