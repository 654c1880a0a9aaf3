"""Every kind of event that a story is made of comes back from its row as it was."""

from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.events import ChapterStart, Chunk, Event, Held, Inserted, Planned, Restart
from polaris_cli.library.parts import packed, unpacked

IDS = st.lists(st.integers(0, 2**32 - 1), max_size=5).map(tuple)
NUMBER = st.integers(0, 10_000)
KINDS = ("draft", "heading", "scene break", "ending")
EVENTS = st.one_of(
    st.builds(Chunk, st.sampled_from(["thinking", "story"]), st.text(), NUMBER, IDS),
    st.builds(Inserted, st.sampled_from(KINDS), st.text(), IDS),
    st.builds(ChapterStart, NUMBER, st.text()),
    st.builds(Restart, NUMBER),
)


@given(EVENTS)
def test_an_event_comes_back_from_its_row(event: Event) -> None:
    row = packed(event)
    assert row and unpacked(row) == event


def test_what_the_record_tells_has_no_row() -> None:
    assert packed(Held()) is None and packed(Planned.__new__(Planned)) is None
