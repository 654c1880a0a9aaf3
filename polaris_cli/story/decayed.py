"""Cuts away text that has decayed and rewrites the passage: `without_decay`.

A stage behind one answer of an engine. Does not know how decay is found (`streaming.decay`) or what
the answer is a part of.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, count

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.events import Chunk, Event, Finish, closing
from polaris_cli.story.answer_tail import AnswerTail, story_of
from polaris_cli.story.last_sentence import within_band
from polaris_cli.story.length import LengthTarget
from polaris_cli.streaming.decay import guard_decay, length_before_decay
from polaris_cli.streaming.preamble import is_word_count
from polaris_cli.streaming.prose import NEAR
from polaris_cli.streaming.talk import is_talk

RETRIES = 2  # times that a passage is written again


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
    sentence that takes the answer beyond the band of `target` is written again, or left out.
    """
    tail = AnswerTail(len(request.after), keep)
    judge = _Judge(len(request.after), beginning, narrative)
    finish, cut = yield from _attempts(write, request, tail, judge, retries)

    def go_on(number: int) -> Iterator[Event]:
        return judge.guard(write(_going_on(request, tail, RETRIES + number)), any_talk=True)

    if keep and finish.closed and (replaced := tail.cut_for_ending()):
        yield from tail.told(replaced)
    elif target and finish.reason == "stop":
        finish = yield from within_band(tail, finish, target, go_on if retries else None)
    yield from tail.release()
    if cut and cut.is_talk and any(story_of(tail.chunks)):
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

    def cut(self, tail: AnswerTail, *, any_talk: bool) -> _Cut:
        """Cut the decayed text away."""
        first = self.beginning or beginning_of(tail.earlier)
        sound = partial(length_before_decay, tail.new, first, narrative=self.narrative)
        only_talked = sound() == tail.length
        dropped = tail.cut(sound(last_talk=True, any_talk=any_talk))
        return _Cut(dropped, only_talked or is_talk(dropped.text))


def _attempts(
    write: Callable[[GenerationRequest], Iterator[Event]],
    request: GenerationRequest,
    tail: AnswerTail,
    judge: _Judge,
    retries: int,
) -> Generator[Event, None, tuple[Finish, _Cut | None]]:
    """Write an answer, and what decayed again; return how it ended, and what decayed at last."""
    drawn = request
    for attempt in count(1):
        is_last = attempt > retries
        # One sentence of talk has a passage written again, but must not end the story.
        run = judge.guard(write(drawn), any_talk=not is_last)
        finish = yield from tail.take(run)
        if finish.reason != "decay":
            break
        cut = judge.cut(tail, any_talk=not is_last)
        if is_last or is_word_count(cut.dropped.text):
            return finish, cut
        yield from tail.told(cut.dropped)
        drawn = _going_on(request, tail, attempt)
    return finish, None


def _going_on(request: GenerationRequest, tail: AnswerTail, attempt: int) -> GenerationRequest:
    """The request for what follows the text that is left of an answer, with another seed."""
    left = request.max_new_tokens + len(request.after) - len(tail.ids)
    sampling = request.sampling.redrawn(attempt)
    return replace(request, after=tail.ids, max_new_tokens=left, sampling=sampling)


def beginning_of(events: Iterable[Event]) -> list[Chunk]:
    """The first chunks of a story, with which later parts of it are compared."""
    story = [event for event in events if isinstance(event, Chunk) and event.kind == "story"]
    lengths = accumulate((len(chunk.text) for chunk in story), initial=0)
    return [chunk for chunk, before in zip(story, lengths, strict=False) if before < NEAR]
