"""The events that flow from an engine to the terminal, the library and the caller.

Engines yield `Piece`s, `split_thinking` labels them and yields `Chunk`s; the ways of writing add
what the text consists of (`Planned`, `ChapterStart`, `Inserted`), and every stream ends with
exactly one `Finish`. This module knows nothing of models, files or terminals.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, chain, groupby, pairwise
from typing import Any, Literal, Self

from polaris_cli.errors import PolarisError

Kind = Literal["thinking", "story"]
Reason = Literal["stop", "length", "loop", "interrupted", "error"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text just decoded by an engine, not yet known to be thinking or story.

    `tokens` is how many model tokens it took (0 when the engine cannot tell), `ids` those tokens
    where the engine has them. `kind` is set only by engines that deliver thinking in a field of
    its own (some servers); elsewhere the tags in the text decide.
    """

    text: str
    tokens: int = 1
    kind: Kind | None = None
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A bit of thinking or of story, with the tokens it took. `text` may be empty."""

    kind: Kind
    text: str
    tokens: int = 0
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Inserted:
    """Text of the story that the model did not write just now.

    A draft is the user's, a heading and a scene break are ours, an ending is the model's, moved to
    the end of the story. `ids` are the tokens by which the model has read it, if it has.
    """

    kind: Literal["draft", "heading", "scene break", "ending"]
    text: str
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ChapterStart:
    """From here on the stream is about the chapter of this number, from 1."""

    number: int
    title: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The answer so far was dropped, and the model starts it again: its `attempt`-th new one."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a stream.

    stop: the model ended by itself; length: a token limit was reached; loop: degenerate
    repetition; interrupted: the user or a signal stopped it; error: `error` says what happened.
    `prompt_tokens` is the length of the prompt in tokens (0 when unknown), `extended` how often
    the story was made to go on after an early end.
    """

    reason: Reason
    prompt_tokens: int = 0
    error: PolarisError | None = None
    extended: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """Story text that is written but may yet be set aside; replaces the one held before.

    It is not part of the story as shown, and is kept in case the process ends here.
    """

    chunks: tuple[Chunk, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """One chapter: its title, the words it is to have, and what happens in it."""

    title: str
    words: int
    summary: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a story in chapters."""

    title: str
    cast: str
    chapters: tuple[Chapter, ...]

    @property
    def words(self) -> int:
        """The words of all chapters together."""
        return sum(chapter.words for chapter in self.chapters)

    def shared(self, words: int) -> Self:
        """The same plan with its shares scaled so that together they are `words`."""
        sums = accumulate((chapter.words for chapter in self.chapters), initial=0)
        bounds = pairwise(round(words * part / self.words) for part in sums)
        scaled = (max(1, end - start) for start, end in bounds)
        pairs = zip(self.chapters, scaled, strict=True)
        return replace(self, chapters=tuple(replace(ch, words=n) for ch, n in pairs))

    def as_lines(self) -> str:
        """The plan in the lines that models are asked for."""
        lines = [f"Title: {self.title}", f"Cast: {self.cast}"]
        lines += [
            f"{number}. {chapter.title} | {chapter.words} words | {chapter.summary}"
            for number, chapter in enumerate(self.chapters, 1)
        ]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON types."""
        return {**asdict(self), "chapters": [asdict(chapter) for chapter in self.chapters]}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """The plan of `as_dict`. Raises KeyError or TypeError for anything else."""
        chapters = tuple(Chapter(**chapter) for chapter in record["chapters"])
        return cls(record["title"], record["cast"], chapters)


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan that the chapters to come follow; `note` says where it is not the model's."""

    plan: Plan
    note: str = ""


RawEvent = Piece | Finish
AnswerEvent = Chunk | Finish
Event = AnswerEvent | Inserted | ChapterStart | Restart | Planned | Held


def as_chunk(event: Event) -> Chunk | None:
    """What an event adds to the text: its own, or the break between two pieces of thinking."""
    match event:
        case Chunk():
            return event
        case Inserted():
            return Chunk("story", event.text, ids=event.ids)
        case ChapterStart() | Restart():
            return Chunk("thinking", "\n\n")
    return None


def text_of(event: Event, kind: Kind = "story") -> str:
    """The text that an event adds to the story, or to the thinking; "" for none."""
    chunk = as_chunk(event)
    return chunk.text if chunk and chunk.kind == kind else ""


@contextmanager
def closing(events: Iterator[RawEvent] | Iterator[Event]) -> Iterator[None]:
    """Close `events` on the way out where it can be closed: a generator, and so the engine."""
    try:
        yield
    finally:
        if close := getattr(events, "close", None):
            close()


def merged(events: Iterable[Event]) -> Iterator[Event]:
    """The same events with neighbouring chunks of one kind joined."""

    def kind_of(event: Event) -> object:
        return event.kind if isinstance(event, Chunk) else event

    for _, group in groupby(events, key=kind_of):
        run = list(group)
        chunks = [event for event in run if isinstance(event, Chunk)]
        yield from [_joined(chunks)] if chunks else run


def _joined(chunks: list[Chunk]) -> Chunk:
    text = "".join(chunk.text for chunk in chunks)
    ids = tuple(chain.from_iterable(chunk.ids for chunk in chunks))
    return Chunk(chunks[0].kind, text, sum(chunk.tokens for chunk in chunks), ids)
