"""Plans are read leniently."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.events import Chapter, Plan
from polaris_cli.story.plan_answer import is_complete, read_answer


def parse_plan(answer: str, words: int) -> Plan | None:
    """The plan in an answer, if it has at least two chapters."""
    found = read_answer(answer)
    return found.plan(words) if found.is_readable(len(found.chapters)) else None


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
        "1. One | 100.0 words | a\n2. Two | 100.5 words | b",
        "1. **One** (100 words): a\n2. **Two** (100 words) - b",
        "1. One (approx. 100 words): a\n2. Two [about 100 words] | b",
    ],
)
def test_plans_that_are_badly_written_are_mended(answer: str) -> None:
    plan = parse_plan(answer, 200)
    assert plan
    assert [chapter.title for chapter in plan.chapters] == ["One", "Two"]
    assert [chapter.summary for chapter in plan.chapters] == ["a", "b"]
    assert [chapter.words for chapter in plan.chapters] == [100, 100]


FULL = """Title: The Letter
Cast: Mara, a keeper who wants to leave; Ivo, her brother, who wants her to stay
Place: a lighthouse off Brill, in the winter of 1911
Arc: Mara gives up the sea and learns why she loved it.
Facts: The letter is blue; Ivo limps
Chapter 1: The Fog | 300 words
- Mara finds a letter
- She hides it from Ivo
Chapter 2: The Boat | 600 words
- Ivo is late
- The boat is gone"""


def test_a_full_plan_is_read_and_written_alike() -> None:
    plan = parse_plan(FULL, 900)
    assert plan and plan.as_lines() == FULL and plan.is_full
    assert plan.place == "a lighthouse off Brill, in the winter of 1911"
    assert plan.chapters[1] == Chapter(
        "The Boat", 600, "Ivo is late. The boat is gone", ("Ivo is late", "The boat is gone")
    )


@pytest.mark.parametrize(
    "answer",
    [
        FULL.replace("- ", "* ").replace("Chapter", "### Chapter"),
        re.sub(r"^(\w+):", r"**\1:**", FULL, flags=re.M),
        re.sub(r"^(Chapter \d):", r"**\1** –", FULL, flags=re.M),
        re.sub(r"^- (Mara|Ivo)(.*)\n- ", r"1. \1\2\n2. ", FULL, flags=re.M),
        re.sub(r" \| (\d+ words)", r" (\1)", FULL),
        re.sub(
            r"^(Chapter \d): (.*) \| (.*)", r"\1\nTitle: \2\nLength: \3\nEvents:", FULL, flags=re.M
        ),
        FULL.replace("Cast: ", "Characters:\n- ").replace("; Ivo, her", "\n- **Ivo**, her"),
        FULL.replace("Place: ", "Setting:\n\n").replace("Facts", "Remember"),
        "Here is the plan.\n\n" + FULL + "\n\nShall I start?\n",
        "\n".join([*FULL.splitlines()[5:], *FULL.splitlines()[:5]]),
        "\n".join(FULL.splitlines()[place] for place in (0, 8, 9, 10, 5, 6, 7, 1, 2, 3, 4)),
    ],
)
def test_full_plans_that_are_badly_written_are_mended(answer: str) -> None:
    plan = parse_plan(answer, 900)
    assert plan and plan.as_lines() == FULL


def test_a_full_plan_is_complete_when_something_else_follows() -> None:
    def complete(rest: str) -> bool:
        return is_complete(FULL + rest, 2, full=True)

    assert not complete("") and not complete("\n\n") and not complete("\n- more\n")
    assert not complete("\nFacts: The letter is blue\n")
    assert complete("\n\nMara was a keeper.\n") and not complete("\n\nMara was")


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        (("1. A | a", "3. C | c", "2. B | b"), [1, 2, 3]),
        (("1. A | a", "3. C | c", "4. D | d"), [1, 3, 4]),
        (("1. A | a", "1. C | c", "1. D | d"), [1, 2, 3]),
        (("0. A | a", "1. C | c"), [1, 2]),
    ],
)
def test_chapters_have_the_numbers_of_their_lines(lines: list[str], numbers: list[int]) -> None:
    assert sorted(read_answer("\n".join(lines)).chapters) == numbers


WORD = st.lists(st.text("abcXYZ", min_size=2, max_size=9), min_size=1, max_size=4).map(" ".join)
ROW = st.builds(
    lambda title, words, events, summary: Chapter(
        title, words, summary or ". ".join(events), tuple(events)
    ),
    WORD, st.integers(1, 9999), st.lists(WORD, min_size=1, max_size=3), st.just("") | WORD,
)  # fmt: skip


@given(
    st.tuples(*[WORD] * 5),
    st.lists(ROW, min_size=2, max_size=6, unique_by=lambda chapter: chapter.title),
)
def test_any_full_plan_is_read_from_its_lines(texts: tuple[str, ...], rows: list[Chapter]) -> None:
    title, cast, place, arc, facts = texts
    plan = Plan(title, cast, tuple(rows), place, arc, facts)
    assert parse_plan(plan.as_lines(), plan.words) == plan


@given(st.text("Chapter :1.-|\n*#a9(", max_size=200), st.integers(1, 4))
def test_any_answer_is_read(answer: str, count: int) -> None:
    found = read_answer(answer)
    is_complete(answer, count, full=True)
    if found.is_readable(count):
        assert found.plan(100).chapters


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


def test_chapters_without_words_get_the_mean_of_the_others() -> None:
    plan = parse_plan("1. One | 100 words | a\n2. Two | b\n3. Three | 300 words | c", 600)
    assert plan and [chapter.words for chapter in plan.chapters] == [100, 200, 300]


FOUND = "Anna findet den Brief"
GERMAN = """Titel: Der Brief
Figuren: Anna, eine Müllerin
Ort: ein Dorf im Winter
Kapitel 1: Der Fund | 500 Wörter
- Anna findet den Brief.
Kapitel 2: Die Antwort | 700 Wörter
- Sie schreibt zurück."""
FRENCH = "Titre : La Lettre\n1. Avril | environ 500 mots | Anne la trouve\n2. Mai | 700 mots | fin"
CHINESE = "标题：来信\n人物：安娜\n第一章：雪夜 | 500字 | 安娜发现信\n第二章：回信 | 700字 | 她回信"
DIGITS = "标题：来信\n1、雪夜｜500字｜安娜发现信\n2、回信｜约700字｜她回信"


@pytest.mark.parametrize(
    ("answer", "title", "first"),
    [
        (GERMAN, "Der Brief", Chapter("Der Fund", 500, FOUND, (f"{FOUND}.",))),
        (FRENCH, "La Lettre", Chapter("Avril", 500, "Anne la trouve")),
        (CHINESE, "来信", Chapter("雪夜", 500, "安娜发现信")),
        (DIGITS, "来信", Chapter("雪夜", 500, "安娜发现信")),
    ],
)  # fmt: skip
def test_a_plan_may_be_in_the_language_of_the_premise(
    answer: str, title: str, first: Chapter
) -> None:
    plan = parse_plan(answer, 1200)
    assert plan and plan.title == title
    assert plan.chapters[0] == first
    assert [chapter.words for chapter in plan.chapters] == [500, 700]
    assert not plan.cast or plan.cast.startswith(("Anna", "安娜"))


def test_items_of_a_chapter_may_have_the_labels_of_fields() -> None:
    found = read_answer(
        "Cast: Ada\nChapter 1: Night | 1000 words\n- Setting: the pier\n- Characters: Ada, Ben\n"
        "- she leaves\nChapter 2: Day | 900-1100 words\n- she returns\n- Facts: the key is lost\n"
    )
    assert found.fields == {"cast": "Ada", "facts": "the key is lost"}
    assert found.chapters[1].events == ("Setting: the pier", "Characters: Ada, Ben", "she leaves")
    assert (found.chapters[2].words, found.chapters[2].events) == (900, ("she returns",))


def test_a_dash_divides_only_where_there_is_no_bar() -> None:
    found = read_answer(
        "1. Night - The Fog | 300 words | a fox\n2. Day - 200 words - a hen"
    ).chapters
    assert [(one.title, one.words, one.summary) for one in found.values()] == [
        ("Night - The Fog", 300, "a fox"),
        ("Day", 200, "a hen"),
    ]
