"""The line of progress: chapter, words, time left, and what is left out on a narrow terminal."""

import time
from io import StringIO

import pytest

from polaris_cli.events import Chapter, ChapterStart, Chunk, Plan
from polaris_cli.screen.meter import Meter, glyphs_of

PLAN = Plan("T", "", tuple(Chapter(f"The Fog {n}", 1200, "", ()) for n in range(1, 7)))


@pytest.fixture
def meter() -> Meter:
    return Meter(7200, glyphs_of(StringIO()))


@pytest.fixture
def second(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> Meter:
    """In the second chapter, ten seconds after the first story text."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    meter.plan = PLAN
    meter.start_chapter(ChapterStart(1, "The Fog 1"))
    meter.add("story", "word " * 1000, 1300)  # of an earlier run: it is there at the first look
    meter.line(80)
    meter.start_chapter(ChapterStart(2, "The Fog 2"))
    now[0] = 110.0
    meter.add("story", "word " * 431, 500)
    return meter


def test_a_story_in_chapters_says_where_it_is(second: Meter) -> None:
    told = '  chapter 2 of 6 "The Fog 2" · 431 of 1,200 words · 1,431 of 7,200 · 2 min 14 s'
    assert second.line(120).plain.endswith(f"{told} left · 50 tokens/s")
    held = [Chunk("story", "word " * 69, 90)]
    assert "500 of 1,200 words · 1,500 of 7,200" in second.line(120, held).plain


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (70, "chapter 2 of 6 · 431 of 1,200 words · 1,431 of 7,200"),
        (50, "chapter 2 of 6 · 431 of 1,200 words"),
        (40, "chapter 2 of 6"),
    ],
)
def test_a_narrow_terminal_gets_the_first_facts(second: Meter, width: int, told: str) -> None:
    line = second.line(width)
    assert told in line.plain and line.cell_len <= width


def test_thinking_before_a_chapter_names_it(second: Meter) -> None:
    second.start_chapter(ChapterStart(3, "The Fog 3"))
    second.add("thinking", "hm", 2)
    assert 'chapter 3 of 6 "The Fog 3" · thinking · 2 tokens' in second.line(120).plain


def test_planning_and_a_single_pass_have_no_chapter(meter: Meter) -> None:
    meter.add("plan", "Title", 3)
    assert "planning · 3 tokens" in meter.line(80).plain
    meter.start_chapter(ChapterStart(1, ""))
    meter.add("story", "word", 1)
    assert "  1 of 7,200 words" in meter.line(80).plain


def test_words_that_were_there_take_no_time(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    meter.add("story", "draft " * 3600, 0)
    meter.line(80)
    now[0] = 10.0
    meter.add("story", "word " * 100, 100)
    assert "3,700 of 7,200 words · 5 min 50 s left" in meter.line(120).plain


def test_ascii_terminals_get_ascii(meter: Meter, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        glyphs = glyphs_of(out)
    assert "".join([*glyphs]).isascii()
