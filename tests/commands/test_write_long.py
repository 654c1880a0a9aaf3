"""Long stories on the command line: chapters, plans, --continue, resume, rerun."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from polaris_cli.commands import resume
from polaris_cli.engines import opening
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.events import text_of
from polaris_cli.library.store import Library
from polaris_cli.story.job import Job
from polaris_cli.story.result import Story
from tests.cli import (
    environment,
    in_process,
    polaris_command,
    run,
    scripted_command,
    wait_for_text,
)
from tests.stories import a_story, a_stream, no_warning, record

PLAN = [
    "Title: The Fox\nCast: a fox\n1. Den | 5 words | it wakes\n",
    "2. Hill | 5 words | it runs",
]
CHAPTERS = [PLAN, ["A fox woke up early.\n\n"], ["It ran up the hill."]]
BOOK = "## Den\n\nA fox woke up early.\n\n## Hill\n\nIt ran up the hill.\n"
ASK = ("write", "a fox", "--words", "14", "--model", "demo", "--no-think")
IN_CHAPTERS = (*ASK, "--chapters", "2")


def library(home: Path) -> list[dict[str, object]]:
    listed = run(polaris_command("library", "--json"), home).stdout
    return [json.loads(line) for line in listed.splitlines()]


@pytest.mark.slow
def test_chapters_go_to_stdout_and_the_plan_to_stderr(tmp_path: Path) -> None:
    ended = run(scripted_command(*IN_CHAPTERS, scripts=CHAPTERS), tmp_path)
    assert (ended.returncode, ended.stdout) == (0, BOOK)
    assert "1. Den | 7 words | it wakes" in ended.stderr
    record = json.loads(run(polaris_command("library", "show", "last", "--json"), tmp_path).stdout)
    assert record["title"] == "The Fox" and record["length"]["mode"] == "chapters"
    assert [chapter["title"] for chapter in record["outline"]["chapters"]] == ["Den", "Hill"]


@pytest.mark.slow
def test_a_plan_is_made_edited_and_followed(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    made = run(
        scripted_command(*IN_CHAPTERS, "--plan-only", "-o", str(plan), scripts=CHAPTERS), tmp_path
    )
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    plan.write_text(plan.read_text().replace("Hill", "Mountain"))
    command = scripted_command(*ASK[:2], "-m", "demo", "--no-think", "--plan", str(plan),
                               scripts=CHAPTERS[1:])  # fmt: skip
    ended = run(command, tmp_path)
    assert ended.stdout == BOOK.replace("Hill", "Mountain")
    assert "of 14 words" in ended.stderr  # the plan's own words


@pytest.mark.slow
def test_a_plan_without_a_file_is_printed(tmp_path: Path) -> None:
    made = run(scripted_command(*IN_CHAPTERS, "--plan-only", scripts=CHAPTERS), tmp_path)
    assert made.stdout.startswith("# The plan") and "[[chapter]]" in made.stdout
    assert library(tmp_path) == []


@pytest.mark.slow
def test_auto_uses_chapters_above_the_length_the_model_is_good_at(tmp_path: Path) -> None:
    for words, mode in (("400", "extend"), ("401", "chapters")):
        asked = ("write", "a fox", "-w", words, "-m", "demo", "--length", "auto", "--no-think")
        command = scripted_command(*asked, "--json", scripts=CHAPTERS)
        assert json.loads(run(command, tmp_path).stdout)["length"]["mode"] == mode


@pytest.mark.slow
def test_extending_is_in_the_report_and_the_record(tmp_path: Path) -> None:
    scripts = [["One two three.", "\n\n", "The end."], ["Four five six seven eight nine. "] * 12]
    asked = (*ASK, "--length", "extend", "--words", "60")
    ended = run(scripted_command(*asked, scripts=scripts), tmp_path)
    assert ended.stdout.startswith("One two three.\n\n* * *\n\nFour")
    assert "extended once" in ended.stderr
    record = json.loads(run(polaris_command("library", "show", "last", "--json"), tmp_path).stdout)
    length = {"mode": "extend", "headings": True, "extended": 1, "rewritten": 0, "closed": True}
    assert record["length"] == length


@pytest.mark.slow
def test_the_users_text_is_continued(tmp_path: Path) -> None:
    draft = tmp_path / "draft.txt"
    draft.write_text("It was night.\n")
    asked = ("write", "--continue", str(draft), "-w", "8", "-m", "demo")
    ended = run(scripted_command(*asked, scripts=[[" Then it was day again."]]), tmp_path)
    assert ended.stdout == "It was night. Then it was day again.\n"
    assert "8 of 8 words" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\xfa"])
def test_an_unreadable_text_is_refused(tmp_path: Path, content: bytes | None) -> None:
    draft = tmp_path / "draft.txt"
    if content is not None:
        draft.write_bytes(content)
    refused = run(polaris_command("write", "--continue", str(draft), "-w", "8"), tmp_path)
    assert refused.returncode == 2 and "draft.txt" in refused.stderr


def stopped(home: Path, command: list[str], after: str, number: int) -> None:
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(home)
    ) as process:
        wait_for_text(home, after)
        process.send_signal(number)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_a_story_in_chapters_is_resumed_where_it_stopped(tmp_path: Path, number: int) -> None:
    scripts = [PLAN, ["A fox", " woke", " up", " early."]]
    stopped(tmp_path, scripted_command(*IN_CHAPTERS, scripts=scripts, delay=0.6), "fox", number)
    (kept,) = library(tmp_path)
    assert kept["state"] in ("interrupted", "killed")
    rest = [[" and ate."], ["It ran up the hill."]]
    ended = run(scripted_command("resume", scripts=rest), tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert " and ate.\n\n## Hill\n\nIt ran up" in ended.stdout
    if number == signal.SIGINT:  # a killed process loses what came within the last second
        assert ended.stdout.startswith("## Den\n\nA fox")
    assert len(library(tmp_path)) == 2  # the interrupted one is kept


@pytest.mark.slow
def test_a_single_story_is_resumed_and_a_finished_one_is_not(tmp_path: Path) -> None:
    command = scripted_command(*ASK, scripts=[["A fox", " woke", " up."]], delay=0.6)
    stopped(tmp_path, command, "fox", signal.SIGINT)
    rest = [[" slept and dreamt of eleven fat geese on a very green hill."]]
    ended = run(scripted_command("resume", scripts=rest), tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("A fox") and ended.stdout.endswith("very green hill.\n")
    refused = run(scripted_command("resume"), tmp_path)
    assert refused.returncode == 2 and "is finished" in refused.stderr
    assert "--words" in refused.stderr


@pytest.mark.slow
def test_rerun_uses_the_recorded_settings(tmp_path: Path) -> None:
    run(scripted_command(*ASK, "--seed", "7"), tmp_path)
    again = run(scripted_command("rerun", "last", "--json"), tmp_path)
    record = json.loads(again.stdout)
    assert record["sampling"]["seed"] == 7 and record["words"]["requested"] == 14
    refused = run(polaris_command("rerun", "--api-key-env", "KEY"), tmp_path)
    assert refused.returncode == 2 and "Leave out --api-key-env." in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["resume", "rerun"])
def test_an_unknown_id_is_refused(tmp_path: Path, command: str) -> None:
    refused = run(polaris_command(command, "nosuch"), tmp_path)
    assert refused.returncode == 2 and "polaris library" in refused.stderr


@pytest.mark.slow
def test_ctrl_c_in_the_plan_shows_it_and_resume_starts_over(tmp_path: Path) -> None:
    command = scripted_command(*IN_CHAPTERS, scripts=CHAPTERS, delay=3.0)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment(tmp_path)) as process:
        while not library(tmp_path):  # the first piece of the plan starts the record
            pass
        process.send_signal(signal.SIGINT)
        printed, told = process.communicate(timeout=20)
    assert process.returncode == 130, told
    assert b"Title: The Fox" in told and not printed
    ended = run(scripted_command("resume", scripts=CHAPTERS), tmp_path)
    assert ended.stdout == BOOK, ended.stderr


def test_resume_continues_one_story_though_another_begins_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, jobs, get = Library(tmp_path / "library.db"), list[Job](), Library.get

    def add(id: str, text: str) -> None:
        assert [*record(a_stream(text, reason="length"), library, a_story(id), no_warning)]

    def noted(job: Job, *rest: object) -> int:
        jobs.append(job)
        return 0

    def get_late(self: Library, ref: str) -> Story:
        found = get(self, ref)
        add("22222222", "Another.")
        return found

    add("11111111", "Once")
    monkeypatch.setattr(Library, "get", get_late)
    monkeypatch.setattr(resume, "run", noted)
    assert in_process(["resume"], tmp_path, monkeypatch).returncode == 0
    assert jobs[0].earlier and "Once" in map(text_of, jobs[0].earlier.events)


def test_a_plan_is_printed_if_a_file_cannot_be_written_and_its_thinking_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, second, thinking = (tmp_path / name for name in ("late.toml", "second.toml", "t.txt"))

    def opened(*_: object, **__: object) -> ScriptedEngine:
        late.touch()
        return ScriptedEngine(["a den", "</think>", *PLAN])

    monkeypatch.setattr(opening, "open_engine", opened)
    files = ["-o", str(late), "-o", str(second), "--thinking-output", str(thinking)]
    asked = (*ASK[:-1], "--chapters", "2", "--plan-only", *files)
    ended = in_process(asked, tmp_path, monkeypatch)
    assert ended.returncode == 2 and "late.toml already exists" in ended.stderr
    assert ended.stdout == second.read_text() and "[[chapter]]" in ended.stdout
    assert thinking.read_text() == "a den\n" and f"saved {second}" in ended.stderr


def test_a_plan_is_not_judged_by_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = in_process((*IN_CHAPTERS, "--plan-only", "--strict"), tmp_path, monkeypatch)
    assert ended.returncode == 2 and "--strict" in ended.stderr


def test_the_cost_of_a_plan_is_that_of_the_plan_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("write", "a fox", "-w", "9000", "-m", "no-hri", "--dry-run", "--json")
    whole, plan = (
        json.loads(in_process((*asked, *more), tmp_path, monkeypatch).stdout)
        for more in ((), ("--plan-only",))
    )
    assert [one["name"] for one in plan["passes"]] == ["plan"]
    assert plan["passes"][0] == whole["passes"][0] and plan["tokens"]["story"] == 0
