"""A plan's file is read as a person would read it, or refused with its line named."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.errors import UsageError
from polaris_cli.events import Chapter, Plan, summary_of
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story.arc import arc_plan
from polaris_cli.story.plan_file import TEXTS, PlanFile, as_toml, read_plan
from tests.cli import in_process, run, scripted_command

ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
TEXT = ANY.map(lambda text: " ".join(text.split())).filter(bool)


def read(tmp_path: Path, text: str | bytes) -> PlanFile:
    path = tmp_path / "plan.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_plan(path)


def plan(*words: str) -> str:
    """A plan with a chapter for each value of `words`, "" for none."""
    rows = (
        f"[[chapter]]\ntitle = 'C{n}'\n" + (f"words = {share}\n" if share else "")
        for n, share in enumerate(words)
    )
    return "title = 'T'\n" + "\n".join(rows)


CHAPTERS = st.builds(
    Chapter, TEXT, st.integers(1, 9999), TEXT, st.lists(TEXT, max_size=3).map(tuple)
)
DERIVED = CHAPTERS.map(lambda one: replace(one, summary=summary_of(one.title, one.events)))


@pytest.mark.slow
@given(
    st.tuples(TEXT, TEXT), st.lists(CHAPTERS | DERIVED, min_size=2, max_size=5),
    st.tuples(*[st.just("") | TEXT] * 3),
)  # fmt: skip
def test_any_plan_survives_its_file(
    names: tuple[str, str], chapters: list[Chapter], full: tuple[str, str, str]
) -> None:
    plan = Plan(*names, tuple(chapters), *full)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.toml"
        path.write_text(as_toml(plan), "utf-8", newline="")
        assert read_plan(path) == PlanFile(plan, plan.words)
    assert Plan.from_dict(plan.as_dict()) == plan


@pytest.mark.parametrize(
    ("words", "shares", "total"),
    [
        (["300", "600"], [300, 600], 900),
        (['"1,200"', "'1.2k'"], [1200, 1200], 2400),
        (['"1.200"', "1200.0"], [1200, 1200], 2400),
        (["", "300", "500"], [400, 300, 500], 1200),
        (["", ""], [1, 1], None),
    ],
)
def test_shares_are_read_as_a_person_would(
    tmp_path: Path, words: list[str], shares: list[int], total: int | None
) -> None:
    found = read(tmp_path, plan(*words))
    assert [chapter.words for chapter in found.plan.chapters] == shares
    assert found.words == total


def test_a_chapter_without_a_summary_is_about_its_title(tmp_path: Path) -> None:
    assert read(tmp_path, plan("1", "2")).plan.chapters[1].summary == "C1"


def test_a_chapter_with_events_needs_no_summary(tmp_path: Path) -> None:
    text = plan("1", "2") + "events = ['He wakes.', 'he eats']\n"
    last = read(tmp_path, text).plan.chapters[1]
    assert last == Chapter("C1", 2, "He wakes. he eats", ("He wakes.", "he eats"))
    assert "summary" not in as_toml(Plan("T", "", (last, last)))


def test_a_blank_text_counts_as_not_given(tmp_path: Path) -> None:
    blank = "summary = ' '\nevents = ['', 'He wakes.', ' ']\n"
    last = read(tmp_path, plan("1", "2") + blank).plan.chapters[1]
    assert last == Chapter("C1", 2, "He wakes", ("He wakes.",))
    last = read(tmp_path, plan("1", "2") + "summary = ''\nevents = ['']\n").plan.chapters[1]
    assert last == Chapter("C1", 2, "C1")


def test_a_plan_of_one_chapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it has 1 chapter, and a plan has from 2 to"):
        read(tmp_path, plan("1"))


def test_a_plan_of_too_many_chapters_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"plan\.toml.* 201 chapters, .* from 2 to 200 of them"):
        read(tmp_path, plan(*["9"] * 201))


def test_texts_over_several_lines_become_one_line_each(tmp_path: Path) -> None:
    lines = '"""\nTwo\n  lines\r\n"""'
    chapter = f"[[chapter]]\ntitle = {lines}\nsummary = {lines}\nevents = [{lines}]\n"
    head = "".join(f"{key} = {lines}\n" for key in TEXTS)
    found = read(tmp_path, head + chapter * 2).plan
    assert found == Plan(chapters=found.chapters, **dict.fromkeys(TEXTS, "Two lines"))
    assert found.chapters[0] == Chapter("Two lines", 1, "Two lines", ("Two lines",))


def test_a_plan_by_the_arc_of_a_story_can_be_read(tmp_path: Path) -> None:
    arc = arc_plan(StoryRequest("a fox", 900), 3)
    assert read(tmp_path, as_toml(arc)).plan == arc and not arc.titled
    half = as_toml(arc).replace('title = ""', 'title = "Fog"', 1)
    with pytest.raises(UsageError, match="chapter 2 has no title"):
        read(tmp_path, half)


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(tmp_path: Path) -> None:
    text = plan("1", "2").replace("\n", "\r\n")
    assert read(tmp_path, b"\xef\xbb\xbf" + text.encode()).plan.title == "T"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (plan("1", "true"), 8, "cannot be true;"),
        (plan("1", "0"), 8, "0"),
        (plan("-3", "1"), 4, "-3"),
        (plan("1", "'many'"), 8, "many"),
        (plan("1", "[1]"), 8, "[1]"),
        (plan("1", "2") + "events = 'he wakes'\n", 9, "list of texts"),
        (plan("1", "2") + "events = ['a', 3]\n", 9, "list of texts"),
        (plan("1", "2").replace("C1", "  "), 7, "chapter 2 has no title"),
        ("[[chapter]]\nwords = 1\n[[chapter]]\nwords = 2", 1, "chapter 1 has no title"),
        (plan("1", "2") + "sumary = 'x'", 9, "did you mean summary?"),
        ("tittle = 'x'\n" + plan("1", "2"), 1, "did you mean title?"),
        ("words = 900\n" + plan("1", "2"), 1, "no key 'words'"),
        ("cast = ['a', 'b']\n" + plan("1", "2"), 1, "text in quotes"),
        ("title = 'x'\nchapter = 3", 2, "[[chapter]]"),
        ("a = 1\nb = ]", 2, "TOML"),
        (plan("1", "2") + "title = 'again'\n", 9, "TOML"),
        (plan("1", "1.2k"), 8, "TOML"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert f"line {line}" in refused.value.message and said in refused.value.message
    assert "plan.toml" in refused.value.message and refused.value.hint
    assert refused.value.message[-2:] not in ("?.", "..")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("faulty", ["{ title = 3 }", "{ words = 1 }", "{ tittle = 'x' }"])
def test_a_fault_in_a_chapter_without_a_header_is_told_without_a_line(
    tmp_path: Path, faulty: str, first: bool
) -> None:
    rows = [faulty, "{ title = 'x' }"] if first else ["{ title = 'x' }", faulty]
    with pytest.raises(UsageError, match=r"plan\.toml: ") as refused:
        read(tmp_path, f"chapter = [{', '.join(rows)}]")
    assert "line" not in refused.value.message


def test_half_characters_do_not_reach_the_file(tmp_path: Path) -> None:
    plan = Plan("Fog \ud83d", "", (Chapter("One", 300, "a"), Chapter("Two", 300, "b")))
    assert read(tmp_path, as_toml(plan)).plan.title == "Fog ?"


def test_a_file_can_be_read_by_a_person() -> None:
    text = as_toml(Plan("The Fog", 'Mara, "the keeper"', (Chapter("One day", 300, "It comes."),)))
    assert (
        text.split("\n", 1)[1]
        == """title = "The Fog"
cast = "Mara, \\"the keeper\\""

[[chapter]]
title = "One day"
words = 300
summary = "It comes."
"""
    )


@pytest.mark.parametrize("text", ["", "title = 'x'", plan("5"), "[[chapter]]\nwords = 3", "x" * 9])
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"plan\.toml") as refused:
        read(tmp_path, text)
    assert refused.value.hint


@pytest.mark.parametrize(
    "more",
    [["--chapters", "3"], ["--length", "single"], ["--length", "extend"], ["--plan-only"]],
)
def test_a_plan_and_another_way_are_refused(
    tmp_path: Path, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(plan("5", "6"))
    asked = ["write", "a fox", "--plan", str(path), *more]
    refused = in_process(asked, tmp_path, monkeypatch)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--plan" in refused.stderr and more[0] in refused.stderr


def test_a_plan_is_no_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["write", "a fox", "-m", "demo", "--plan-only", "--json"]
    refused = in_process(asked, tmp_path, monkeypatch)
    assert (refused.returncode, refused.stdout) == (2, "") and "as TOML" in refused.stderr
    assert in_process([*asked, "--dry-run"], tmp_path, monkeypatch).stdout.startswith("{")


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--chapters", "auto"], ["--length", "chapters"]])
def test_a_plan_without_words_takes_the_length_asked_for(tmp_path: Path, more: list[str]) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(plan("", ""))
    asked = ("write", "a fox", "-m", "demo", "--no-think", "--plan", str(path), "-w", "14", *more)
    command = scripted_command(*asked, scripts=[["One two three."], ["Four five."]])
    ended = run(command, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "1. C0 | 7 words" in ended.stderr and "of 14 words" in ended.stderr
