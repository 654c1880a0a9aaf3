"""The events of a stream, from an engine to the terminal, the library and the caller.

Engines yield `Piece`s, `split_thinking` labels them and yields `Chunk`s. The length modes add the
events for structure (`Planned`, `ChapterStart`, `Inserted`). Every stream ends with exactly one
`Finish`. Does not know about models, files or the terminal.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, chain, groupby, pairwise
from typing import Any, Literal, Self

from polaris_cli.errors import PolarisError

Kind = Literal["thinking", "plan", "aside", "story"]
KINDS: tuple[Kind, ...] = ("thinking", "plan", "aside", "story")
Reason = Literal["stop", "length", "loop", "decay", "interrupted", "error"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text just decoded by an engine, not yet split into thinking and story.

    `tokens` is the number of tokens (0 if the engine does not know), `ids` their ids if the engine
    has them. `kind` is set only by engines that receive thinking in a separate field (some
    servers); otherwise the tags in the text decide. `log_probs` are the natural logarithms of the
    tokens' probabilities in the model's own distribution, before temperature and penalties, for
    those tokens for which the engine knows them.
    """

    text: str
    tokens: int = 1
    kind: Kind | None = None
    ids: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of thinking, of a plan, of an aside or of the story, with its tokens.

    `text` may be empty. Engines tell thinking from story; what asks for a plan labels the answer as
    one. An aside is what the model says about the story before and after it. `log_probs` are
    those of its tokens, as in `Piece`; they are not stored in the library.
    """

    kind: Kind
    text: str
    tokens: int = 0
    ids: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Inserted:
    """Text of the story that the model did not write at this point.

    A draft is the user's text, headings and scene breaks are added by polaris, an ending is the
    model's text, moved to the end of the story. `ids` are the token ids that the model has read
    for it, if any.
    """

    kind: Literal["draft", "heading", "scene break", "ending"]
    text: str
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ChapterStart:
    """The start of a chapter; `number` counts from 1."""

    number: int
    title: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The answer so far is dropped and the model starts again, for the `attempt`-th time."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Again:
    """The story is continued after an early end ("extended"), or a passage is written again, as it
    decayed or the story became too long ("rewritten").

    A separate event, because a story that is interrupted or killed has no `Finish` to say so.
    """

    what: Literal["extended", "rewritten"]


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a stream.

    stop: the model ended the story; length: a token limit was reached; loop: degenerate
    repetition; decay: no language or no story any more; interrupted: the user or a signal stopped
    it; error: `error` says what happened.
    `prompt_tokens` is the length of the prompt in tokens (0 if unknown). `closed` says that the
    text was ended at its length, after a paragraph or a sentence, before the model ended it.
    """

    reason: Reason
    prompt_tokens: int = 0
    error: PolarisError | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Story text that may still be set aside; replaces the text held before.

    It is recorded in case the process ends here, and shown where it can be taken back: on a
    terminal, but not in a pipe. `given` are the chunks held until now, of which the first come
    next, one by one. `dropped` is the number of tokens of text that was held and will not be in the
    stream.
    """

    chunks: tuple[Chunk, ...] = ()
    given: tuple[Chunk, ...] = ()
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of a plan: its title, its planned length in words, and what happens in it.

    `events` are what happens one by one and in order, if the plan has them; without a summary of
    its own, a chapter has one of the events.
    `added_after` is the number of chapters that were written when this one was added to the plan,
    0 for a chapter of the plan at the start.
    """

    title: str
    words: int
    summary: str
    events: tuple[str, ...] = ()
    added_after: int = 0

    @property
    def own_summary(self) -> str:
        """The summary, "" if it only repeats the events."""
        repeats = self.events and self.summary == summary_of(self.title, self.events)
        return "" if repeats else self.summary

    @property
    def happens(self) -> str:
        """What happens, in one line: the summary, and the events that are not in it."""
        told = self.own_summary.rstrip(". ")
        return f"{told}. {summary_of('', self.events)}" if told and self.events else self.summary


def summary_of(title: str, events: Sequence[str]) -> str:
    """What happens in a chapter without a summary: its events, else what its title says."""
    return ". ".join(event.rstrip(". ") for event in events) or title


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a story in chapters.

    A full plan also has the `place` (and the time), the `arc` of the story, the `facts` that must
    not be forgotten, or the events of each chapter.
    """

    title: str
    cast: str
    chapters: tuple[Chapter, ...]
    place: str = ""
    arc: str = ""
    facts: str = ""

    @property
    def titled(self) -> bool:
        """Whether the chapters have titles: those of the arc have none."""
        return bool(self.chapters[0].title)

    @property
    def is_full(self) -> bool:
        """Whether it has more than a title, a cast and a line for each chapter."""
        has_events = any(chapter.events for chapter in self.chapters)
        return bool(self.place or self.arc or self.facts or has_events)

    @property
    def words(self) -> int:
        """The planned words of all chapters together."""
        return sum(chapter.words for chapter in self.chapters)

    def shared(self, words: int) -> Self:
        """The same plan, its chapters scaled to `words` words in total."""
        sums = accumulate((chapter.words for chapter in self.chapters), initial=0)
        bounds = pairwise(round(words * part / self.words) for part in sums)
        scaled = (max(1, end - start) for start, end in bounds)
        pairs = zip(self.chapters, scaled, strict=True)
        return replace(self, chapters=tuple(replace(ch, words=n) for ch, n in pairs))

    def after(self, written: int) -> Self:
        """The plan as it was when so many chapters were written, without those added later."""
        known = (chapter for chapter in self.chapters if chapter.added_after <= written)
        return replace(self, chapters=tuple(known))

    def as_start(self) -> Self:
        """The same plan for another story, of which all chapters are planned at the start."""
        return replace(self, chapters=tuple(replace(ch, added_after=0) for ch in self.chapters))

    def background(self) -> list[str]:
        """The lines of what holds for all chapters, as far as it is known."""
        fields = {"Cast": self.cast, "Place": self.place, "Arc": self.arc, "Facts": self.facts}
        return [f"{name}: {text}" for name, text in fields.items() if text]

    def as_lines(self) -> str:
        """The plan in the format that the prompt for it asks for."""
        start = "Chapter {}:" if self.is_full else "{}."
        lines = [f"Title: {self.title}", *([] if self.cast else ["Cast: "]), *self.background()]
        for number, chapter in enumerate(self.chapters, 1):
            line = f"{start.format(number)} {chapter.title} | {chapter.words} words"
            told = chapter.own_summary or not chapter.events
            lines.append(f"{line} | {chapter.summary}" if told else line)
            lines += [f"- {event}" for event in chapter.events]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON types."""
        return {**asdict(self), "chapters": [asdict(chapter) for chapter in self.chapters]}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """The plan from the output of `as_dict`. Raises KeyError or TypeError for anything else."""
        chapters = tuple(
            Chapter(**{**chapter, "events": tuple(chapter.get("events", ()))})
            for chapter in record["chapters"]
        )
        full = {name: record.get(name, "") for name in ("place", "arc", "facts")}
        return cls(record["title"], record["cast"], chapters, **full)


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of the chapters that follow; `note` is set if it is not the model's."""

    plan: Plan
    note: str = ""


RawEvent = Piece | Finish
AnswerEvent = Chunk | Finish
Event = AnswerEvent | Inserted | ChapterStart | Restart | Planned | Held | Again


def as_chunk(event: Event) -> Chunk | None:
    """The text that an event adds, as a chunk; None if it adds none.

    A chapter start or a restart adds an empty line to the thinking.
    """
    match event:
        case Chunk():
            return event
        case Inserted():
            return Chunk("story", event.text, ids=event.ids)
        case ChapterStart() | Restart():
            return Chunk("thinking", "\n\n")
    return None


def text_of(event: Event, kind: Kind = "story") -> str:
    """The text that an event adds to the story (or thinking, or plan); "" if it adds none."""
    chunk = as_chunk(event)
    return chunk.text if chunk and chunk.kind == kind else ""


@contextmanager
def closing(events: Iterator[RawEvent] | Iterator[Event]) -> Iterator[None]:
    """Close `events` on exit if it is a generator, which also stops the engine."""
    try:
        yield
    finally:
        if close := getattr(events, "close", None):
            close()


class HeldText:
    """The story text that a stream holds back: it is lost if the stream ends here.

    `chunks` are those of the last `Held`, without those that have come since.
    """

    def __init__(self) -> None:
        self.chunks: deque[Chunk] = deque()
        self._giving = False  # whether the stage that holds them gives them out

    def add(self, event: Event) -> None:
        """Add the next event of the stream."""
        match event:
            case Held():
                self.chunks, self._giving = deque(event.chunks or event.given), bool(event.given)
            case Chunk() | Inserted() if self._giving and self.chunks:
                self.chunks.popleft()
            case Finish():  # the held text is in the story by now, or was dropped
                self.chunks.clear()


def with_held(events: Iterator[Event]) -> Iterator[Event]:
    """The same events; text that is still held when an interrupt ends them comes before the end.

    A stage that holds text back gives it out itself if the interrupt reaches it. One that comes
    between two events does not get through the stages around it.
    """
    held = HeldText()
    with closing(events):
        for event in events:
            if isinstance(event, Finish) and event.reason == "interrupted" and held.chunks:
                yield Held()  # first, so that no text is in the stream twice
                yield from held.chunks
            held.add(event)
            yield event


def merged(events: Iterable[Event]) -> Iterator[Event]:
    """The same events, with consecutive chunks of the same kind joined."""

    def kind_of(event: Event) -> object:
        return event.kind if isinstance(event, Chunk) else event

    for _, group in groupby(events, key=kind_of):
        run = list(group)
        chunks = [event for event in run if isinstance(event, Chunk)]
        yield from [_joined(chunks)] if chunks else run


def _joined(chunks: list[Chunk]) -> Chunk:
    text = "".join(chunk.text for chunk in chunks)
    ids = tuple(chain.from_iterable(chunk.ids for chunk in chunks))
    log_probs = tuple(chain.from_iterable(chunk.log_probs for chunk in chunks))
    return Chunk(chunks[0].kind, text, sum(chunk.tokens for chunk in chunks), ids, log_probs)
