"""`polaris compare` as a user runs it: streams, table, page, blind votes, failures."""

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polaris_cli.commands import compare
from polaris_cli.commands.app import app
from polaris_cli.engines import opening
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.errors import ModelUnavailable
from polaris_cli.library.store import Library
from polaris_cli.library.votes import Vote
from polaris_cli.models.catalogue import DEMO_FOLDER
from tests.cli import called, environment, polaris_command, scripted_command

TALE = ["</think>", "Once upon", " a time", " there was a fox."]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "library.db"))
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(TALE))
    return Library(tmp_path / "library.db")


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["compare", "a fox", "-w", "8", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_each_model_writes_and_the_table_compares(library: Library, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    out, err = run("-m", "demo", "-m", "smollm2", "-o", str(page))
    story = "Once upon a time there was a fox."
    assert out == f"# demo\n\n{story}\n\n# smollm2\n\n{story}\n"
    assert "model\tid\twords\tratio" in err and f"saved {page}" in err
    assert page.read_text().count(story) == 2
    seeds = {library.get(entry.id).request.sampling.seed for entry in library.entries()}
    assert len(library.entries()) == 2 and len(seeds) == 1


@pytest.mark.slow
def test_a_seed_of_the_environment_counts(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARIS_SEED", "7")
    run("-m", "demo,smollm2")
    seeds = {library.get(entry.id).request.sampling.seed for entry in library.entries()}
    assert seeds == {7}


def test_a_model_that_cannot_be_loaded_costs_no_story(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = iter([ScriptedEngine(TALE)])

    def opened(*_: object, **__: object) -> ScriptedEngine:
        try:
            return next(engines)
        except StopIteration:
            raise ModelUnavailable("It is gone.") from None

    monkeypatch.setattr(opening, "open_engine", opened)
    page = tmp_path / "page.html"
    out, err = run("-m", "demo,smollm2", "-o", str(page), code=3)
    assert "# demo" in out and "# smollm2" not in out
    assert "It is gone." in err and len(library.entries()) == 1
    assert "model\tid" in err and page.read_text().count("there was a fox") == 1


def test_ctrl_c_while_a_model_is_loaded_is_told_and_costs_no_story(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = iter([ScriptedEngine(TALE)])

    def opened(*_: object, **__: object) -> ScriptedEngine | None:
        if (engine := next(engines, None)) is None:
            os.kill(os.getpid(), signal.SIGINT)
        return engine

    monkeypatch.setattr(opening, "open_engine", opened)
    page = tmp_path / "page.html"
    err = run("-m", "demo,smollm2", "-o", str(page), code=130)[1]
    assert err.endswith("polaris: interrupted.\n") and "model\tid" in err
    assert page.read_text().count("there was a fox") == 1


@pytest.fixture
def asked(library: Library, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library for blind readers without a terminal; their input ends before they answer."""
    monkeypatch.setattr(compare, "_check", lambda *_, **__: None)
    return library


@pytest.mark.slow
def test_without_an_answer_no_choice_is_saved_and_the_page_is(
    asked: Library, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    err = run("-m", "demo,smollm2", "--blind", "-o", str(page), code=1)[1]
    assert "model\tid" in err and err.endswith("polaris: cancelled.\n")
    assert page.read_text().count("there was a fox") == 2 and not asked.votes()


@pytest.mark.slow
def test_a_choice_that_cannot_be_saved_costs_no_page(
    asked: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path))
    monkeypatch.setattr(compare, "_ask", lambda stories: stories[1])
    err = run("-m", "demo,smollm2", "--blind", "-o", str(page), code=1)[1]
    assert "You chose" in err and "Your choice is not saved: " in err
    assert page.read_text().count("there was a fox") == 2


def test_json_is_one_record_a_line(library: Library) -> None:
    out, err = run("-m", "demo,smollm2", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["story"] for record in records] == ["Once upon a time there was a fox."] * 2
    assert {record["id"] for record in records} == {entry.id for entry in library.entries()}
    assert "model\tid\twords" in err


@pytest.mark.slow
def test_quiet_prints_only_the_stories(library: Library) -> None:
    assert run("-m", "demo,smollm2", "-q")[1] == ""


@pytest.mark.slow
def test_a_full_standard_output_costs_no_story_and_no_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    models = f"demo,{DEMO_FOLDER}"
    command = scripted_command("compare", "a fox", "-w", "8", "-m", models, "-o", str(page))
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, env=environment(tmp_path), stdout=full)
    assert ended.returncode == 8 and page.read_text().count("there was a fox") == 2
    assert len(Library(tmp_path / "library.db").entries()) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "needs from 2 to 26 models"),
        (["-m", ","], "--model: ',' has no value"),
        (["-m", "demo"], "needs from 2 to 26 models"),
        (["-m", "demo,demo"], "needs from 2 to 26 models"),
        (["-m", "demo,smollm2", "--blind"], "not a terminal"),
        (["-m", "demo,smollm2", "--blind", "--json"], "--blind and --json contradict"),
        (["-m", "demo,smollm2", "-o", "a.pdf"], "a.pdf is not an HTML file"),
        (["-m", "demo,smollm2", "--chapters", "2", "--length", "single"], "contradict"),
        (["-m", f"demo,{DEMO_FOLDER},{DEMO_FOLDER}/"], f"called {DEMO_FOLDER.name}"),
        (["-m", "demo,nosuch"], "nosuch"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    library: Library, arguments: list[str], told: str
) -> None:
    code = 3 if told == "nosuch" else 2
    assert told in run(*arguments, code=code)[1]
    assert not library.entries()


def test_a_hint_names_the_variable_of_a_setting_without_an_option(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARIS_GGUF_FILE", "Q4_K_M")
    assert "Leave out POLARIS_GGUF_FILE." in run("-m", "demo,smollm2", code=2)[1]


def test_the_hint_on_a_missing_premise_names_the_command(
    library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(pty.openpty()[1]) as terminal:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", terminal)
        assert called("compare", "-m", "demo,smollm2") == 2
    assert 'polaris compare "' in capsys.readouterr().err


@pytest.mark.slow
def test_a_blind_reader_chooses_before_the_models_are_named(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if not pid:
        command = polaris_command("compare", "a fox", "-w", "30", "-m", "demo,demo2", "--blind")
        command[command.index("demo,demo2")] = f"demo,{DEMO_FOLDER}"
        os.execvpe(command[0], command, {**environment(tmp_path), "TERM": "dumb"})
    shown, typed = b"", False
    answers = [b"nine\n", b"2\n"]
    try:
        while part := os.read(terminal, 4096):
            shown += part
            if b"# Story 1" in shown and not typed:
                typed = bool(os.write(terminal, b"1\n"))  # a key before the question
            if shown.count(b"Which story is better?") == 3 - len(answers) and answers:
                before = shown
                os.write(terminal, answers.pop(0))
    except OSError:
        pass  # the end of the terminal
    os.waitpid(pid, 0)
    assert b"demo" not in before and b"You chose" in shown
    (vote,) = Library(tmp_path / "library.db").votes()
    assert vote.chosen == vote.models[1] and len({*vote.models}) == 2


@pytest.mark.slow
def test_votes_are_counted(library: Library) -> None:
    assert CliRunner().invoke(app, ["eval", "votes"]).stderr.startswith("polaris: note: No votes")
    library.add_vote(Vote(("1", "2"), ("polaris", "no-hri"), "no-hri"))
    library.add_vote(Vote(("3", "4"), ("polaris", "no-hri"), ""))
    with closing(sqlite3.connect(library.path)) as db, db:
        damaged = [("x", "[]"), ("3", "[]"), ("[]", "[1]"), ("{}", '["demo", null]')]
        db.executemany("INSERT INTO vote VALUES (NULL, '', ?, ?, 'demo')", damaged)
    assert "no-hri\tpolaris\t1\t100%\t21-100%" in CliRunner().invoke(app, ["eval", "votes"]).stdout
    assert '"wins": 1' in CliRunner().invoke(app, ["eval", "votes", "--json"]).stdout


def test_help_needs_nothing(tmp_path: Path) -> None:
    shown = subprocess.run(
        polaris_command("compare", "--help"), env=environment(tmp_path), capture_output=True
    )
    assert shown.returncode == 0 and b"--blind" in shown.stdout


def engines(monkeypatch: pytest.MonkeyPatch, *scripts: list[str]) -> None:
    left = iter(scripts)
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(next(left)))


@pytest.mark.slow
def test_a_blind_vote_is_for_the_number_on_the_screen(
    asked: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = ["<think>", "a fox", "</think>"]
    engines(
        monkeypatch, nothing, TALE, ["</think>", "The hen", " slept", " for a whole long night."]
    )
    result = CliRunner().invoke(
        app,
        ["compare", "a fox", "-w", "8", "-m", f"demo,smollm2,{DEMO_FOLDER}", "--blind"],
        input="1\n2\n",
    )
    assert "Which story is better? 2, 3; 0 for neither" in result.stderr
    assert "Type a number: 2, 3, or 0." in result.stderr and result.exit_code == 5
    (vote,) = asked.votes()
    chosen = next(entry for entry in asked.entries() if entry.id == vote.stories[0])
    assert asked.get(chosen.id).text == "Once upon a time there was a fox."


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--blind"]])
def test_models_that_write_no_story_end_with_the_code_of_no_story(
    asked: Library, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    engines(monkeypatch, [], [])
    err = run("-m", "demo,smollm2", *more, code=5)[1]
    assert "2 of 2 models wrote no story." in err and "Which story" not in err


def test_a_file_and_a_folder_of_one_name_are_refused(library: Library, tmp_path: Path) -> None:
    shutil.copytree(DEMO_FOLDER, tmp_path / "mine")
    (tmp_path / "mine.gguf").touch()
    models = f"{tmp_path / 'mine'},{tmp_path / 'mine.gguf'}"
    assert "Two of the models are called mine" in run("-m", models, code=2)[1]
    assert "Rename the file or folder of one." in run("-m", models, code=2)[1]


@pytest.mark.parametrize("twice", ["smollm2,HuggingFaceTB/SmolLM2-135M-Instruct", "demo,DEMO"])
def test_one_model_by_two_names_is_refused(library: Library, twice: str) -> None:
    err = run("-m", twice, code=2)[1]
    assert "Two of the models are called" in err and "Leave one of them out." in err


def test_a_model_that_cannot_be_downloaded_is_told_before_a_story_is_written(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out, err = run("-m", "demo,nosuch/model", code=3)
    assert not out and "nosuch/model is not on this machine" in err
    assert not library.entries()
