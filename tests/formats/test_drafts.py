"""Drafts are read unchanged, and exports are read back to the same story."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polaris_cli.errors import UsageError
from polaris_cli.formats.drafts import read_draft
from polaris_cli.formats.export import render
from polaris_cli.formats.files import MAX_UNPACKED, zipped
from polaris_cli.request.story_request import Draft
from tests.books import EVERYTHING, FLAT_STORIES, MARKS, STORIES, a_book, plain_texts, shape
from tests.stories import a_story

ENCRYPTED = zipped([("META-INF/container.xml", "<a/>")])
ENCRYPTED = ENCRYPTED[:6] + b"\1" + ENCRYPTED[7:]
ENCRYPTED = ENCRYPTED.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1")
TEXT = "# The Fox\n\n    Indented, it *ran*.\n\n---\n\nSee: <think> isn't a tag.\u2028  End"


def read(tmp_path: Path, content: str | bytes, name: str = "draft.txt") -> Draft:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_draft(str(path))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"It was night.\n", "It was night."),
        (b"\xef\xbb\xbfIt was.\r\nNight.\r\n", "It was.\nNight."),
        (b"old mac\rline\r", "old mac\nline"),
        (b"  indented and then he ", "  indented and then he"),
        (b"A paragraph.\n\n\n", "A paragraph.\n\n"),
        (b"A paragraph.\r\n \r\n", "A paragraph.\n\n"),
        (b"\n\nafter blank lines", "\n\nafter blank lines"),
        ("e\u0301 is not \u00e9".encode(), "e\u0301 is not \u00e9"),
    ],
)
def test_only_line_ends_are_changed(tmp_path: Path, content: bytes, text: str) -> None:
    assert read(tmp_path, content) == Draft(text)


@pytest.mark.parametrize("words", ["true", "0", "-100", "40000000"])
def test_a_length_that_no_story_has_counts_as_none(tmp_path: Path, words: str) -> None:
    record = f'{{"story": "It was.", "premise": "a fox", "words": {{"requested": {words}}}}}'
    assert read(tmp_path, record, "story.json") == Draft("It was.", premise="a fox")
    matter = f"premise: a fox\nwords_requested: {words}"
    found = read(tmp_path, f"---\n{matter}\n---\n\nIt was.\n", "story.md")
    assert found == Draft("It was.", matter, "a fox")


@pytest.mark.parametrize("format", ["txt", "md", "json"])
@pytest.mark.parametrize(
    "text", [TEXT, "---\na: b\n---\n\nIt ended.", "## One\n\nA.\n\n## Two\n\nB."]
)
def test_an_export_is_read_back_unchanged(tmp_path: Path, format: str, text: str) -> None:
    story = a_story(text=text, premise="a fox: \"quoted\" #1 — 'so'", finish="length", words=900)
    found = read(tmp_path, render(story, format), f"story.{format}")
    assert found.text == text
    if format != "txt":
        assert (found.premise, found.words) == (story.premise, 900)
        assert found.about == story.premise


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_any_story_survives_a_markdown_round_trip(premise: str, text: str) -> None:
    from polaris_cli.formats.drafts import _from_markdown

    text = (
        text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n").rstrip()
    )
    exported = render(a_story(text=text, premise=premise), "md").decode()
    assert _from_markdown(exported, "story.md").text == text


def test_front_matter_from_other_programs_goes_to_the_record(tmp_path: Path) -> None:
    matter = "title: The Fox\ntags: [a, b]\ndate: 2026-01-02"
    found = read(tmp_path, f"---\n{matter}\n---\n\nIt ran.\n", "draft.md")
    assert found == Draft("It ran.", matter, title="The Fox")
    assert yaml.safe_load(found.front_matter)["title"] == "The Fox"
    assert (found.premise, found.words) == ("", None)


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nIt ran.\n\n---\n\nAgain.",
        "---\nIt ran.\n---\nAgain.",
        "---\n- a\n- b\n---\nA list is no front matter.",
        "---\nname: never closed\n\nIt ran.",
        "---\n{: [\n---\nBroken.",
        "----\na: b\n----\nFour.",
        "a: b\n---\nNo fence above.",
    ],
)
def test_a_scene_break_is_not_front_matter(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text, "draft.md") == Draft(text)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("title: 1984", Draft("It ran.", "title: 1984", title="1984")),
        ("author: No", Draft("It ran.", "author: No", author="No")),
        ("lang: no", Draft("It ran.", "lang: no", language="no")),
        ("date: 2026-02-30", Draft("It ran.", "date: 2026-02-30")),
        ("done: !!bool a", Draft("It ran.", "done: !!bool a")),
        ("author: ~", Draft("It ran.", "author: ~")),
        ("author: [Jo, Al]", Draft("It ran.", "author: [Jo, Al]", author="Jo, Al")),
        ("author: [1, Al]", Draft("It ran.", "author: [1, Al]", author="1, Al")),
        ("author: {a: b}", Draft("It ran.", "author: {a: b}")),
    ],
)
def test_values_of_front_matter_are_text(tmp_path: Path, line: str, found: Draft) -> None:
    assert read(tmp_path, f"---\n{line}\n---\n\nIt ran.", "draft.md") == found


@pytest.mark.parametrize(
    "line", ["title: Fog: a story", "author: @me", "x:\ty", "tags:\n- a\n  b: c", "x: &a [*a]"]
)
def test_invalid_front_matter_is_refused_in_markdown(tmp_path: Path, line: str) -> None:
    text = f"---\na: b\n{line}\n---\n\nIt ran."
    with pytest.raises(UsageError, match=r"line [35] of .*draft\.md is not valid YAML") as refused:
        read(tmp_path, text, "draft.md")
    assert "in quotes" in refused.value.hint
    assert read(tmp_path, text, "draft.txt").text == text


def test_soft_hyphens_of_a_page_are_no_text(tmp_path: Path) -> None:
    assert read(tmp_path, "<p>light&shy;house <b>kee\u00adper</b>", "a.html").text == (
        "lighthouse **keeper**"
    )


def test_a_text_file_has_no_front_matter(tmp_path: Path) -> None:
    text = "---\ntitle: It\n---\nIt ran."
    assert read(tmp_path, text, "draft.txt") == Draft(text)


def test_without_a_premise_the_first_words_are_the_premise(tmp_path: Path) -> None:
    words = " ".join(f"w{n}" for n in range(100))
    assert read(tmp_path, words).about == " ".join(f"w{n}" for n in range(40))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.txt", b" \r\n\t", "is empty"),
        ("only.md", b"---\ntitle: x\n---\n", "is empty"),
        ("latin.txt", "Sch\u00f6n".encode("latin-1"), "not UTF-8"),
        ("wide.txt", "night".encode("utf-16"), "not UTF-8"),
        ("wide.md", "night".encode("utf-16-le"), "not UTF-8"),
        ("old.DOC", b"\xd0\xcf", "cannot read"),
        ("macros.docm", b"PK\3\4", "cannot read"),
        ("book.fb2", b"<FictionBook/>", "cannot read"),
        ("paper.pdf", b"%PDF", "cannot read"),
        ("book.docx", b"PK\x03\x04", "not a readable Word file"),
        ("renamed.epub", b"It ran.", "not a readable EPUB file"),
        ("renamed.htm", b"It ran.", "not a readable HTML file"),
        ("odd.html", b"<p>a<![foo[", "not a readable HTML file"),
        ("empty.html", b"<p>", "is empty"),
        ("empty.xhtml", b"<p/>", "is empty"),
        ("latin.html", "<p>Sch\u00f6n".encode("latin-1"), "not UTF-8"),
        ("empty.docx", zipped([("a", "b")]), "not a readable Word file"),
        ("empty.epub", zipped([("META-INF/container.xml", "<a/>")]), "not a readable EPUB file"),
        ("secret.epub", ENCRYPTED, "not a readable EPUB file"),
        ("secret.docx", ENCRYPTED, "not a readable Word file"),
        ("other.docx", render(a_story(text="It ran."), "epub"), "not a readable Word file"),
        ("other.epub", render(a_story(text="It ran."), "docx"), "not a readable EPUB file"),
        ("list.json", b"[1, 2]", "not a story exported by polaris"),
        ("other.json", b'{"text": "It ran."}', "not a story exported by polaris"),
        ("deep.json", b"[" * 100_000, "not a story exported by polaris"),
        ("cut.json", b'{"story": "It', "not a story exported by polaris"),
    ],
)
def test_invalid_drafts_are_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        read(tmp_path, content, name)
    assert refused.value.hint and name in refused.value.message


@pytest.mark.parametrize(("text", "encoding"), [("“No”", "WINDOWS-1252"), ("Night", "UTF-16")])
def test_the_hint_names_the_likely_encoding(tmp_path: Path, text: str, encoding: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text.encode(encoding), "draft.txt")
    assert f"iconv -f {encoding} -t UTF-8" in refused.value.hint


def test_half_a_character_is_left_out(tmp_path: Path) -> None:
    record = (
        r'{"story": "It\udc00 ran.\u0000", "premise": "a \ud800fox", "words": {"requested": 9}}'
    )
    found = read(tmp_path, record, "story.json")
    assert found == Draft("It ran.", premise="a fox", words=9)
    matter = r'premise: "a \ud800fox"'
    assert read(tmp_path, f"---\n{matter}\n---\nIt.", "a.md") == Draft("It.", matter, "a fox")


@pytest.mark.parametrize("name", ["missing.txt", "missing.docx", "missing.epub", "."])
def test_unreadable_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="Cannot read") as refused:
        read_draft(str(tmp_path / name))
    assert refused.value.hint


# --- html, epub, docx ---

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def back(tmp_path: Path, text: str, format: str) -> str:
    return read(tmp_path, render(a_story(text=text), format), f"story.{format}").text


@pytest.mark.parametrize("format", ["html", "epub"])
@FEW
@given(text=STORIES)
def test_a_page_is_read_back_to_the_same_blocks(tmp_path: Path, format: str, text: str) -> None:
    assert shape(back(tmp_path, text, format)) == shape(text)


@pytest.mark.slow
@FEW
@given(text=FLAT_STORIES)
def test_a_word_file_is_read_back_to_the_same_blocks(tmp_path: Path, text: str) -> None:
    assert shape(back(tmp_path, text, "docx")) == shape(text)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["html", "docx"])
@FEW
@given(text=MARKS)
def test_no_word_of_any_story_is_lost(tmp_path: Path, format: str, text: str) -> None:
    again = plain_texts(back(tmp_path, f"It ran.\n\n{text}", format))
    assert [c for c in again if c.isalnum()] == [
        c for c in plain_texts(f"It ran.\n\n{text}") if c.isalnum()
    ]


@pytest.mark.parametrize("format", ["html", "epub", "docx"])
def test_a_story_is_read_back_with_its_premise(tmp_path: Path, format: str) -> None:
    story = a_story(text=EVERYTHING, premise="a fox & <hen>")
    found = read(tmp_path, render(story, format), f"story.{format}")
    assert (found.premise, found.words, found.front_matter) == (story.premise, None, "")
    assert shape(found.text)[:4] == shape(EVERYTHING)[:4]
    assert "Premise" not in found.text


SAYING = ["md", "html", "epub", "docx", "json"]


@pytest.mark.parametrize("format", SAYING)
def test_a_story_is_read_back_with_its_title_author_and_language(
    tmp_path: Path, format: str
) -> None:
    said = {"title": "Fog & <Bells>", "author": 'Ann "Ink" O\'Hara', "language": "pt-BR"}
    for text in ("# A\n\nIt ran.", "It ran."):
        found = read(tmp_path, render(a_book(text, **said), format), f"story.{format}")
        assert found.settings.items() >= said.items()


@pytest.mark.parametrize("format", SAYING)
def test_a_model_is_no_author_and_a_script_no_language(tmp_path: Path, format: str) -> None:
    story = a_story(text="Il court.", premise="un renard")
    found = read(tmp_path, render(story, format), f"story.{format}")
    assert (found.title, found.author, found.language) == ("Un renard", "", "")


@pytest.mark.parametrize("format", ["html", "epub", "docx"])
def test_files_of_other_programs_say_nothing(tmp_path: Path, format: str) -> None:
    content = render(a_book("It ran.", title="Fog", author="Ann", language="en"), format)
    if format == "html":
        content = content.replace(b'content="polaris"', b'content="pandoc"')
    else:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            parts = [(name, archive.read(name)) for name in archive.namelist()]
        content = zipped((name, part.replace(b"polaris-", b"pandoc-")) for name, part in parts)
    found = read(tmp_path, content, f"story.{format}")
    assert found == Draft(found.text) and "It ran." in found.text


@pytest.mark.parametrize(
    "matter",
    ["title: [a, b]", 'title: "two\\nlines"', "lang: English!",
     "author: {name: Ann}", "author: ' '", "lang: und-Cyrl"],
)  # fmt: skip
def test_what_is_no_title_author_or_language_is_left_out(tmp_path: Path, matter: str) -> None:
    found = read(tmp_path, f"---\n{matter}\n---\n\nIt ran.\n", "draft.md")
    assert found == Draft("It ran.", matter)


@pytest.mark.parametrize("format", ["html", "epub", "docx"])
def test_a_title_made_from_the_premise_is_not_text(tmp_path: Path, format: str) -> None:
    assert back(tmp_path, "It ran.\n\n***\n\n*Fast*, 5 * 3.", format) == (
        "It ran.\n\n* * *\n\n*Fast*, 5 * 3."
    )


@pytest.mark.slow
@pytest.mark.parametrize("format", ["epub", "docx"])
def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, format: str) -> None:
    content = render(a_story(text="It ran."), format)
    bomb = tmp_path / f"bomb.{format}"
    bomb.write_bytes(content)
    with zipfile.ZipFile(bomb) as archive:
        page = next(name for name in archive.namelist() if "chapter" in name or "app.xml" in name)
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[page] += b" " * MAX_UNPACKED
    bomb.write_bytes(zipped(parts.items()))
    with pytest.raises(UsageError, match="not a readable") as refused:
        read_draft(str(bomb))
    assert "more than" in str(refused.value.__cause__)


def test_entities_cannot_include_other_files(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    entity = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{(tmp_path / "secret.txt").as_uri()}">]>'
    with zipfile.ZipFile(BytesIO(render(a_story(text="It ran."), "docx"))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    document = parts["word/document.xml"].decode().partition("?>")[2].replace("It ran.", "It &e;")
    parts["word/document.xml"] = (entity + document).encode()
    assert "secret" not in read(tmp_path, zipped(parts.items()), "story.docx").text


@pytest.mark.parametrize("format", ["html", "epub", "docx"])
@pytest.mark.parametrize(
    "text", ["> ~", "* ~", "* Who?\n* Me!", "- Who?\n- Me!", 'A.\n\n- `x\n  "Oh!" `x']
)
def test_lists_stay_lists_and_speech_stays_speech(tmp_path: Path, format: str, text: str) -> None:
    assert shape(back(tmp_path, text, format)) == shape(text)
