"""What counts as a heading, a scene break, a paragraph, bold and italic."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.formats.structure import Block, Span, blocks, body, plain, printable, spans, title
from tests.stories import a_story

PROSE = st.text(st.sampled_from(list("ab *#-_\n\r\t\0é😀")), max_size=40)


def test_paragraphs_end_at_blank_lines_and_keep_their_lines() -> None:
    text = "One,\ntwo.  \n\n \t\nThree.\r\n\r\nFour.\rFive."
    assert [block.text for block in blocks(text)] == ["One,\ntwo.", "Three.", "Four.\nFive."]


def test_headings_and_breaks_need_no_blank_lines() -> None:
    assert list(blocks("# Top\nText.\n***\n### Deep ##\nMore.")) == [
        Block("heading", "Top", 1),
        Block("paragraph", "Text."),
        Block("break"),
        Block("heading", "Deep ##", 3),
        Block("paragraph", "More."),
    ]


@pytest.mark.parametrize("line", ["***", "* * *", "---", " - - - ", "*****"])
def test_scene_breaks(line: str) -> None:
    assert list(blocks(f"a\n\n{line}\n\nb"))[1] == Block("break")


@pytest.mark.parametrize(
    "line", ["**", "--", "#hashtag", "####### seven", "*-*", "- item", "* item"]
)
def test_other_lines_are_literal(line: str) -> None:
    assert list(blocks(line)) == [Block("paragraph", line)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a *b* c", [Span("a "), Span("b", italic=True), Span(" c")]),
        ("**b**", [Span("b", bold=True)]),
        ("***b***", [Span("b", bold=True, italic=True)]),
        (
            "*a **b** c*",
            [
                Span("a ", italic=True),
                Span("b", bold=True, italic=True),
                Span(" c", italic=True),
            ],
        ),
        ("mid*dle*d", [Span("mid"), Span("dle", italic=True), Span("d")]),
        ("*over\nlines*", [Span("over\nlines", italic=True)]),
        ("5 * 3 * 2", [Span("5 * 3 * 2")]),
        ("a* b *c", [Span("a* b *c")]),
        ("*one **two*", [Span("one **two", italic=True)]),
        ("**open", [Span("**open")]),
        ("****", [Span("****")]),
        ("snake_case_name", [Span("snake_case_name")]),
    ],
)
def test_emphasis(text: str, found: list[Span]) -> None:
    assert list(spans(text)) == found


@given(PROSE)
def test_no_character_is_lost_but_marks(text: str) -> None:
    shown = "".join(block.text for block in blocks(text))
    for mark in "*#- \t\n\r\0":
        text, shown = text.replace(mark, ""), shown.replace(mark, "")
    assert shown == text
    assert plain(text).replace("*", "") == text.replace("*", "")


def test_many_asterisks_take_no_time() -> None:
    start = time.perf_counter()
    for text in ("*a " * 50_000, "*a* " * 50_000, "*a **b ***c " * 20_000, "*" * 100_000):
        list(spans(text))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("own", ["# The *Fog*", "**The Fog**", "## The Fog"])
def test_the_own_title_is_not_repeated(own: str) -> None:
    story = a_story(text=f"{own}\n\nIt came.")
    assert title(story) == "The Fog"
    assert body(story) == [Block("paragraph", "It came.")]


def test_what_only_looks_like_the_title_stays() -> None:
    story = a_story(text="A lighthouse keeper\nwoke.", premise="A lighthouse keeper")
    assert body(story) == [Block("paragraph", "A lighthouse keeper\nwoke.")]
    assert body(a_story(text="**Title**\nby me"))[0].text == "by me"
    assert body(a_story(text="")) == []


def test_the_highest_headings_are_raised() -> None:
    story = a_story(text="# T\n\n### One\n\n#### Sub\n\n###### Deep")
    assert [block.level for block in body(story)] == [1, 2, 3]


@given(st.text(st.characters()))
def test_what_xml_forbids_is_dropped(text: str) -> None:
    from xml.etree.ElementTree import fromstring

    kept = printable(text)
    fromstring(f"<a>{kept.replace('&', '').replace('<', '').replace(']]>', '')}</a>")
    assert printable(kept) == kept
