"""Each format holds the whole story, well formed, whatever characters are in it."""

import json
import zipfile
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.errors import UsageError
from polaris_cli.formats.export import FORMATS, check_output, render, save
from polaris_cli.story.result import Story
from tests.stories import a_story

TEXT = """# The *Fog* & the <Letter>

Before, with *italic* and **bold**.
Second line.

## One: **Go**

"Hello," she said. 5 * 3 \x07😀

* * *

After.

## Two

End ]]> &amp;"""
PREMISE = 'a "lighthouse": <keeper> & \x00é 😀\u2028\x85\x7f'
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
XHTML = "{http://www.w3.org/1999/xhtml}"
OPF = "{http://www.idpf.org/2007/opf}"


@pytest.fixture
def story() -> Story:
    return a_story(text=TEXT, premise=PREMISE, finish="stop")


def members(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def text_of(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


class Elements(HTMLParser):
    """The tags and texts of a page; fails on a tag that is not closed where it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "hr", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append((self._open[-1], data))


# --- The plain formats ---


def test_txt_is_the_text_and_a_line_break(story: Story) -> None:
    assert render(story, "txt") == f"{TEXT}\n".encode()
    assert render(a_story(text="a\ud800"), "txt") == b"a?\n"


def test_md_is_the_text_under_its_front_matter(story: Story) -> None:
    yaml = pytest.importorskip("yaml")
    content = render(story, "md").decode()
    _, matter, text = content.split("---\n", 2)
    assert text == f"\n{TEXT}\n"
    assert yaml.safe_load(matter) == {
        "title": "The Fog & the <Letter>",
        "premise": PREMISE.replace("\0", ""),
        "words_requested": 8,
        "words_written": story.written,
        "ratio": round(story.ratio, 2),
        "model": "demo",
        "date": "2026-01-31T12:00:00Z",
        "finish": "stop",
        "id": "abcd1234",
    }


@given(st.text(st.characters(), min_size=1))
def test_any_premise_fits_the_front_matter(premise: str) -> None:
    yaml = pytest.importorskip("yaml")
    from polaris_cli.formats.structure import printable

    content = render(a_story(premise=premise), "md").decode()
    assert yaml.safe_load(content.split("---\n")[1])["premise"] == printable(premise)


def test_json_is_the_record(story: Story) -> None:
    assert Story.from_dict(json.loads(render(story, "json"))) == story
    odd = a_story(text="\ud800 é")
    assert json.loads(render(odd, "json"))["story"] == "\ud800 é"


# --- html ---


def test_html_has_all_of_the_story(story: Story) -> None:
    found = Elements(render(story, "html").decode()).found
    assert ("title", "The Fog & the <Letter>") in found
    assert ("h1", "The Fog & the <Letter>") in found
    article = found[found.index(("h1", "The Fog & the <Letter>")) + 1 :]
    assert article[:9] == [
        ("p", "Before, with "),
        ("em", "italic"),
        ("p", " and "),
        ("strong", "bold"),
        ("p", "."),
        ("br", ""),
        ("p", "\nSecond line."),
        ("h2", "One: "),
        ("strong", "Go"),
    ]
    assert ("p", '"Hello," she said. 5 * 3 😀') in article
    assert ("hr", "") in article
    assert ("p", "End ]]> &amp;") in article


def test_html_stands_alone_and_guesses_no_language(story: Story) -> None:
    page = render(story, "html").decode()
    assert "src=" not in page and "href=" not in page and "lang=" not in page
    assert "color-scheme: light dark" in page


def test_a_story_cannot_bring_tags_into_html() -> None:
    attack = '</p><script>alert("x")</script>'
    page = render(a_story(text=f"# {attack}\n\n{attack}", premise=attack), "html").decode()
    assert "<script" not in page


# --- epub ---


def test_epub_holds_the_parts_that_a_book_needs(story: Story) -> None:
    content = render(story, "epub")
    assert content[30:58] == b"mimetypeapplication/epub+zip"  # where readers look for it
    parts = members(content)
    container = ElementTree.fromstring(parts["META-INF/container.xml"])
    assert container[0][0].get("full-path") == "EPUB/package.opf"
    package = ElementTree.fromstring(parts["EPUB/package.opf"])
    metadata = {element.tag.split("}")[1]: element.text for element in package[0]}
    assert metadata["title"] == "The Fog & the <Letter>"
    assert metadata["identifier"] == "polaris-abcd1234"
    assert metadata["meta"] == metadata["date"] == "2026-01-31T12:00:00Z"
    items = {item.get("id"): item.get("href") for item in package.iter(f"{OPF}item")}
    assert {f"EPUB/{href}" for href in items.values()} | {
        "mimetype",
        "META-INF/container.xml",
        "EPUB/package.opf",
    } == set(parts)
    order = [items[ref.get("idref")] for ref in package.iter(f"{OPF}itemref")]
    assert order == ["title.xhtml", "chapter-1.xhtml", "chapter-2.xhtml", "chapter-3.xhtml"]


def test_epub_has_a_chapter_for_each_heading(story: Story) -> None:
    parts = members(render(story, "epub"))
    nav = ElementTree.fromstring(parts["EPUB/nav.xhtml"])
    contents = {link.get("href"): link.text for link in nav.iter(f"{XHTML}a")}
    assert contents == {
        "chapter-1.xhtml": "The Fog & the <Letter>",
        "chapter-2.xhtml": "One: Go",
        "chapter-3.xhtml": "Two",
    }
    second = ElementTree.fromstring(parts["EPUB/chapter-2.xhtml"])[1]
    assert [element.tag.split("}")[1] for element in second] == ["h2", "p", "hr", "p"]
    assert " ".join(text_of(second).split()) == 'One: Go "Hello," she said. 5 * 3 😀 After.'


@pytest.mark.parametrize("text", ["", "No headings.", "# Only a title"])
def test_epub_of_a_story_without_headings_has_one_chapter(text: str) -> None:
    parts = members(render(a_story(text=text), "epub"))
    assert [name for name in parts if "chapter" in name] == ["EPUB/chapter-1.xhtml"]
    for name, part in parts.items():
        if name.endswith(("xhtml", "opf", "xml")):
            ElementTree.fromstring(part)


# --- docx ---


def paragraphs(content: bytes) -> list[tuple[str | None, str]]:
    document = ElementTree.fromstring(members(content)["word/document.xml"])
    return [
        (style.get(f"{W}val"), text_of(paragraph))
        for paragraph in document.iter(f"{W}p")
        for style in paragraph.iter(f"{W}pStyle")
    ]


def test_docx_has_all_of_the_story_in_its_styles(story: Story) -> None:
    content = render(story, "docx")
    assert paragraphs(content) == [
        ("Title", "The Fog & the <Letter>"),
        ("Normal", "Before, with italic and bold.Second line."),
        ("Heading1", "One: Go"),
        ("Normal", '"Hello," she said. 5 * 3 😀'),
        ("SceneBreak", "* * *"),
        ("Normal", "After."),
        ("Heading1", "Two"),
        ("Normal", "End ]]> &amp;"),
    ]
    document = ElementTree.fromstring(members(content)["word/document.xml"])
    runs = list(document.iter(f"{W}r"))
    assert [text_of(run) for run in runs if run.find(f"{W}rPr/{W}i") is not None] == ["italic"]
    assert [text_of(run) for run in runs if run.find(f"{W}rPr/{W}b") is not None] == ["bold", "Go"]
    assert len(list(document.iter(f"{W}br"))) == 1


def test_docx_names_all_of_its_parts_and_styles(story: Story) -> None:
    parts = members(render(story, "docx"))
    types = ElementTree.fromstring(parts["[Content_Types].xml"])
    named = {part.get("PartName", "").lstrip("/") for part in types} - {""}
    assert named == {name for name in parts if name.endswith(".xml")} - {"[Content_Types].xml"}
    styles = ElementTree.fromstring(parts["word/styles.xml"])
    known = {style.get(f"{W}styleId") for style in styles.iter(f"{W}style")}
    assert {style for style, _ in paragraphs(render(story, "docx"))} <= known
    properties = ElementTree.fromstring(parts["docProps/core.xml"])
    assert properties[0].text == "The Fog & the <Letter>"


# --- All ---


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_story_gives_the_same_bytes(story: Story, format: str) -> None:
    assert render(story, format) == render(story, format)


@given(text=st.text(st.characters(), max_size=60))
def test_any_text_is_well_formed_in_every_format(text: str) -> None:
    story = a_story(text=f"{text}\n\n# {text}\n\n*{text}*", premise=text or "x")
    for format in ("epub", "docx"):
        for name, part in members(render(story, format)).items():
            if name.endswith(("xml", "rels", "opf")):
                ElementTree.fromstring(part)
    Elements(render(story, "html").decode())


@pytest.mark.parametrize("format", FORMATS)
def test_saving_chooses_the_format_by_the_suffix(tmp_path: Path, story: Story, format: str) -> None:
    path = tmp_path / f"My Story.v2.{format.upper()}"
    check_output(path, force=False)
    save(story, path, force=False)
    assert path.read_bytes() == render(story, format)
    with pytest.raises(UsageError, match="exists"):
        save(story, path, force=False)
    save(a_story(text="New."), path, force=True)
    assert path.read_bytes() == render(a_story(text="New."), format)


@pytest.mark.parametrize("name", ["story", "story.pdf", ".md", "story.", "story.txt "])
def test_an_unknown_suffix_is_told_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="suffix") as caught:
        check_output(tmp_path / name, force=False)
    assert all(f".{format}" in caught.value.hint for format in FORMATS)


def test_a_missing_folder_is_told_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        check_output(tmp_path / "missing" / "story.md", force=False)
