"""`--continue`: the story starts with the user's text, whole and unchanged."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from polaris_cli.engines.base import Engine
from polaris_cli.engines.local.engine import load
from polaris_cli.formats.drafts import read_draft
from polaris_cli.formats.export import render
from polaris_cli.models.resolving import resolve
from polaris_cli.request.story_request import Draft
from polaris_cli.story.accumulator import collect
from polaris_cli.story.prepare import prepare
from polaris_cli.story.writing import record_for, write_job
from polaris_cli.words import count_words
from tests.books import a_book
from tests.cli import in_process, polaris_command, run, scripted_command

DRAFT = (
    "The bell rang.\n\n   Indented: e\u0301 <think>no tag</think> *it* …\n\n"
    "The last paragraph of mine."
)
WORDS = count_words(DRAFT)


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    path = tmp_path / "draft.txt"
    path.write_bytes(DRAFT.replace("\n", "\r\n").encode() + b"\r\n")
    return path


def ask(draft: Path | str, *more: str, **engine: object) -> list[str]:
    return scripted_command("write", "--continue", str(draft), "-m", "demo", *more, **engine)


def record(home: Path) -> dict[str, object]:
    shown = run(polaris_command("library", "show", "last", "--json"), home)
    return dict(json.loads(shown.stdout))


@pytest.mark.parametrize(
    "mode", ["auto", *[pytest.param(mode, marks=pytest.mark.slow) for mode in ("extend", "single")]]
)
def test_the_story_starts_with_the_unchanged_draft(tmp_path: Path, draft: Path, mode: str) -> None:
    words = str(WORDS + 7)
    command = ask(
        draft, "-w", words, "--length", mode, scripts=[[" Then it", " rang again and fell silent."]]
    )
    ended = run(command, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"{DRAFT} Then it rang again and fell silent.\n")
    assert f"{WORDS + 7} of {words} words" in ended.stderr
    kept = record(tmp_path)
    assert kept["draft"] == asdict(Draft(DRAFT))
    assert kept["tokens"]["story"] == 2  # type: ignore[index]


@pytest.mark.slow
def test_the_end_of_the_draft_is_never_set_aside(tmp_path: Path, draft: Path) -> None:
    rounds = [["\n\n", "An end of the model's."], ["More " * 30 + "it was.", "\n\n", "A last end."]]
    ended = run(ask(draft, "-w", str(WORDS + 60), scripts=rounds), tmp_path)
    assert ended.stdout.startswith(f"{DRAFT}\n\n* * *\n\nMore"), ended.stdout
    assert ended.stdout.count("The last paragraph of mine.") == 1


@pytest.mark.slow
def test_a_model_that_ends_at_once_is_asked_for_a_new_scene(tmp_path: Path, draft: Path) -> None:
    rounds: list[list[str]] = [[], ["It rang " * 20 + "again."]]
    ended = run(ask(draft, "-w", str(WORDS + 41), scripts=rounds), tmp_path)
    assert ended.stdout.startswith(f"{DRAFT}\n\n* * *\n\nIt rang"), ended.stderr


@pytest.mark.parametrize("words", [pytest.param(1, marks=pytest.mark.slow), WORDS])
def test_a_draft_that_is_long_enough_is_printed_unchanged(
    tmp_path: Path, draft: Path, words: int
) -> None:
    out = tmp_path / "whole.txt"
    ended = run(ask(draft, "-w", str(words), "-o", str(out)), tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"{DRAFT}\n")
    assert f"the draft has {WORDS} words" in ended.stderr and "--words" in ended.stderr
    assert out.read_text() == f"{DRAFT}\n"
    assert run(polaris_command("library", "--json"), tmp_path).stdout == ""


@pytest.mark.slow
def test_the_draft_file_is_never_changed(tmp_path: Path, draft: Path) -> None:
    ended = run(ask(draft, "-w", "3", "-o", str(draft), "--force"), tmp_path)
    assert ended.returncode == 0
    assert draft.read_text() == f"{DRAFT}\n"


@pytest.mark.slow
def test_a_default_length_is_named_with_its_source(tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text(" ".join(f"word{n}" for n in range(1600)))
    ended = run(ask(long), tmp_path)
    assert ended.stdout == long.read_text() + "\n"
    assert "the length asked for is 1,500 (words in preset default)" in ended.stderr


@pytest.mark.slow
def test_strict_checks_the_band(tmp_path: Path, draft: Path) -> None:
    assert run(ask(draft, "-w", str(WORDS), "--strict"), tmp_path).returncode == 0
    off = run(ask(draft, "-w", "5", "--strict"), tmp_path)
    assert (off.returncode, off.stdout) == (6, f"{DRAFT}\n")


@pytest.mark.slow
def test_the_draft_can_come_from_a_pipe(tmp_path: Path) -> None:
    scripts = [[" and saw it fall."]]
    ended = run(ask("-", "-w", "6", scripts=scripts), tmp_path, stdin=b"He went\n")
    assert ended.stdout == "He went and saw it fall.\n"
    refused = run(polaris_command("write", "-", "--continue", "-"), tmp_path, stdin=b"He went\n")
    assert refused.returncode == 2 and "both" in refused.stderr


@pytest.mark.slow
def test_the_premise_of_a_draft_can_come_from_a_pipe(tmp_path: Path, draft: Path) -> None:
    asked = ("write", "-", "--continue", str(draft), "-m", "demo", "--dry-run")
    shown = run(polaris_command(*asked), tmp_path, stdin=b"a bell ringer\n")
    assert "about a bell ringer." in shown.stdout, shown.stderr


def test_an_exported_story_keeps_its_title_author_and_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = tmp_path / "fog.epub"
    exported.write_bytes(
        render(a_book("It ran.", title="Fog", author="Ann", language="fr"), "epub")
    )
    asked = ["write", "--continue", str(exported), "--author", "Ben", "--dry-run", "--json"]
    shown = json.loads(in_process(asked, tmp_path, monkeypatch).stdout)["settings"]
    assert shown["title"] == {"value": "Fog", "source": "the draft"}
    assert shown["language"] == {"value": "fr", "source": "the draft"}
    assert shown["author"] == {"value": "Ben", "source": "option"}


@pytest.mark.slow
def test_a_dry_run_loads_and_writes_nothing(tmp_path: Path, draft: Path) -> None:
    ended = run(polaris_command("write", "--continue", str(draft), "--dry-run"), tmp_path)
    assert ended.returncode == 0 and ended.stdout.startswith("Prompt")
    assert "The bell rang." in ended.stdout


@pytest.mark.parametrize(
    "more",
    [
        ["--plan-only"],
        ["--chapters", "3"],
        ["--length", "chapters"],
        ["--think"],
        ["--plan", "p.toml"],
    ],
)
def test_options_that_contradict_a_draft_are_refused(
    tmp_path: Path, draft: Path, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = in_process(["write", "--continue", str(draft), *more], tmp_path, monkeypatch)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--continue" in refused.stderr and more[0] in refused.stderr


@pytest.mark.slow
def test_an_exported_story_is_continued_with_its_own_premise(tmp_path: Path) -> None:
    begun = scripted_command("write", "a fox", "-w", "11", "-m", "demo", "--no-think",
                             scripts=[["# Fox\n\nIt was night."]])  # fmt: skip
    exported = tmp_path / "fox.md"
    run([*begun, "-o", str(exported)], tmp_path)
    ended = run(ask(exported, scripts=[[" Then it was day once more."]]), tmp_path)
    assert ended.stdout == "# Fox\n\nIt was night. Then it was day once more.\n"
    assert "11 of 11 words" in ended.stderr
    kept = record(tmp_path)
    assert kept["premise"] == "a fox" and 'title: "Fox"' in kept["draft"]["front_matter"]  # type: ignore[index]


@pytest.mark.slow
def test_a_word_file_is_continued(tmp_path: Path) -> None:
    begun = scripted_command("write", "a fox", "-w", "7", "-m", "demo", "--no-think",
                             scripts=[["# Fox\n\nIt was *dark* night."]])  # fmt: skip
    exported = tmp_path / "fox.docx"
    run([*begun, "-o", str(exported)], tmp_path)
    ended = run(ask(exported, "-w", "12", scripts=[[" Then it was day once more."]]), tmp_path)
    assert ended.stdout == "# Fox\n\nIt was *dark* night. Then it was day once more.\n"
    assert record(tmp_path)["premise"] == "a fox"


@pytest.mark.slow
def test_the_length_is_read_from_a_premise_but_not_from_a_draft(tmp_path: Path) -> None:
    told = tmp_path / "told.txt"
    told.write_text("A 50-word story is what he wanted.")
    shown = run(polaris_command("write", "--continue", str(told), "--dry-run", "--json"), tmp_path)
    assert json.loads(shown.stdout)["settings"]["words"]["source"] == "preset default"


@pytest.mark.slow
def test_rerun_and_resume_start_with_the_draft(tmp_path: Path, draft: Path) -> None:
    run(ask(draft, "-w", str(WORDS + 40), "--seed", "3", scripts=[[" Soon", " after"]],
            finish="interrupted"), tmp_path)  # fmt: skip
    again = run(scripted_command("rerun", scripts=[[" Much later it all ended."]]), tmp_path)
    assert again.stdout.startswith(f"{DRAFT} Much later it all ended."), again.stderr
    first = json.loads(run(polaris_command("library", "--json"), tmp_path).stdout.splitlines()[-1])
    on = run(scripted_command("resume", first["id"], scripts=[[" the bell fell."]]), tmp_path)
    assert on.stdout.startswith(f"{DRAFT} Soon after the bell fell."), on.stderr
    assert on.stdout.count("The bell rang.") == 1


@pytest.mark.slow
def test_a_run_interrupted_before_its_first_word_is_resumed(tmp_path: Path, draft: Path) -> None:
    run(ask(draft, "-w", str(WORDS + 9), scripts=[[]], finish="interrupted"), tmp_path)
    on = run(
        scripted_command("resume", scripts=[[" " + "And so it fell down and was lost."]]), tmp_path
    )
    assert on.stdout == f"{DRAFT} And so it fell down and was lost.\n", on.stderr


@pytest.fixture(scope="module")
def demo() -> Engine:
    return load(resolve("demo"), context_tokens=4000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        f"{DRAFT}\n\nThen </think> came <|im_end|> and",
        "\u00bbA\u030a\u00ab \u4f60\u597d\ufffd\n\n",
    ],
)
@pytest.mark.parametrize("mode", ["extend", "single"])
def test_a_real_model_never_changes_the_draft(
    tmp_path: Path, demo: Engine, text: str, mode: str
) -> None:
    path = tmp_path / "d.txt"
    path.write_text(text)
    options = {
        "model": "demo",
        "words": count_words(text) + 30,
        "length": mode,
        "think": False,
        "seed": 5,
    }
    prepared = prepare("a miller", options, read_draft(str(path)))
    story = collect(write_job(prepared, demo), record_for(prepared, demo))
    assert story.text.startswith(text.rstrip())
    assert "think>" not in story.text.removeprefix(text) and not story.thinking
    assert story.written > count_words(text)
