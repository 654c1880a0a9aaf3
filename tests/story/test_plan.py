"""Plans are scaled exactly; a plain one is even."""

from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.events import Chapter, Plan
from polaris_cli.story.plan import even_plan, shortened

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


def test_a_premise_becomes_a_title_of_one_line() -> None:
    assert shortened("a fox\n and  a bell") == "A fox and a bell"
    assert shortened("a " + "fox " * 14 + "ax") == "A " + "fox " * 14 + "ax"  # 60 characters
    assert shortened("a " + "fox " * 15) == "A " + "fox " * 13 + "fox…"
