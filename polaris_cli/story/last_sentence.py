"""The last sentence of an answer that is longer than its band: left out, or written again.

Of a short story, one sentence is a large part. Does not know how text is generated, or why a story
ends where it does.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from math import inf

from polaris_cli.events import Again, Chunk, Event, Finish
from polaris_cli.story.answer_tail import AnswerTail
from polaris_cli.story.length import LengthTarget
from polaris_cli.words import story_words

TRIES = 4  # of smollm2's last sentences in stories of 50 to 100 words, four of ten fit the band

GoOn = Callable[[int], Iterator[Event]]
"""Continues the text that is left of an answer; each number gives another text."""


def within_band(
    tail: AnswerTail, finish: Finish, target: LengthTarget, go_on: GoOn | None
) -> Generator[Event, None, Finish]:
    """Bring an answer that has ended within the band of its target; return how it ended then.

    A last sentence is left out if a closed answer is nearer to its words without it. If it takes
    the answer beyond the band, it is written again by `go_on`, until it fits; after `TRIES`, the
    answer has the one with which it is nearest.
    """
    if finish.closed and (overrun := tail.cut_overrun(target)):
        yield tail.held(overrun.tokens)
        return finish
    if not go_on or not (place := tail.overrun(target)):
        return finish
    best = yield from _nearest(tail, finish, target, go_on, place)
    yield Again("rewritten")
    return best


@dataclass(frozen=True, slots=True)
class _End:
    """One way in which the answer may end: its held chunks, and how far it is from its target."""

    chunks: tuple[Chunk, ...]
    finish: Finish
    distance: float


def _nearest(
    tail: AnswerTail, finish: Finish, target: LengthTarget, go_on: GoOn, place: int
) -> Generator[Event, None, Finish]:
    """Write the text behind a place again and again; the tail has the nearest end then."""
    tail.hold_all()
    ends, written = [_end(tail, finish, target)], _tokens(tail.end)
    for number in range(1, TRIES + 1):
        tail.cut_at(place)
        written -= _tokens(tail.end)
        finish = yield from tail.take(go_on(number))
        written += _tokens(tail.end)
        if finish.closed:
            tail.cut_overrun(target)
        ends.append(_end(tail, finish, target))
        if not ends[-1].distance or finish.reason == "error":
            break
    best = min(ends, key=lambda end: end.distance)
    tail.end = best.chunks
    yield tail.held(written - _tokens(tail.end))
    return best.finish


def _end(tail: AnswerTail, finish: Finish, target: LengthTarget) -> _End:
    """The end that the answer has now; one that broke off is the last choice."""
    distance = target.distance(story_words(tail.text)) if finish.reason == "stop" else inf
    return _End(tail.end, finish, distance)


def _tokens(chunks: tuple[Chunk, ...]) -> int:
    return sum(chunk.tokens for chunk in chunks)
