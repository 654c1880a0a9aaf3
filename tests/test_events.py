"""Events: what each adds to the text, and what stands for nothing said."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.events import (
    ChapterStart,
    Chunk,
    Event,
    Finish,
    Held,
    Inserted,
    Piece,
    Reason,
    Restart,
    as_chunk,
    closing,
    merged,
    text_of,
    with_held,
)


@pytest.mark.parametrize(
    ("event", "story", "thinking"),
    [
        (Chunk("story", "Once"), "Once", ""),
        (Chunk("thinking", "Hm"), "", "Hm"),
        (Chunk("plan", "1. One"), "", ""),
        (Inserted("heading", "## One"), "## One", ""),
        (ChapterStart(1, "One"), "", "\n\n"),
        (Restart(1), "", "\n\n"),
        (Held((Chunk("story", "Once"),)), "", ""),
        (Finish("stop"), "", ""),
    ],
)
def test_what_an_event_adds_to_the_text(event: Event, story: str, thinking: str) -> None:
    assert (text_of(event), text_of(event, "thinking")) == (story, thinking)


def test_what_is_not_said_of_tokens() -> None:
    """A piece is a token; a chunk may be text of ours, a prompt of unknown length."""
    assert (Piece("a").tokens, Chunk("story", "a").tokens) == (1, 0)
    assert (Finish("stop").prompt_tokens, Finish("stop").closed) == (0, False)
    inserted = as_chunk(Inserted("scene break", "* * *", (8, 9)))
    assert inserted == Chunk("story", "* * *", 0, (8, 9))


CHUNKS = st.builds(
    Chunk,
    st.sampled_from(["thinking", "plan", "story"]),
    st.text(max_size=3),
    st.integers(0, 3),
    st.lists(st.integers(0, 9), max_size=3).map(tuple),
)
EVENTS = st.lists(st.one_of(CHUNKS, st.builds(Restart, st.integers(1, 3))), max_size=12)


@settings(max_examples=50)
@given(EVENTS)
def test_merged_events_say_the_same_and_have_no_neighbours_of_a_kind(events: list[Event]) -> None:
    def said(events: list[Event]) -> list[object]:
        found: list[object] = []
        for event in events:
            chunk = event if isinstance(event, Chunk) else None
            found += [(chunk.kind, sign) for sign in [*chunk.text]] if chunk else [event]
        return found

    joined = list(merged(events))
    assert said(joined) == said(events)
    for kind in ("thinking", "plan", "story"):
        before, after = ([e for e in some if isinstance(e, Chunk) and e.kind == kind]
                         for some in (events, joined))  # fmt: skip
        assert sum(chunk.tokens for chunk in before) == sum(chunk.tokens for chunk in after)
        assert [id_ for e in before for id_ in e.ids] == [id_ for e in after for id_ in e.ids]
    kinds = [event.kind if isinstance(event, Chunk) else None for event in joined]
    assert not any(a == b and a for a, b in pairwise(kinds))


def test_what_can_be_closed_is_closed_on_the_way_out() -> None:
    def endless() -> Iterator[Event]:
        try:
            while True:
                yield Chunk("story", "a")
        finally:
            closed.append(True)

    closed: list[bool] = []
    events = endless()
    with pytest.raises(KeyboardInterrupt), closing(events):
        next(events)
        raise KeyboardInterrupt
    assert closed
    with closing(iter([Finish("stop")])):
        pass  # a list's iterator has nothing to close


@pytest.mark.parametrize(("reason", "kept"), [("interrupted", "held"), ("stop", "")])
def test_only_an_interrupt_gives_out_what_is_still_held(reason: Reason, kept: str) -> None:
    held = Held((Chunk("story", "held"),))
    events = [*with_held(iter([Held(), held, Finish(reason)]))]
    assert "".join(map(text_of, events)) == kept and events[-1] == Finish(reason)
    assert [*with_held(iter([held, Held(), Finish(reason)]))] == [held, Held(), Finish(reason)]


def test_an_interrupt_gives_out_the_rest_of_what_was_being_given() -> None:
    first, second = Chunk("story", "a"), Chunk("story", "b")
    giving, end = Held(given=(first, second)), Finish("interrupted")
    assert [*with_held(iter([giving, first, end]))] == [giving, first, Held(), second, end]
    given: list[Event] = [giving, first, second, Chunk("thinking", "Hm"), end]
    assert [*with_held(iter(given))] == given
