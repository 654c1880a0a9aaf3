"""Every kind of event that a story is made of comes back from its row as it was."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.events import ChapterStart, Chunk, Event, Held, Inserted, Planned, Restart
from polaris_cli.library.parts import from_row, to_row

IDS = st.lists(st.integers(0, 2**32 - 1), max_size=5).map(tuple)
LOG_PROBS = st.lists(st.floats(-(2.0**100), 0.0, width=32), max_size=5).map(tuple)
NUMBER = st.integers(0, 10_000)
KINDS = ("draft", "heading", "scene break", "ending")
EVENTS = st.one_of(
    st.builds(
        Chunk, st.sampled_from(["thinking", "plan", "story"]), st.text(), NUMBER, IDS, LOG_PROBS
    ),
    st.builds(Inserted, st.sampled_from(KINDS), st.text(), IDS),
    st.builds(ChapterStart, NUMBER, st.text()),
    st.builds(Restart, NUMBER),
)


@given(EVENTS)
def test_an_event_comes_back_from_its_row(event: Event) -> None:
    row = to_row(event)
    assert row and from_row(row) == event


def test_what_the_record_tells_has_no_row() -> None:
    assert to_row(Held()) is None and to_row(Planned.__new__(Planned)) is None


def test_numbers_beyond_32_bits_are_cut_down() -> None:
    row = to_row(Chunk("story", "A", 3, (1, 2, 3), (-1e300, 10**400, -0.5)))
    assert row
    found = from_row(row)
    assert isinstance(found, Chunk) and found.log_probs[2] == -0.5
    assert found.log_probs[:2] == pytest.approx((-3e38, 3e38))


@pytest.mark.parametrize("event", [Chunk("story", "A", 3, (1, 2**32, -1)), Inserted("draft", "A")])
def test_ids_that_do_not_fit_are_dropped(event: Chunk | Inserted) -> None:
    row = to_row(replace(event, ids=(-1, 1, 2**32, 10**40)))
    assert row and from_row(row) == replace(event, ids=(1,))
