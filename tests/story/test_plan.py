"""Plans are read leniently, scaled exactly, and survive the way through a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.events import Chapter, Plan
from polaris_cli.story.plan import even_plan, is_complete, parse_plan, shortened

ANSWER = """Title: The Letter
Cast: Mara, a keeper; Ivo, her brother
1. The Fog | 300 words | Mara finds a letter
2. The Boat | 300 words | Ivo is late
3. The Light | 300 words | they read it together"""


def test_the_lines_asked_for_are_read_and_written_alike() -> None:
    plan = parse_plan(ANSWER, 900)
    assert plan and plan.as_lines() == ANSWER
    assert plan.chapters[1] == Chapter("The Boat", 300, "Ivo is late")


@pytest.mark.parametrize(
    "answer",
    [
        "**Title:** X\n\n**1. One** | 100 words | a\n**2. Two** | 100 words | b",
        "Here is the plan:\n1) One - 100 words - a\n2) Two - 100 words - b\nEnjoy!",
        "# Title: X\nChapter 1: One | a\nChapter 2: Two | b",
        "1. One | about 1,000 words | a\n2. Two | b",
        '1. "One" | (100 words) | a\n2. “Two” | 100 | b',
    ],
)
def test_plans_that_are_badly_written_are_mended(answer: str) -> None:
    plan = parse_plan(answer, 200)
    assert plan
    assert [chapter.title for chapter in plan.chapters] == ["One", "Two"]
    assert [chapter.summary for chapter in plan.chapters] == ["a", "b"]
    assert [chapter.words for chapter in plan.chapters] == [100, 100]


@pytest.mark.parametrize(
    "answer",
    ["", "I would rather not.", "1. Only one | 9 words | a", "1.\n2.", "1. |\n2. |",
     '1. ** | a\n2. "" | b'],  # a title of signs alone
)  # fmt: skip
def test_what_is_no_plan_is_none(answer: str) -> None:
    assert parse_plan(answer, 100) is None


def test_a_plan_without_a_title_bears_that_of_its_first_chapter() -> None:
    plan = parse_plan("1. Fog | a\n2. Sea | b", 200)
    assert plan and plan.title == "Fog"


def test_a_title_that_comes_again_gets_a_number() -> None:
    plan = parse_plan("1. Fog | a\n2. Sea | b\n3. Fog | c\n4. Fog | d", 400)
    assert plan
    assert [chapter.title for chapter in plan.chapters] == ["Fog", "Sea", "Fog (2)", "Fog (3)"]


def test_a_plan_is_complete_with_the_line_of_its_last_chapter() -> None:
    assert not is_complete(ANSWER, 3)  # the line may still grow
    assert is_complete(ANSWER + "\n", 3)
    assert is_complete(ANSWER + "\nMara was a keeper.", 3)
    assert not is_complete(ANSWER + "\n", 4)


SHARES = st.lists(st.integers(1, 5000), min_size=1, max_size=20)


@given(SHARES, st.integers(100, 50_000))
def test_shares_add_up_to_the_words(shares: list[int], words: int) -> None:
    plan = Plan("t", "", tuple(Chapter(str(n), n, "s") for n in shares)).shared(words)
    exact = [words * share / sum(shares) for share in shares]
    for chapter, due in zip(plan.chapters, exact, strict=True):
        assert chapter.words >= 1 and abs(chapter.words - due) <= 1
    if min(exact) >= 2:  # else a chapter may have a word more than is due
        assert plan.words == words


@given(st.integers(2, 30), st.integers(100, 20_000))
def test_an_even_plan_is_even(count: int, words: int) -> None:
    plan = even_plan("a fox", words, count)
    shares = [chapter.words for chapter in plan.chapters]
    assert (len(shares), sum(shares)) == (count, words)
    assert len({chapter.title for chapter in plan.chapters}) == count
    first, *middle, last = [chapter.summary for chapter in plan.chapters]
    assert "begins" in first and "end" in last
    assert not any("begins" in summary or "end" in summary for summary in middle)


def test_a_plan_of_fewer_words_than_chapters_has_a_word_for_each() -> None:
    assert [chapter.words for chapter in even_plan("a fox", 1, 3).chapters] == [1, 1, 1]


def test_chapters_without_words_get_the_mean_of_the_others() -> None:
    plan = parse_plan("1. One | 100 words | a\n2. Two | b\n3. Three | 300 words | c", 600)
    assert plan and [chapter.words for chapter in plan.chapters] == [100, 200, 300]


def test_a_premise_becomes_a_title_of_one_line() -> None:
    assert shortened("a fox\n and  a bell") == "A fox and a bell"
    assert shortened("a " + "fox " * 14 + "ax") == "A " + "fox " * 14 + "ax"  # 60 characters
    assert shortened("a " + "fox " * 15) == "A " + "fox " * 13 + "fox…"
