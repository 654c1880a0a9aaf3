"""What counts as a heading, a scene break, a paragraph, a style; what the title is."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.events import Chapter, Plan
from polaris_cli.formats.structure import (
    MAX_LEVEL,
    chapters,
    parse,
    plain_text,
    printable,
    spans,
    structure,
)
from polaris_cli.request.story_request import StoryRequest
from tests.books import MARKS, a_book, plain_texts
from tests.stories import a_story


def elements(text: str) -> list[tuple[str, str]]:
    """Element and content of each block."""
    found, element = list[tuple[str, str]](), ""
    for token in parse(text):
        element = token.tag if token.nesting == 1 else element
        if token.nesting == 0:
            found.append((token.tag or element, token.content))
    return found


def styled(text: str) -> list[tuple[str, str]]:
    return [(span.text, " ".join(sorted(span.marks))) for span in spans(parse(text)[1])]


def test_paragraphs_end_at_blank_lines_and_keep_their_lines() -> None:
    text = "One,\ntwo.  \n\n \t\nThree.\r\n\r\nFour.\rFive."
    assert elements(text) == [("p", "One,\ntwo."), ("p", "Three."), ("p", "Four.\nFive.")]


def test_headings_and_breaks_need_no_blank_lines() -> None:
    assert elements("# Top\nText.\n***\n### Deep ##\nMore.\n---\nEnd.\n===") == [
        ("h1", "Top"), ("p", "Text."), ("hr", ""), ("h3", "Deep"), ("p", "More."), ("hr", ""),
        ("p", "End.\n==="),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "***", "* * *", "---", " - - - ", "*****", "    ---", "#", "###", "# # #", "⁂", "•••",
        "• • •", "___", "~", "~~~", "~ * ~", "*", "◆", "❦", "§", "· · ·", "———", "+++", "===",
        "＊＊＊", "＊　＊　＊", "*\u00a0*\u00a0*", "○", "◊", "✽ ✽ ✽", "⸻", "―――", "────",
    ],
)  # fmt: skip
def test_scene_breaks(line: str) -> None:
    assert elements(f"a\n\n{line}\n\nb") == [("p", "a"), ("hr", ""), ("p", "b")]


@pytest.mark.parametrize(
    "line",
    ["--", "#hashtag", "####### seven", "*-*", "2.", "-", "[Kim]: hello", "…", "...", ".", "—",
     "<div>", "<!-- a", "-item", "    indented", "  2.", "~a~", "_", "?", "“…”"],
)  # fmt: skip
def test_other_lines_are_text(line: str) -> None:
    assert elements(f"{line}\n\nb") == [("p", line.strip()), ("p", "b")]


def test_a_numbered_item_keeps_its_number_and_a_language_is_no_number() -> None:
    tokens = parse("1990. It began.\n\n```python\nx\n```")
    assert [token.attrGet("value") for token in tokens if token.type == "list_item_open"] == [
        "1990"
    ]
    assert [token.content for token in tokens if token.type == "fence"] == ["x\n"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- Dobry dzień - rzekł.\n- Kto tam?", ["- Dobry dzień - rzekł.", "- Kto tam?"]),
        ("- Wyszedł.\n\n- Kto?\n- *Nikt.*", ["- Wyszedł.", "- Kto?", "- *Nikt.*"]),
        ("Stał.\n- Kto tam?\n\nSzedł.\n\n- Nic.", ["Stał.", "- Kto tam?", "Szedł.", "- Nic."]),
        ("- Kto tam?\nWstał.\n\n  Wyszedł.", ["- Kto tam?\nWstał.", "Wyszedł."]),
        ("- - Kto?", ["- - Kto?"]),
    ],
)  # fmt: skip
def test_speech_behind_hyphens_is_paragraphs(text: str, found: list[str]) -> None:
    assert elements(text) == [("p", line) for line in found]
    assert {token.level for token in parse(text) if token.type == "paragraph_open"} == {0}
    assert plain_texts(text) == "".join("".join(found).replace("*", "").split())


def test_other_items_stay_lists() -> None:
    for text in ("- eggs\n- milk", "* Who?\n* Me!", "1. Who?", "+ Oh - no"):
        assert "li" in [token.tag for token in parse(text)]
    tags = [token.tag for token in parse("- Kto?\n\n1. eggs\n2. milk")]
    assert tags.count("li") == 4 and "ul" not in tags


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("``` Dear Anna, come home\n\n# Fog\n\n```\n\nIt came.", "p h1 p p"),
        ("It came.\n\n```\nIt went.\n\n# Fog", "p p h1"),
        ("It came.\n\n```", "p"),
        ("It came.\n\n```\nx\n```\n\nIt went.", "p code p"),
        ("It came.\n\n````text\n```\n`````", "p code"),
        ("```\nx\n```\n\n# Fog\n\n```\ny\n```", "code h1 code"),
    ],
)
def test_only_a_fence_that_is_closed_and_has_no_text_behind_it_is_code(
    text: str, tags: str
) -> None:
    assert " ".join(tag for tag, _ in elements(text)) == tags


@pytest.mark.parametrize("start", ["", "```\n", "\n```markdown\n\n", "```md \r\n"])
@pytest.mark.parametrize("end", ["", "\n```", "\n\n```\n\n"])
def test_a_fence_around_the_whole_text_is_no_part_of_it(start: str, end: str) -> None:
    story = a_story(text=f"{start}# The Fog\n\nIt came.{end}")
    found = structure(story)
    assert (story.title, found.title, found.in_text) == ("The Fog", "The Fog", True)
    assert [token.content for token in found.body if token.content] == ["It came."]


def test_quotes_are_in_each_other_only_so_deep() -> None:
    levels = [token.tag for token in parse(">" * (MAX_LEVEL + 5) + " a")].count("blockquote")
    assert levels / 2 == MAX_LEVEL  # each opens and closes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a *b* c", [("a ", ""), ("b", "em"), (" c", "")]),
        ("***b***", [("b", "em strong")]),
        ("*a **b** c*", [("a ", "em"), ("b", "em strong"), (" c", "em")]),
        ("_a_ snake_case_name", [("a", "em"), (" snake_case_name", "")]),
        ("*over\nlines*", [("over\nlines", "em")]),
        ("5 * 3 * 2 ~ a* b *c", [("5 * 3 * 2 ~ a* b *c", "")]),
        ("\\*x\\* &amp; &eacute;", [("*x* & é", "")]),
        ("他说：**“海。”**然后", [("他说：", ""), ("“海。”", "strong"), ("然后", "")]),
        ("これは*「海」*です", [("これは", ""), ("「海」", "em"), ("です", "")]),
        ("***“등대.”***는", [("“등대.”", "em strong"), ("는", "")]),
        ("**海。**他 * 字 *a", [("海。", "strong"), ("他 * 字 *a", "")]),
        ("字 a**“b.”**c", [("字 a**“b.”**c", "")]),
        ("*字 字* 字*", [("字 字", "em"), (" 字*", "")]),
        ("a `*b*`", [("a ", ""), ("*b*", "code")]),
        ("[*a*](http://b.c)", [("a", "em http://b.c")]),
        ("[a](javascript:b)", [("[a](javascript:b)", "")]),
    ],
)
def test_styles(text: str, found: list[tuple[str, str]]) -> None:
    assert styled(text) == found


@given(MARKS)
def test_no_letter_is_lost(text: str) -> None:
    assert plain_texts(f"a\n\n{text}").count("é") == text.count("é")


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "*" * 10_000, "*a " * 10_000, "*a " * 3_000 + "a* " * 3_000, "*a **b ***c " * 5_000,
        "[" * 3_000 + "a" + "]" * 3_000, "[a](" * 3_000, ">" * 3_000 + "a", "- " * 3_000 + "a",
        "\n".join("  " * depth + "- a" for depth in range(300)), "`a``" * 3_000, "<a" * 10_000,
    ],
    ids=range(11),
)  # fmt: skip
def test_adversarial_text_is_read_fast_and_whole(text: str) -> None:
    start = time.perf_counter()
    assert plain_texts(text).count("a") == text.count("a")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "own",
    ["# The *Fog*", "**The Fog**", "## The Fog ##", "Title: The Fog", "**Title:** The Fog",
     "# Title: “The Fog”", "**Title: The Fog**", "Story Title: *The Fog*"],
)  # fmt: skip
def test_the_storys_title_is_not_repeated(own: str) -> None:
    found = structure(a_story(text=f"{own}\n\nIt came."))
    assert (found.title, found.in_text) == ("The Fog", True)
    assert [token.content for token in found.body if token.content] == ["It came."]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# Sagittarius A*", "Sagittarius A*"),
        ("**Sagittarius A\\***", "Sagittarius A*"),
        ("# 5 * 3 * 2", "5 * 3 * 2"),
        ("# M\\*A\\*S\\*H", "M*A*S*H"),
        ("**The *Fog***", "The Fog"),
        ("# *", "A fox"),
    ],
)
def test_asterisks_of_a_title_are_kept_and_marks_are_not(line: str, title: str) -> None:
    story = a_story(text=f"{line}\n\nIt came.", premise="a fox")
    assert structure(story).title == story.title == title


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("A lighthouse keeper\nwoke.", "A lighthouse keeper\nwoke."),
        ("**Title**\nby me", "by me"),
        ("", ""),
    ],
)
def test_text_that_only_looks_like_the_title_is_kept(text: str, body: str) -> None:
    found = structure(a_story(text=text, premise="A lighthouse keeper")).body
    assert "".join(plain_text(token) for token in found) == body


@pytest.mark.parametrize(
    "text",
    ["**Title: The Fog\nby me**\n\nIt came.", "*Title: The Fog\nby* me", "Title: The `Fog\nby` me"],
)
def test_a_title_in_a_style_that_goes_on_below_it_stays_in_the_text(text: str) -> None:
    found = structure(a_story(text=text))
    assert (found.title.replace("`", ""), found.in_text) == ("The Fog", False)
    assert plain_text(found.body[1]).split() == ["Title:", "The", "Fog", "by", "me"]


@pytest.mark.parametrize("line", ["#fog and more", "####### Fog"])
def test_a_hashtag_is_no_title(line: str) -> None:
    assert not structure(a_story(text=f"{line}\n\nIt came.")).in_text


@pytest.mark.parametrize("line", ["**Fog**", "# 1", "Title: Fog"])
def test_a_scene_break_right_below_the_title_is_one(line: str) -> None:
    found = structure(a_story(text=f"{line}\n~\n\nIt came."))
    assert found.in_text and [token.type for token in found.body][:2] == ["hr", "paragraph_open"]


@pytest.mark.parametrize(
    "heading",
    ["# Chapter 1", "## Chapter One: The Fog", "**Chapter 1**", "Chapter 1", "Chapter 2: Storm",
     "# Prologue", "# Prolog", "**Part II**", "**Chapter Twenty-One – Rain**", "Kapitel 3",
     "# Chapter 1 The Fog", "**Chapter IV The Fog**", "# 第一章", "# 第一章 灯塔", "第一章：灯塔",
     "## 第一章：灯塔", "**第十二章 灯塔**", "第1話 灯台", "第一回「灯台」", "제1장 등대",
     "**1화：등대**", "序章", "# プロローグ"],
)  # fmt: skip
def test_the_heading_of_a_chapter_is_no_title(heading: str) -> None:
    story = a_story(text=f"{heading}\n\nIt came.\n\n**Chapter 9**\n\nIt went.", premise="a fog")
    found = structure(story)
    assert (found.title, found.in_text, story.title) == ("A fog", False, "A fog")
    names = [name for name, _ in chapters(found)]
    assert names == [heading.strip("#* "), "Chapter 9"]


def test_a_title_and_the_first_chapters_heading_are_told_apart() -> None:
    found = structure(a_story(text="Title: The Fox\n\nChapter 1\n\nIt ran.\n\nChapter 2\n\nHa."))
    assert (found.title, found.in_text) == ("The Fox", True)
    assert [name for name, _ in chapters(found)] == ["Chapter 1", "Chapter 2"]


def test_a_first_chapter_that_is_named_as_its_book_keeps_its_heading() -> None:
    plan = Plan("The Fox", "", (Chapter("The Fox", 40, ""), Chapter("Home", 40, "")))
    request = StoryRequest("a fox", 80, length="chapters", headings=True)
    text = "## The Fox\n\nIt ran.\n\n## Home\n\nHa."
    found = structure(replace(a_story(text=text), plan=plan, request=request))
    assert (found.title, found.in_text) == ("The Fox", False)
    assert [name for name, _ in chapters(found)] == ["The Fox", "Home"]


@pytest.mark.parametrize("indent", ["\u3000", "\u00a0\u00a0", "\u2003"])
def test_wide_spaces_at_the_start_of_a_paragraph_stay(indent: str) -> None:
    text = f"{indent}霧が出た。\n\n「はい」\n\n\n{indent}それから。\n{indent}次\n\n    * * *"
    assert elements(text)[:3] == [
        ("p", f"{indent}霧が出た。"),
        ("p", "「はい」"),
        ("p", f"{indent}それから。\n{indent}次"),
    ]


@pytest.mark.parametrize(
    "line",
    ["Chapter 1 was missing from the book.", "Part of him knew.", "**Run!**", "Title deeds: none.",
     "Prologue to a war, they called it.", "Chapter and verse", "The last chapter", "Scene",
     "Chapter 2 was the one she liked best.", "**Chapter 2 was the one she liked best**",
     "**Chapter 2 Was Missing.**", "Chapter 2 The Fog", "第二章是她最喜欢的。", "第二章 她很喜欢。",
     "第二章：她最喜欢这一章。", "제2장은 그녀가 가장 좋아한 장이었다.", "제2장 첫 문장을 읽었다.",
     "第一次", "3장 남았다"],
)  # fmt: skip
def test_a_sentence_is_no_heading(line: str) -> None:
    found = structure(a_story(text=f"It came.\n\n{line}\n\nIt went."))
    assert [token.type for token in found.body if "heading" in token.type] == []


def test_the_top_headings_become_h2_and_start_chapters() -> None:
    found = structure(a_story(text="# T\n\nA.\n\n### One\n\n#### Sub\n\n###### Deep\n\n### *Two*"))
    tags = [token.tag for token in found.body if token.type == "heading_open"]
    assert tags == ["h2", "h3", "h4", "h2"]
    assert [name for name, _ in chapters(found)] == ["T", "One", "Two"]


def test_a_heading_in_a_quotation_does_not_change_the_level_of_chapters() -> None:
    quoted = "> # Chapter 7\n>\n> ### Wanted: a fox\n\n"
    found = structure(a_story(text=f"T.\n\n{quoted}## One\n\nA.\n\n**Chapter 2**\n\nB."))
    tags = [token.tag for token in found.body if token.type == "heading_open"]
    assert tags == ["h2", "h3", "h2", "h2"]
    assert [name for name, _ in chapters(found)][1:] == ["One", "Chapter 2"]
    alone = structure(a_story(text=quoted))
    assert [token.tag for token in alone.body if token.type == "heading_open"] == ["h2", "h4"]


@pytest.mark.parametrize("text", ["# The Fog\n\nIt came.", "**The Fog**\n\nIt came."])
def test_a_given_title_replaces_the_storys_own(text: str) -> None:
    found = structure(a_book(text, title="The Letter"))
    assert (found.title, found.in_text) == ("The Letter", True)
    assert [plain_text(token) for token in found.body if token.type == "inline"] == ["It came."]


def test_a_given_title_is_not_a_line_of_a_text_without_one() -> None:
    found = structure(a_book("It came.", title="The Letter"))
    assert (found.title, found.in_text) == ("The Letter", False)


def test_a_story_always_has_a_title() -> None:
    assert structure(a_story(premise="\x07")).title == "Untitled"


@given(st.text(st.characters()))
def test_characters_that_xml_forbids_are_dropped(text: str) -> None:
    from xml.etree.ElementTree import fromstring

    kept = printable(text)
    fromstring(f"<a>{kept.replace('&', '').replace('<', '').replace(']]>', '')}</a>")
    assert printable(kept) == kept
