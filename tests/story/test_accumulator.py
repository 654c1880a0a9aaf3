"""A story as far as its stream has come: its text, its tokens, its times."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from polaris_cli.engines.base import ModelInfo
from polaris_cli.events import Chunk, Event, Finish, Held, Inserted
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story import accumulator
from polaris_cli.story.accumulator import collect
from polaris_cli.story.result import Story, Timing, new_record

Timed = list[tuple[float, Event]]


def begun() -> Story:
    model, ask = ModelInfo("demo", "built in"), Message("user", "Write about a fox.")
    return new_record(StoryRequest("a fox", 5), model, (ask,))


def timing(monkeypatch: pytest.MonkeyPatch, events: Timed, replayed: int = 0) -> Timing:
    """The times of a stream whose events come so many seconds after it began."""
    now = [100.0]
    monkeypatch.setattr(accumulator, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def coming() -> Iterator[Event]:
        for seconds, event in events:
            now[0] = 100 + seconds
            yield event

    story_so_far = accumulator.Accumulator(begun(), 1.5, replayed=replayed)
    list(story_so_far.watch(coming()))
    return story_so_far.story().timing


def test_times_count_from_asking_and_the_speed_from_the_first_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: Timed = [
        (1, Inserted("draft", "Once ")),  # no model wrote it
        (2, Chunk("thinking", "Hm", 1)),
        (3, Chunk("thinking", " hm", 4)),
        (4, Chunk("story", "", 1)),
        (5, Chunk("story", "upon", 3)),
        (6, Chunk("story", " a time", 2)),
        (7, Finish("stop")),
    ]
    assert timing(monkeypatch, events) == Timing(1.5, 2, 5, 7, tokens_per_s=10 / 5, tokens=11)
    stopped = timing(monkeypatch, events[:-1])
    assert (stopped.total_s, stopped.tokens_per_s) == (6, 10 / 4)


def test_the_speed_of_a_resumed_story_is_that_of_its_new_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier: Timed = [(1, Chunk("thinking", "Hm", 20)), (1, Chunk("story", "Once", 100))]
    held = Held((Chunk("story", " upon", 1),))
    new: Timed = [(3, held), (4, Chunk("story", " upon a", 2)), (5, Chunk("story", " time", 5))]
    events: Timed = [*earlier, *new, (6, Finish("stop"))]
    assert timing(monkeypatch, events, 120) == Timing(1.5, 3, 3, 6, tokens_per_s=6 / 3, tokens=7)
    assert timing(monkeypatch, events, 900).tokens_per_s is None  # most of it was dropped


def test_the_speed_counts_text_that_was_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    held, kept = Chunk("story", " upon a", 3), Chunk("story", " one", 2)
    events: Timed = [(1, Chunk("story", "Once", 1)), (2, Held((held,))), (2, Held((), dropped=3))]
    events += [(3, Held((kept,))), (3, Held()), (3, kept), (4, Finish("stop"))]
    assert timing(monkeypatch, events).tokens_per_s == round(5 / 3, 1)


def test_times_are_told_to_the_millisecond_and_the_speed_to_a_tenth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: Timed = [
        (1 / 3, Chunk("story", "Once", 1)),
        (2 / 3, Chunk("story", " upon", 1)),
        (10 / 3, Finish("stop")),
    ]
    told = Timing(1.5, 0.333, 0.333, 3.333, tokens_per_s=0.3, tokens=2)
    assert timing(monkeypatch, events) == told


@pytest.mark.parametrize(
    "events",
    [
        [(7, Finish("stop"))],
        [(2, Chunk("story", "Once", 1)), (7, Finish("stop"))],
        [(2, Chunk("story", "Once", 5)), (2, Finish("stop"))],
    ],
    ids=["no token", "one token", "all at once"],
)
def test_a_single_token_and_no_time_have_no_speed(
    monkeypatch: pytest.MonkeyPatch, events: Timed
) -> None:
    assert timing(monkeypatch, events).tokens_per_s is None


def test_what_is_held_counts_until_it_is_replaced_or_the_stream_ends() -> None:
    held: list[Event] = [Chunk("story", "One.", 2), Held((Chunk("story", " The end.", 3),))]
    story = collect(held, begun())
    assert (story.text, story.tokens.story) == ("One. The end.", 5)
    replaced = collect([*held, Held()], begun())
    assert (replaced.text, replaced.tokens.story) == ("One.", 2)
    ended = collect([*held, Finish("stop")], begun())
    assert (ended.text, ended.tokens.story) == ("One.", 2)


def test_what_is_being_given_out_counts_before_it_has_come() -> None:
    given = Chunk("story", "One.", 2), Chunk("story", " The end.", 3)
    events: list[Event] = [Held(given), Held(given=given), *given]
    for count in range(1, len(events) + 1):
        story = collect(events[:count], begun())
        assert (story.text, story.tokens.story) == ("One. The end.", 5)
