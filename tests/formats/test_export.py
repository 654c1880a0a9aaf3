"""Each format contains the whole story and is well formed for any characters."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.errors import UsageError
from polaris_cli.formats.export import FORMATS, check_output, render, save
from polaris_cli.request.book import Book
from polaris_cli.story.result import Story
from tests.books import EVERYTHING, MARKS, PREMISE, Elements, a_book, check_xml, members
from tests.stories import a_story, a_thai_story


@pytest.fixture
def story() -> Story:
    return a_story(text=EVERYTHING, premise=PREMISE, finish="stop")


# --- The plain formats ---


def test_txt_is_the_text_and_a_line_break(story: Story) -> None:
    assert render(story, "txt") == f"{EVERYTHING}\n".encode()
    assert render(a_story(text="a\ud800"), "txt") == b"a?\n"


def test_md_is_front_matter_and_the_text(story: Story) -> None:
    yaml = pytest.importorskip("yaml")
    content = render(story, "md").decode()
    _, matter, text = content.split("---\n", 2)
    assert text == f"\n{EVERYTHING}\n"
    assert yaml.safe_load(matter) == {
        "title": "The Fog & the <Letter>",
        "lang": "en",
        "premise": PREMISE.replace("\0", ""),
        "words_requested": 8,
        "words_written": story.written,
        "ratio": round(story.ratio, 2),
        "model": "demo",
        "date": "2026-01-31T12:00:00Z",
        "finish": "stop",
        "id": "abcd1234",
    }


def test_the_front_matter_has_the_names_that_pandoc_reads() -> None:
    yaml = pytest.importorskip("yaml")
    story = a_book("It came.", title="T: x", author="A", language="ar", cover="/c.png")
    values = yaml.safe_load(render(story, "md").decode().split("---\n")[1])
    assert {name: values[name] for name in ("title", "author", "lang", "dir", "cover-image")} == {
        "title": "T: x",
        "author": "A",
        "lang": "ar",
        "dir": "rtl",
        "cover-image": "/c.png",
    }


def test_the_record_keeps_what_the_files_say() -> None:
    story = a_book("It came.", title="T", author="A", language="ar", cover="/c.png")
    record = json.loads(render(story, "json"))
    assert (record["title"], record["author"], record["language"]) == ("T", "A", "ar")
    assert Story.from_dict(record) == story
    del record["request"]["book"]  # as in earlier versions
    assert Story.from_dict(record).request.book == Book()


@given(st.text(st.characters(), min_size=1).filter(str.strip))
def test_any_premise_fits_the_front_matter(premise: str) -> None:
    yaml = pytest.importorskip("yaml")
    from polaris_cli.formats.structure import printable

    content = render(a_story(premise=premise), "md").decode()
    assert yaml.safe_load(content.split("---\n")[1])["premise"] == printable(premise)


def test_json_is_the_record(story: Story) -> None:
    assert Story.from_dict(json.loads(render(story, "json"))) == story
    odd = a_story(text="\ud800 é")
    assert json.loads(render(odd, "json"))["story"] == "\ud800 é"


@pytest.mark.parametrize("format", ["md", "html", "epub"])
def test_the_words_are_those_that_the_ratio_is_of(format: str) -> None:
    story = a_thai_story()
    content = render(story, format)
    text = content.decode() if format != "epub" else "".join(members(content).values())
    named = "words_written: {}\n" if format == "md" else "{} words of 8 asked"
    assert named.format(story.counted) in text and named.format(story.written) not in text


# --- All ---


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_story_gives_the_same_bytes(story: Story, format: str) -> None:
    assert render(story, format) == render(story, format)


@pytest.mark.slow
@settings(max_examples=15)
@given(text=st.text(st.characters(), max_size=60) | MARKS)
def test_any_text_is_well_formed_in_every_format(text: str) -> None:
    story = a_story(text=f"{text}\n\n# {text}\n\n*{text}*", premise=text if text.strip() else "x")
    for format in ("epub", "docx"):
        check_xml(render(story, format))
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
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="suffix") as caught:
        check_output(tmp_path / name, force=False)
    assert all(f".{format}" in caught.value.hint for format in FORMATS)


def test_a_missing_folder_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        check_output(tmp_path / "missing" / "story.md", force=False)
