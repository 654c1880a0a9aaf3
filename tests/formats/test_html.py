"""A page contains the whole story, is well formed, and escapes HTML in the story."""

from pathlib import Path

import pytest

from polaris_cli.formats.html import html
from polaris_cli.story.quality import Quality
from tests.books import EVERYTHING, PREMISE, Elements, a_book, png
from tests.stories import a_story


def body(text: str) -> str:
    page = html(a_story(text=text))
    return page.partition("</header>\n")[2].partition("<footer>")[0].strip()


def test_the_footer_has_the_figures_on_the_text() -> None:
    quality = Quality(1.5, 2.25, self_repetition=0.001, meta_talk=0)
    page = html(a_story(text="One two.", words=4, quality=quality))
    assert (
        "words written / words asked 0.50; finish: interrupted; surprise 1.50 nats; at most 2.25"
        in page
    )
    assert "surprise" not in html(a_story(text="One two."))


def test_a_page_contains_the_whole_story() -> None:
    found = Elements(html(a_story(text=EVERYTHING, premise=PREMISE))).found
    assert ("title", "The Fog & the <Letter>") in found
    story = found[found.index(("h1", "The Fog & the <Letter>")) + 1 :]
    assert story[:10] == [
        ("p", "Before, with "),
        ("em", "italic"),
        ("p", ", "),
        ("strong", "bold"),
        ("p", ", "),
        ("em", "both "),
        ("strong", "at"),
        ("em", " once"),
        ("p", " and "),
        ("code", "code"),
    ]
    assert [text for element, text in story if element in ("h2", "h3")] == [
        "One: ", "Deep", "Two",
    ]  # fmt: skip
    for expected in [
        ("p", ", *no stars*, \u00e9, <b>no tag</b>."),
        ("a", "a link"),
        ("p", '"Hello," she said. 5 * 3 \U0001f600'),
        ("p", "And deeper."),
        ("li", "It is."),
        ("code", "  code < &\n"),
        ("p", "End ]]> &"),
    ]:
        assert expected in story
    assert story.count(("hr", "")) == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One\ntwo", "<p>One<br />\ntwo</p>"),
        ("# T\n\n## T ##", "<h2>T</h2>"),
        ("1984. Hot.\n\n1990. Cold.", '<li value="1990">'),
        ("> q", "<blockquote>\n<p>q</p>\n</blockquote>"),
        ("![alt](https://a.b/c.png)", '<p>!<a href="https://a.b/c.png">alt</a></p>'),
        ("&#12;&#1;x\0", "<p>\ufffdx</p>"),
    ],
)
def test_markdown_is_converted(text: str, shown: str) -> None:
    assert shown in html(a_story(text=text))


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "other.html", "//a.b", "file:///etc"]
)
def test_only_web_and_mail_addresses_are_links(address: str) -> None:
    assert "<a " not in body(f"[a]({address}) <{address}>")
    assert body("<mailto:a@b.org>").startswith('<p><a href="mailto:a@b.org">')


def test_a_page_is_self_contained_and_guesses_no_language() -> None:
    page = html(a_story(text="It came."))
    assert "src=" not in page and "href=" not in page and "lang=" not in page
    assert "color-scheme: light dark" in page


@pytest.mark.parametrize(
    ("text", "given", "attributes"),
    [
        ("The fox saw the hen.", "", ' lang="en"'),
        ("It came.", "pt-BR", ' lang="pt-BR"'),
        ("השועל", "", ' lang="he" dir="rtl"'),
        ("الثعلب", "", ' dir="rtl"'),
        ("الثعلب", "fa", ' lang="fa" dir="rtl"'),
    ],
)
def test_the_language_and_direction_of_a_page(text: str, given: str, attributes: str) -> None:
    assert f"<html{attributes}>" in html(a_book(text, language=given))


def test_the_author_and_cover_are_shown_outside_the_text(tmp_path: Path) -> None:
    page = html(a_book("# Fog\n\nIt came.", author="A & B", cover=png(tmp_path)))
    assert '<meta name="author" content="A &amp; B">' in page
    assert '<header><p class="author">A &amp; B</p></header>' in page
    assert '<header><img src="data:image/png;base64,' in page and 'alt="Fog"' in page


def test_tags_in_a_story_are_escaped() -> None:
    attack = '</p><script>alert("x")</script>'
    page = html(a_story(text=f"# {attack}\n\n{attack}\n\n<script>", premise=attack))
    assert "<script" not in page


def test_a_title_that_is_not_in_the_text_is_in_a_header() -> None:
    assert "<header><h1>A fox</h1></header>" in html(a_story(text="It ran.", premise="a fox"))
    assert "<header>" not in html(a_story(text="# Fox\n\nIt ran.", premise="a fox"))
