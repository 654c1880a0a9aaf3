"""Tell thinking from story: `split_thinking`, one rule for every engine.

Knows the tags `<think>` and `</think>`, and nothing of models, words or terminals.

The rule, the same however the text is cut into pieces:

- Thinking stands at the front. It begins at once where the prompt has opened it, else at a
  `<think>` that only white space precedes, and ends at the next `</think>`. A further block right
  behind it is thinking too; blocks are joined by one empty line. A second opening tag at the front
  of a block and a second closing tag behind it are dropped.
- From its first character on, the story is the model's text byte for byte, tags included.
- Thinking that is never closed is thinking to the end. Where it is unknown whether the prompt
  has opened it, all text waits for the first `</think>`: with one, what came before was thinking;
  without one, all was story.
- A piece whose `kind` is set has been told apart already: in thinking so labelled tags mean
  nothing; story so labelled can still have tags at its front.
- White space is trimmed around thinking, and from the front of a story that a tag or thinking
  precedes; but only spaces, tabs and line breaks: the wide space that indents a Japanese
  paragraph belongs to the story.

Tokens go with the first text that comes out of their piece. A piece that gives no text gives an
empty chunk: of thinking, until the story has begun.
"""

from collections.abc import Generator, Iterator
from itertools import chain
from typing import Literal

from polaris_cli.events import AnswerEvent, Chunk, Finish, Kind, Piece, RawEvent, closing

OPEN, CLOSE = "<think>", "</think>"
CLOSING = f"\n{CLOSE}\n\n"  # what ends the thinking as chat templates write it

_SPACE = " \t\r\n"
_State = Literal[
    "start",  # nothing but white space so far, and no tag
    "unknown",  # text that a closing tag would turn into thinking
    "opening",  # in a block, nothing but white space so far
    "thinking",  # in a block
    "field",  # in thinking that is labelled
    "between",  # behind a block, nothing but white space so far
    "story",
]
_Said = Iterator[tuple[Kind, str]]


def split_thinking(events: Iterator[RawEvent], *, opened: bool | None) -> Iterator[AnswerEvent]:
    """Label the text of `events` as thinking or story, and pass the `Finish` on as the last event.

    `opened` says whether the prompt has opened the thinking; None (unknown) holds unlabelled text
    back until a tag or the end decides. Text held back is given out at the end, and before an
    error of the source goes on. Tokens and ids keep their sums and order. Closing the generator
    closes `events`, and so does its end.
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
    """The rule at work, piece by piece; `split_thinking` is the whole of it."""

    def __init__(self, opened: bool | None) -> None:
        self._state: _State = "opening" if opened else "start"
        self._sure = opened is not None
        self._label: Kind | None = None  # of the last text
        self._begun = False  # the story
        self._tail = ""  # may become a tag
        self._held: list[str] = []  # white space at the start, text while unknown
        self._block = _Blocks()
        self._tokens = 0
        self._ids: list[int] = []

    @property
    def inside(self) -> bool:
        """Whether text that comes next would be thinking, as far as is known."""
        return self._state in ("opening", "thinking", "field")

    def feed(self, piece: Piece) -> Iterator[Chunk]:
        """The chunks that are certain after `piece`."""
        self._tokens += piece.tokens
        self._ids += piece.ids
        if not piece.text and piece.kind:
            yield self._chunk(piece.kind, "")
            return
        silent = True
        if piece.text:
            for kind, text in chain(self._follow_label(piece.kind), self._read(piece.text)):
                silent = False
                yield self._chunk(kind, text)
        if silent and self._state not in ("start", "unknown"):
            yield self._chunk("story" if self._begun else "thinking", "")

    def flush(self) -> Iterator[Chunk]:
        """What was held back, and the tokens that no text has carried."""
        for kind, text in self._let_go(at_end=True):
            yield self._chunk(kind, text)
        if self._tokens or self._ids:
            yield self._chunk("story", "")

    def _chunk(self, kind: Kind, text: str) -> Chunk:
        chunk = Chunk(kind, text, self._tokens, tuple(self._ids))
        self._tokens = 0
        self._ids = []
        return chunk

    def _follow_label(self, kind: Kind | None) -> _Said:
        """Leave a state that cannot go on where the label changes to `kind`."""
        if kind == self._label:
            return
        self._label = kind
        self._sure = self._sure or kind is not None
        if kind == "thinking":
            yield from self._let_go()
            self._state = "field"
        elif self._state == "field":
            self._leave_block()
        elif kind == "story" and self._state in ("opening", "thinking", "unknown"):
            yield from self._let_go()
            self._leave_block()

    def _leave_block(self) -> None:
        self._block.end()
        self._state = "story" if self._begun else "between" if self._block.any else "start"

    def _let_go(self, *, at_end: bool = False) -> _Said:
        """Give out what was held back, since no tag will explain it any more."""
        text, self._tail = self._tail, ""
        if self._state in ("opening", "thinking", "field"):
            yield from self._block.add(text)
            self._block.end()
            return
        if text or at_end or self._state == "unknown":
            text = "".join(self._held) + text
        self._held.clear()
        if text:
            self._begun = True
            yield "story", text

    def _read(self, text: str) -> _Said:
        text, self._tail = self._tail + text, ""
        while text:
            if self._state == "story":
                self._begun = True
                yield "story", text
                return
            if self._state == "field":
                yield from self._block.add(text)
                return
            if self._state in ("thinking", "unknown"):
                text = yield from self._to_closing_tag(text)
            else:
                text = self._front(text)

    def _front(self, text: str) -> str:
        """Take tags and white space off the front, or find that there are none. Gives the rest."""
        body = text.lstrip(_SPACE)
        if self._state == "start":
            self._held.append(text[: len(text) - len(body)])
        if body.startswith((OPEN, CLOSE)):
            self._held.clear()
            opens = body.startswith(OPEN)
            self._state = "opening" if opens else "between"
            return body[len(OPEN if opens else CLOSE) :]
        if OPEN.startswith(body) or CLOSE.startswith(body):
            self._tail = body
            return ""
        if self._state == "start" and not self._sure:
            self._state = "unknown"
        elif self._state == "opening":
            self._state = "thinking"
        else:
            self._state = "story"
            body = "".join(self._held) + body
            self._held.clear()
        return body

    def _to_closing_tag(self, text: str) -> Generator[tuple[Kind, str], None, str]:
        """Take all text up to the end of the block. Gives what is behind its tag."""
        body, tag, rest = text.partition(CLOSE)
        if not tag:
            body, self._tail = _before_partial_tag(body)
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


def _before_partial_tag(text: str) -> tuple[str, str]:
    """Cut off the end of `text` where the closing tag may have begun."""
    at = text.rfind("<")
    if at >= 0 and CLOSE.startswith(text[at:]):
        return text[:at], text[at:]
    return text, ""


class _Blocks:
    """Trims the white space around blocks of thinking and joins them."""

    def __init__(self) -> None:
        self.any = False  # block that had text
        self._in_text = False
        self._space: list[str] = []  # dropped when the block ends here

    def add(self, text: str) -> _Said:
        """The text of a block, but for white space that may be its end."""
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
        """The block is over."""
        self._in_text = False
        self._space.clear()
