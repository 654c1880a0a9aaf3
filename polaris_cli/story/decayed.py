"""Cuts away text that has decayed and rewrites the passage: `without_decay`.

A stage behind one answer of an engine. Does not know how decay is found (`streaming.decay`) or what
the answer is a part of.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

from polaris_cli.characters import SENTENCE_END
from polaris_cli.engines.base import GenerationRequest
from polaris_cli.events import Again, Chunk, Event, Finish, Held, Restart, closing
from polaris_cli.story.length import LengthTarget, place_for_ending, place_nearer
from polaris_cli.story.single_pass import ids_of, without_replay
from polaris_cli.streaming.decay import guard_decay, length_before_decay
from polaris_cli.streaming.preamble import is_word_count
from polaris_cli.streaming.prose import NEAR
from polaris_cli.streaming.talk import is_talk
from polaris_cli.words import story_words

RETRIES = 2  # times that a passage is written again
MOST_HELD = 2 * NEAR  # characters; in a longer paragraph, sentences are given out

_PARAGRAPH = re.compile(r".*\n\s*", re.DOTALL)
_SENTENCE = re.compile(rf".*{SENTENCE_END}(?=.)\s*", re.DOTALL)


def without_decay(
    write: Callable[[GenerationRequest], Iterator[Event]],
    request: GenerationRequest,
    beginning: Sequence[Chunk] = (),
    *,
    narrative: bool = True,
    retries: int = RETRIES,
    keep: int = 0,
    target: LengthTarget | None = None,
) -> Iterator[Event]:
    """Stream the answer of `write`; text that decays is cut away and written again.

    The paragraphs of the last 150 words are held back (as `Held`), so that text in the stream need
    not be taken back. If the text still decays after `retries`, the answer ends after its last good
    paragraph: with "stop" if all that was wrong is a sentence about the text, as after the end of a
    story, else with "decay". `beginning` and `narrative` are those of `guard_decay`. `retries` is 0
    for an engine that cannot continue from token ids. The text that the request continues, that of
    an earlier run, stays: only what follows it is judged.
    With `keep`, what follows the first so many words is held back to the end, and cut away if the
    answer is closed at its length: the caller has an ending written in its place. Else a last
    sentence is left out with which the answer is farther from the words of `target`.
    """
    tail = _Tail(len(request.after), keep)
    judge = _Judge(len(request.after), beginning, narrative)
    finish, cut = yield from _attempts(write, request, tail, judge, retries)
    if keep and finish.closed and (replaced := tail.cut_for_ending()):
        yield from tail.told(replaced)
    elif target and finish.closed and (overrun := tail.cut_overrun(target)):
        yield tail.held(overrun.tokens)
    yield from tail.release()
    if cut and cut.is_talk and any(_story_of(tail.chunks)):
        yield cut.dropped
        finish = replace(finish, reason="stop")
    elif cut:
        yield tail.held(cut.dropped.tokens)
    yield finish


@dataclass(frozen=True, slots=True)
class _Cut:
    """Decayed text that was cut away, and whether all that was wrong is a sentence of talk."""

    dropped: Chunk
    is_talk: bool


@dataclass(frozen=True, slots=True)
class _Judge:
    """Where an answer decays, behind its first `replayed` token ids."""

    replayed: int
    beginning: Sequence[Chunk]
    narrative: bool

    def guard(self, run: Iterator[Event], *, any_talk: bool) -> Iterator[Event]:
        """The events of a run up to where it decays."""
        earlier, left = list[Event](), self.replayed
        with closing(run):
            while left > 0 and (event := next(run, None)):
                yield event
                earlier.append(event)
                left -= len(event.ids) if isinstance(event, Chunk) else 0
            first = self.beginning or beginning_of(earlier)
            yield from guard_decay(
                run, first, narrative=self.narrative, last_talk=True, any_talk=any_talk
            )

    def cut(self, tail: "_Tail", *, any_talk: bool) -> _Cut:
        """Cut the decayed text away."""
        first = self.beginning or beginning_of(tail.earlier)
        sound = partial(length_before_decay, tail.new, first, narrative=self.narrative)
        only_talked = sound() == tail.length
        dropped = tail.cut(sound(last_talk=True, any_talk=any_talk))
        return _Cut(dropped, only_talked or is_talk(dropped.text))


def _attempts(
    write: Callable[[GenerationRequest], Iterator[Event]],
    request: GenerationRequest,
    tail: "_Tail",
    judge: _Judge,
    retries: int,
) -> Generator[Event, None, tuple[Finish, _Cut | None]]:
    """Write an answer, and what decayed again; return how it ended, and what decayed at last."""
    limit = request.max_new_tokens + len(request.after)
    attempt = 0
    while True:
        is_last = attempt == retries
        drawn = replace(request, sampling=request.sampling.redrawn(attempt))
        # One sentence of talk has a passage written again, but must not end the story.
        run = judge.guard(write(drawn), any_talk=not is_last)
        finish = yield from tail.take(run)
        if finish.reason != "decay":
            return finish, None
        cut = judge.cut(tail, any_talk=not is_last)
        if is_last or is_word_count(cut.dropped.text):
            return finish, cut
        yield from tail.told(cut.dropped)
        request = replace(request, after=tail.ids, max_new_tokens=limit - len(tail.ids))
        attempt += 1


def beginning_of(events: Iterable[Event]) -> list[Chunk]:
    """The first chunks of a story, with which later parts of it are compared."""
    story = [event for event in events if isinstance(event, Chunk) and event.kind == "story"]
    lengths = accumulate((len(chunk.text) for chunk in story), initial=0)
    return [chunk for chunk, before in zip(story, lengths, strict=False) if before < NEAR]


def _story_of(chunks: Iterable[Chunk]) -> Iterator[str]:
    """The texts of the story's chunks."""
    return (chunk.text for chunk in chunks if chunk.kind == "story")


class _Tail:
    """The answer so far: the chunks that are in the stream, and those held back.

    The first `replayed` token ids are those of an earlier run. All text behind the first `keep`
    words is held, if that is not 0.
    """

    def __init__(self, replayed: int, keep: int) -> None:
        self.earlier: list[Chunk] = []
        self._keep, self._replayed = keep, replayed
        self._given: list[Chunk] = []
        self._held: list[Chunk] = []

    @property
    def chunks(self) -> list[Chunk]:
        """All chunks of the answer."""
        return [*self.earlier, *self.new]

    @property
    def new(self) -> list[Chunk]:
        """The chunks that are not of an earlier run."""
        return [*self._given, *self._held]

    @property
    def length(self) -> int:
        """The number of new characters of the story."""
        return sum(map(len, _story_of(self.new)))

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids of the answer."""
        return ids_of(self.chunks)

    def take(self, run: Iterator[Event]) -> Generator[Event, None, Finish]:
        """Yield the events of a run, but for the end of the story; return how it finished.

        After Ctrl-C, all of its text is yielded.
        """
        new = without_replay(run, len(self.ids))  # else what was kept of an earlier attempt
        try:
            with closing(new):
                for event in new:
                    if isinstance(event, Finish):
                        return event
                    yield from self._add(event)
        except KeyboardInterrupt:
            yield from self.release()
            raise
        return Finish("interrupted")

    def cut(self, length: int) -> Chunk:
        """Drop the held chunks behind the first `length` new characters of the story.

        Returns their text as an aside. It has no ids: what continues the story must not read it.
        """
        count = self._count_within(length - self._given_length())
        while count and not self._held[count - 1].text:  # the first bytes of a character cut away
            count -= 1
        dropped, self._held = self._held[count:], self._held[:count]
        text = "".join(chunk.text for chunk in dropped)
        return Chunk("aside", f"\n\n{text.strip()}", sum(chunk.tokens for chunk in dropped))

    def cut_for_ending(self) -> Chunk | None:
        """Drop the text behind the first `keep` words; None if no end of a sentence is there to
        cut at."""
        given = self._earlier_length() + self._given_length()
        return self._cut_at(max(place_for_ending(self._text(), self._keep), given))

    def cut_overrun(self, target: LengthTarget) -> Chunk | None:
        """Drop a last sentence with which the text is farther from its words; None if it is not."""
        place = place_nearer(self._text(), target)
        given = self._earlier_length() + self._given_length()
        return self._cut_at(place) if place > given else None

    def _cut_at(self, place: int) -> Chunk | None:
        """Drop what is behind a place in the answer's text; None if that is of an earlier run."""
        new = place - self._earlier_length()
        return self.cut(new) if new > 0 else None

    def _earlier_length(self) -> int:
        """The number of the story's characters that are of an earlier run."""
        return sum(map(len, _story_of(self.earlier)))

    def _given_length(self) -> int:
        """The number of the story's new characters that are in the stream."""
        return sum(map(len, _story_of(self._given)))

    def _text(self) -> str:
        """The text of the answer."""
        return "".join(_story_of(self.chunks))

    def release(self) -> Iterator[Event]:
        """Yield the held chunks."""
        return self._give(len(self._held))

    def held(self, dropped: int = 0) -> Held:
        """The event for the held chunks, after so many tokens were dropped."""
        return Held(tuple(self._held), dropped=dropped)

    def told(self, dropped: Chunk) -> Iterator[Event]:
        """Yield what tells of a passage that was cut away and is written again."""
        yield self.held(dropped.tokens)
        yield Again("rewritten")

    def _add(self, event: Event) -> Iterator[Event]:
        if isinstance(event, Restart):
            self._given.clear()
            self.earlier.clear()
        if not isinstance(event, Chunk):
            yield event
        elif self._replayed > 0:
            self._replayed -= len(event.ids)
            self.earlier.append(event)
            yield event
        elif event.kind != "story":
            self._given.append(event)
            yield event
        else:
            self._held.append(event)
            yield from self._give(self._count_within(self._settled()))
            yield self.held()

    def _give(self, count: int) -> Iterator[Event]:
        """Yield the first `count` of the held chunks."""
        if count:
            yield Held(given=tuple(self._held))  # first, so that no text is in the stream twice
        for _ in range(count):
            self._given.append(self._held.pop(0))
            yield self._given[-1]

    def _settled(self) -> int:
        """The number of held characters before the last `NEAR`, up to a paragraph's end."""
        text = "".join(chunk.text for chunk in self._held)
        end = max(0, len(text) - NEAR)
        found = _PARAGRAPH.match(text, 0, end)
        if not found and len(text) > MOST_HELD:
            found = _SENTENCE.match(text, 0, end)
        return found.end() if found and self._stays(found[0]) else 0

    def _stays(self, text: str) -> bool:
        """Whether the held text, up to the end of `text`, is not replaced by an ending."""
        if not self._keep:
            return True
        before = "".join(_story_of([*self.earlier, *self._given]))
        return story_words(before + text) <= self._keep

    def _count_within(self, length: int) -> int:
        """How many of the held chunks have their text, but for trailing space, in `length`."""
        text, count = "", 0
        for chunk in self._held:
            text += chunk.text
            if len(text.rstrip()) > length:
                break
            count += 1
        return count
