"""A draft is read as it stands, and what was exported is read back to what it was."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.errors import UsageError
from polaris_cli.formats.drafts import read_draft
from polaris_cli.formats.export import render
from polaris_cli.request.story_request import Draft
from tests.stories import a_story

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


@pytest.mark.parametrize("format", ["txt", "md", "json"])
@pytest.mark.parametrize(
    "text", [TEXT, "---\na: b\n---\n\nIt ended.", "## One\n\nA.\n\n## Two\n\nB."]
)
def test_an_export_is_read_back_to_what_it_was(tmp_path: Path, format: str, text: str) -> None:
    story = a_story(text=text, premise="a fox: \"quoted\" #1 — 'so'", finish="length", words=900)
    found = read(tmp_path, render(story, format), f"story.{format}")
    assert found.text == text
    if format != "txt":
        assert (found.premise, found.words) == (story.premise, 900)
        assert found.about == story.premise


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_any_story_survives_the_way_through_markdown(premise: str, text: str) -> None:
    from polaris_cli.formats.drafts import _of_text

    text = (
        text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n").rstrip()
    )
    exported = render(a_story(text=text, premise=premise), "md").decode()
    assert _of_text(exported, markdown=True).text == text


def test_front_matter_of_other_programs_goes_to_the_record(tmp_path: Path) -> None:
    matter = "title: The Fox\ntags: [a, b]\ndate: 2026-01-02"
    found = read(tmp_path, f"---\n{matter}\n---\n\nIt ran.\n", "draft.md")
    assert found == Draft("It ran.", matter)
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
def test_a_scene_break_is_no_front_matter(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text, "draft.md") == Draft(text)


def test_a_text_file_has_no_front_matter(tmp_path: Path) -> None:
    text = "---\ntitle: It\n---\nIt ran."
    assert read(tmp_path, text, "draft.txt") == Draft(text)


def test_without_a_premise_the_first_words_say_what_it_is_about(tmp_path: Path) -> None:
    words = " ".join(f"w{n}" for n in range(100))
    assert read(tmp_path, words).about == " ".join(f"w{n}" for n in range(40))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.txt", b" \r\n\t", "holds no text"),
        ("only.md", b"---\ntitle: x\n---\n", "holds no text"),
        ("latin.txt", "Sch\u00f6n".encode("latin-1"), "not UTF-8"),
        ("wide.txt", "night".encode("utf-16"), "not UTF-8"),
        ("book.docx", b"PK\x03\x04", "does not read"),
        ("page.HTML", b"<p>It ran.</p>", "does not read"),
        ("list.json", b"[1, 2]", "not a story that polaris exported"),
        ("other.json", b'{"text": "It ran."}', "not a story that polaris exported"),
        ("deep.json", b"[" * 100_000, "not a story that polaris exported"),
        ("cut.json", b'{"story": "It', "not a story that polaris exported"),
    ],
)
def test_what_is_no_draft_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        read(tmp_path, content, name)
    assert refused.value.hint and name in refused.value.message


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_what_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_draft(str(tmp_path / name))
