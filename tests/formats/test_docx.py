"""A Word file contains the whole story in Word's styles."""

from io import BytesIO

import pytest
from docx import Document
from docx.text.paragraph import Paragraph

from polaris_cli.formats.docx import docx
from tests.books import EVERYTHING, PREMISE, a_book, members
from tests.stories import a_story


def paragraphs(text: str, premise: str = PREMISE) -> list[Paragraph]:
    return list(Document(BytesIO(docx(a_story(text=text, premise=premise)))).paragraphs)


def styled(text: str) -> list[tuple[str, str]]:
    return [(p.style.name or "", p.text) for p in paragraphs(text, "a fox") if p.style][1:]


def test_each_block_has_its_style() -> None:
    found = [(p.style.name, p.text) for p in paragraphs(EVERYTHING) if p.style]
    assert found[0] == ("Title", "The Fog & the <Letter>")
    assert found[1][1].startswith("Before, with italic, bold, both at once and code.\nSecond line,")
    assert found[2:] == [
        ("Heading 1", "One: Go"),
        ("Normal", '"Hello," she said. 5 * 3 \U0001f600'),
        ("Scene Break", "* * *"),
        ("Quote", '"So," he read.'),
        ("Quote", "And deeper."),
        ("List Bullet", "one"),
        ("List Bullet", "two"),
        ("List Continue", "still two"),
        ("List 2", "1.\tinner"),
        ("List", "1984.\tIt was."),
        ("List", "1990.\tIt is."),
        ("Heading 2", "Deep"),
        ("macro", "  code < &"),
        ("Normal", "After."),
        ("Scene Break", "* * *"),
        ("Heading 1", "Two"),
        ("Normal", "End ]]> &"),
    ]


def test_emphasis_code_and_links() -> None:
    paragraph = paragraphs(EVERYTHING)[1]
    assert [run.text for run in paragraph.runs if run.bold] == ["bold", "at"]
    assert [run.text for run in paragraph.runs if run.italic] == ["italic", "both ", "at", " once"]
    assert [run.text for run in paragraph.runs if run.font.name == "Courier"] == []
    link = paragraph.hyperlinks[0]
    assert (link.text, link.address) == ("a link", "https://example.org/a?b=c&d")


def test_a_lone_number_is_kept() -> None:
    assert styled("2.\n\nIt came.") == [("Normal", "2."), ("Normal", "It came.")]
    assert styled("1. a\n\n2.") == [("List", "1.\ta"), ("List", "2.\t")]


@pytest.mark.parametrize(
    ("block", "style", "shown"),
    [
        ("> rule", "Quote", "rule"),
        ("# Rule", "Heading 1", "Rule"),
        ("```\n   code\n   ```", "macro", "code"),
        ("- inner", "List Bullet 2", "inner"),
    ],
)
def test_a_number_is_above_a_block_that_is_no_paragraph(block: str, style: str, shown: str) -> None:
    expected = [("List", "1.\t"), (style, shown), ("List", "2.\tb")]
    assert styled(f"1. {block}\n2. b") == expected


@pytest.mark.parametrize("length", [10, 300])
def test_the_properties_describe_the_story(length: int) -> None:
    story = a_story(text=f"# {'T' * length}\n\nIt came.", premise="p" * length)
    properties = Document(BytesIO(docx(story))).core_properties
    assert (properties.title, properties.comments) == ("T" * length, "p" * length)
    assert properties.author == properties.last_modified_by == "demo"
    assert f"{properties.created:%Y-%m-%d %H:%M}" == "2026-01-31 12:00"


def test_an_author_may_have_any_length() -> None:
    properties = Document(BytesIO(docx(a_book("It came.", author="A" * 300)))).core_properties
    assert properties.author == properties.last_modified_by == "A" * 300


def test_author_and_language_are_set_for_word() -> None:
    content = docx(a_book("# Fog\n\nהשועל **ישן**", author="A & B"))
    document = Document(BytesIO(content))
    assert document.core_properties.author == "A & B"
    assert document.core_properties.language == "he"
    assert [p.style.name for p in document.paragraphs if p.style] == ["Title", "Author", "Normal"]
    assert document.styles["Normal"].font.rtl
    styles = members(content)["word/styles.xml"]
    assert '<w:lang w:val="he" w:eastAsia="he" w:bidi="he"/>' in styles and "<w:bidi/>" in styles


def test_the_thumbnail_and_language_of_the_template_are_removed() -> None:
    content = docx(a_story(text="It came."))
    assert "thumbnail" not in str(content)
    assert "w:lang" not in members(content)["word/styles.xml"]
