"""The figures equal published values, and a second, naive implementation on any text."""

import re
import zlib
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.evaluate.figures import (
    NAMES,
    compression,
    distinct,
    duplicate_lines,
    figures_of,
    is_blank,
    length_penalty,
    mattr,
    s_length,
)
from polaris_cli.evaluate.samples import Sample
from polaris_cli.words import paper_words, self_repetition

CAT = "the cat sat on the mat. the cat sat on the mat.\nline\nline"
PARTS = ["the", "cat", "sat.", "\n", "it's", "a_b", "3,000", "café", "猫", "--"]
TEXTS = st.lists(st.sampled_from(PARTS)).map(" ".join)
LENGTHS = st.integers(1, 20_000)


def test_the_values_of_the_authors_code() -> None:
    assert paper_words("It's &amp;amp; don't \u2014 caf\u00e9 3,000") == 7
    assert length_penalty(649, 1000) == pytest.approx(0.0015384615, abs=1e-10)
    assert length_penalty(8640, 12000) == pytest.approx(0.2145454545, abs=1e-10)
    assert self_repetition(CAT) == pytest.approx(0.33468717948717946, abs=1e-12)
    assert s_length(800, 1000) == 87.5
    found = figures_of(Sample("word " * 800, 1000))
    assert found.length_score == pytest.approx(0.8888889, abs=1e-7)


@given(LENGTHS, LENGTHS)
def test_the_length_penalty_follows_its_formula(written: int, asked: int) -> None:
    target = asked if asked > 150 else 150
    lower = int(sorted([350, 0.15 * target, 1000])[1])
    upper = int(sorted([600, 0.25 * target, 1500])[1])
    expected = 0.0
    if written < target - lower:
        expected = 1 - written / (target - lower)
    elif written > target + upper:
        expected = min(written / (target + upper) - 1, 1)
    assert length_penalty(written, asked) == pytest.approx(expected, abs=1e-9)
    assert 0 <= length_penalty(written, asked) <= 1


@given(st.integers(0, 40_000), LENGTHS)
def test_s_length_is_the_benchmarks(written: int, asked: int) -> None:
    if written == 0:
        expected = 0.0
    else:
        too_long = written > asked
        excess = (written / asked if too_long else asked / written) - 1
        expected = max(0, 100 - 100 * excess / (3 if too_long else 2))
    assert s_length(written, asked) == pytest.approx(expected, abs=1e-9)


@given(TEXTS)
def test_the_text_figures_are_those_counted_naively(text: str) -> None:
    found = figures_of(Sample(text, 10))
    tokens = re.findall(r"\w+", text.lower())
    assert found.distinct_2 == pytest.approx(naive_distinct(tokens, 2), abs=1e-9)
    assert found.distinct_3 == pytest.approx(naive_distinct(tokens, 3), abs=1e-9)
    assert found.mattr == pytest.approx(naive_mattr(tokens, 50), abs=1e-9)
    assert mattr(tokens, 3) == pytest.approx(naive_mattr(tokens, 3), abs=1e-9)
    assert found.self_repetition == pytest.approx(naive_repetition(text), abs=1e-9)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    repeated = sum(count - 1 for count in Counter(lines).values())
    assert found.duplicate_lines == pytest.approx(repeated / max(len(lines), 1), abs=1e-9)
    data = text.encode()
    assert found.compression == (len(data) / len(zlib.compress(data)) if data else 1)


def naive_distinct(tokens: list[str], n: int) -> float:
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len({*grams}) / len(grams) if grams else 1.0


def naive_mattr(tokens: list[str], window: int) -> float:
    if not tokens:
        return 1.0
    starts = range(max(1, len(tokens) - window + 1))
    ratios = [len({*tokens[i : i + window]}) / len(tokens[i : i + window]) for i in starts]
    return sum(ratios) / len(ratios)


def naive_repetition(text: str) -> float:
    tokens = re.findall(r"\w+|[^\s]", text.lower())
    grams = [tuple(tokens[i : i + 4]) for i in range(len(tokens) - 3)]
    total = len(grams)
    overall = sum(c - 1 for c in Counter(grams).values() if c > 1) / total if total else 0.0
    near = sum(gram in grams[max(0, i - 63) : i] for i, gram in enumerate(grams))
    local = near / total if total else 0.0
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    twice = sum(c - 1 for c in Counter(lines).values()) / len(lines) if lines else 0.0
    return min(1.5, 0.8 * (0.7 * max(0.0, overall - 0.08) + 0.3 * local) + 0.4 * twice)


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        ("", True),
        ("word " * 149, True),
        ("word " * 150, False),
        ("w" + " " * 12, True),
        (("word" + " " * 40) * 200, True),
        (("word" + " " * 30) * 200, False),
    ],
)
def test_blank(text: str, blank: bool) -> None:
    assert is_blank(text) is blank


def test_edges() -> None:
    assert distinct([], 2) == distinct(["a"], 2) == 1
    assert mattr([]) == 1 and mattr(["a"] * 100) == 1 / 50
    assert compression("") == 1 and compression("abc " * 1000) > 50
    assert duplicate_lines("") == 0 and duplicate_lines("a\n\na\nb\n") == pytest.approx(1 / 3)


def test_a_scene_break_or_heading_is_no_line_that_occurs_twice() -> None:
    text = "Chapter 1\n\nIt came.\n\n* * *\n\nIt went.\n\n* * *\n\n## 1\n\nIt came.\n\n## 1"
    assert duplicate_lines(text) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("finish", "ended"), [("stop", 1.0), ("length", 0.0), ("", None)])
def test_what_is_not_recorded_is_unknown(finish: str, ended: float | None) -> None:
    found = figures_of(Sample("word " * 9, 10, finish=finish), band=(0.8, 1.1))
    assert (found.ended, found.surprise, found.in_band) == (ended, None, 1)
    assert figures_of(Sample("word " * 9, 10), band=(0.95, 1.1)).in_band == 0


def test_a_text_that_was_closed_at_its_length_is_not_ended_by_the_model() -> None:
    assert figures_of(Sample("word " * 9, 10, finish="stop", closed=True)).ended == 0


def test_every_figure_is_finite_for_the_empty_text() -> None:
    found = figures_of(Sample("", 1000))
    assert all(getattr(found, name) is not None for name in NAMES[:6])
    assert found.length_penalty == 1 and found.s_length == 0


def test_penalties_grow_with_the_distance() -> None:
    below = [length_penalty(written, 4000) for written in range(0, 4000, 100)]
    assert all(more >= less for more, less in pairwise(below))
