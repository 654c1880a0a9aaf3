"""Wrapping and trimming."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from polaris_cli.screen.wrapping import Trim, without_last_token, wrap

PARTS = [*"ab -—.“”\n\u3000雾「」。é👩字", "e\u0301", "👩\u200d🚀", "❤\ufe0f"]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=120).map("".join)
WIDTHS = st.integers(2, 30)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(TEXTS, WIDTHS)
def test_no_line_is_too_wide_and_no_character_is_lost(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert squeezed("".join(lines)) == squeezed(text)


@given(st.lists(st.text("abc'", min_size=1, max_size=9)), st.integers(9, 30))
def test_words_that_fit_stay_whole(words: list[str], width: int) -> None:
    assert " ".join(wrap(" ".join(words), width)).split() == words


@given(st.lists(TEXTS, max_size=8), WIDTHS)
@example(["ab字", "。", "。"], 6)
@example(["\u3000”a", "a"], 2)
def test_text_in_parts_wraps_as_a_whole(parts: list[str], width: int) -> None:
    trim, done, last = Trim(), [], ""
    for part in parts:
        *more, last = wrap(last + trim(part), width)
        done += more
    assert [*done, last] == wrap("".join(parts).rstrip(), width)


def test_wrapping_keeps_paragraphs_and_indents_and_cuts_long_words() -> None:
    text = "one two three\n\n    four five\nabcdefghijklm end"
    assert wrap(text, 10) == ["one two", "three", "", "    four", "five", "abcdefghij", "klm end"]


def test_chinese_breaks_anywhere_but_before_its_punctuation() -> None:
    assert wrap("雾在黄昏来了，钟声。", 12) == ["雾在黄昏来", "了，钟声。"]
    assert wrap("他说「好吧」", 6) == ["他说", "「好", "吧」"]


@pytest.mark.parametrize(
    ("line", "rest"), [("", ""), ("word", ""), ("one two", "one"), ("雾字", "雾"), ("a  b", "a")]
)
def test_the_last_token_may_still_move(line: str, rest: str) -> None:
    assert without_last_token(line) == rest


@pytest.mark.slow
@given(st.lists(st.text(" \n\tab\u3000\xa0")))
def test_white_space_waits_for_text(parts: list[str]) -> None:
    trim = Trim()
    written = ""
    for part in parts:
        written += trim(part)
        assert not written or not written[-1].isspace()
    assert written == "".join(parts).rstrip()
