"""`polaris write --drafts N`: the best draft on stdout, all of them in files and the library."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.engines import opening
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import ModelUnavailable, OutputError
from polaris_cli.evaluate.rubric import load_rubric
from polaris_cli.formats.files import write_atomic
from polaris_cli.library.store import Library
from tests.cli import environment, in_process, scripted_command
from tests.servers.faulty import Faulty
from tests.servers.replies import Action, Request, Sleep, chat, refused, streamed

LENGTHS = (3, 9, 14)  # words of the drafts, of ten asked for
TALES = [" ".join(["word"] * (count - 1)) + f" {count}." for count in LENGTHS]
ASK = ["write", "a fox", "-w", "10", "-m", "demo", "--drafts", "3", "--length", "single"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    scripts = [["</think>", *(f"{word} " for word in tale.split())] for tale in TALES]
    scripted = ScriptedEngine(*scripts)
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: scripted)
    monkeypatch.setattr("polaris_cli.commands.drafts.stories_at_once", lambda job: 1)
    return scripted


def ask(
    home: Path, monkeypatch: pytest.MonkeyPatch, *more: str
) -> subprocess.CompletedProcess[str]:
    return in_process([*ASK, *more], home, monkeypatch)


def judged_at(url: str) -> tuple[str, ...]:
    return ("--best", "judge", "--judge-model", "test-model", "--judge-url", url)


def test_the_best_is_printed_and_all_are_listed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    done = ask(tmp_path, monkeypatch, "--seed", "5", "-o", str(tmp_path / "fox.md"))
    assert (done.returncode, done.stdout) == (0, f"{TALES[1]}\n")
    assert "The best is draft 2" in done.stderr
    lines = [line.split("\t") for line in done.stderr.splitlines() if "\t" in line]
    assert [line[0] for line in lines] == ["draft", "1", "2", "3"]
    assert [line[2] for line in lines[1:]] == ["3", "9", "14"]
    library = Library(tmp_path / "library.db")
    entries = library.entries()
    assert sorted(entry.draft or 0 for entry in entries) == [1, 2, 3]
    assert len({entry.group for entry in entries}) == 1
    seeds = {library.get(entry.id).request.sampling.seed for entry in entries}
    assert seeds == {5, 6, 7}
    assert sorted(path.name for path in tmp_path.glob("*.md")) == [f"fox-{n}.md" for n in (1, 2, 3)]


def test_a_library_that_cannot_be_written_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    (tmp_path / "library.db").mkdir()
    done = ask(tmp_path, monkeypatch, "--quiet")
    assert done.returncode == 0 and done.stderr.count("warning: The story is not being saved") == 1


def test_a_file_that_cannot_be_written_costs_no_other_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    def full_once(path: Path, data: bytes, *, force: bool) -> None:
        if path.name == "fox-1.md":
            raise OutputError("The disk is full.")
        write_atomic(path, data, force=force)

    monkeypatch.setattr("polaris_cli.commands.delivery.write_atomic", full_once)
    done = ask(tmp_path, monkeypatch, "-o", str(tmp_path / "fox.md"), "--no-save")
    assert (done.returncode, done.stdout) == (8, f"{TALES[1]}\n"), done.stderr
    assert sorted(path.name for path in tmp_path.glob("*.md")) == ["fox-2.md", "fox-3.md"]


@pytest.mark.slow
def test_a_full_standard_output_costs_no_file(tmp_path: Path) -> None:
    command = scripted_command(*ASK, "-o", str(tmp_path / "fox.md"))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, env=environment(tmp_path), check=False)
    assert done.returncode == 8
    assert sorted(path.name for path in tmp_path.glob("*.md")) == [f"fox-{n}.md" for n in (1, 2, 3)]


def test_a_judge_chooses_among_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    def answer(request: Request) -> list[Action]:
        best = TALES[2] in request.json["messages"][0]["content"]
        scores = {f"{one.key}_score": one.low + best for one in load_rubric("creative").criteria}
        return streamed(chat([json.dumps(scores)]))

    with Faulty(answer) as server:
        judge = judged_at(f"{server.url}/v1")
        done = ask(tmp_path, monkeypatch, *judge, "--rubric", "creative")
    assert (done.returncode, done.stdout) == (0, f"{TALES[2]}\n"), done.stderr
    assert "The judge's totals by draft: 1: 0.0, 2: 0.0, 3: 5.0." in done.stderr
    assert "The best is draft 3" in done.stderr


def test_a_judge_that_is_not_there_is_told_before_the_drafts_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    done = ask(tmp_path, monkeypatch, *judged_at("http://127.0.0.1:9/v1"))
    assert (done.returncode, done.stdout) == (3, "") and not engine.requests
    assert "http://127.0.0.1:9/v1" in done.stderr
    assert "check the address: --judge-url URL" in done.stderr


def test_a_hint_on_the_judge_names_its_own_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    with Faulty(lambda request: refused(402)) as server:
        url = f"{server.url}/v1"
        done = ask(tmp_path, monkeypatch, *judged_at(url), "--judge-model", "test-modl")
    assert done.returncode == 3 and "Did you mean --judge-model test-model ?" in done.stderr


def test_the_address_of_a_judge_is_enough_beside_any_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    config = tmp_path / "config" / "polaris" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('engine = "local"\n')
    with Faulty(lambda request: refused(402)) as server:
        done = ask(tmp_path, monkeypatch, *judged_at(f"{server.url}/v1"))
    assert done.returncode == 0 and "The judge failed" in done.stderr


def test_a_dry_run_tells_of_the_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    done = ask(tmp_path, monkeypatch, "--dry-run")
    assert "3 drafts of 10 words: 30 words in all" in done.stdout and not engine.requests


def test_drafts_survive_a_judge_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    with Faulty(lambda request: refused(402, "no credit left")) as server:
        done = ask(tmp_path, monkeypatch, *judged_at(f"{server.url}/v1"))
    assert (done.returncode, done.stdout) == (0, f"{TALES[1]}\n")
    assert "The judge failed" in done.stderr and "without a judge" in done.stderr


def test_drafts_survive_a_judge_that_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    with Faulty(lambda request: []) as server:
        url = f"{server.url}/v1"
        monkeypatch.setattr(engine, "close", server.__exit__)  # once the drafts are written
        done = ask(tmp_path, monkeypatch, *judged_at(url))
    assert (done.returncode, done.stdout) == (0, f"{TALES[1]}\n")
    assert "The judge cannot be asked" in done.stderr and "without a judge" in done.stderr


@pytest.mark.slow
def test_one_ctrl_c_ends_the_judging_and_prints_the_best_without_it(tmp_path: Path) -> None:
    scripts = [["</think>", *(f"{word} " for word in tale.split())] for tale in TALES]
    slowly = streamed([part for delta in chat(["word "] * 400) for part in (delta, Sleep(0.05))])
    with Faulty(lambda request: slowly) as server:
        judge = judged_at(f"{server.url}/v1")
        command = scripted_command(*ASK, *judge, scripts=scripts)
        with subprocess.Popen(
            command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            while not any(each.path.endswith("completions") for each in server.requests):
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, told = process.communicate(timeout=20)
    assert process.returncode == 130 and out.decode() == f"{TALES[1]}\n", told.decode()
    assert b"without a judge" in told and b"Traceback" not in told


@pytest.mark.parametrize(
    ("more", "told"),
    [(("--best", "judge"), "needs a judge"), (("--best", "taste"), "is not a way to choose")],
)
def test_a_way_to_choose_that_is_none_is_refused_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: ScriptedEngine,
    more: tuple[str, ...],
    told: str,
) -> None:
    done = ask(tmp_path, monkeypatch, *more)
    assert done.returncode == 2 and told in done.stderr and not engine.requests


def test_all_are_printed_divided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    done = ask(tmp_path, monkeypatch, "--all", "--best", "surprise")
    assert done.stdout.count("===== draft ") == 3
    places = [done.stdout.index(tale) for tale in TALES]
    assert places == sorted(places)


def test_a_draft_that_failed_keeps_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    lost = Script(["</think>"], error=ModelUnavailable("The server is gone."))
    scripted = ScriptedEngine(["</think>", TALES[0]], lost, ["</think>", TALES[2]])
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: scripted)
    done = ask(tmp_path, monkeypatch, "--all")
    assert "= draft 1 of 3" in done.stdout and "= draft 3 of 3" in done.stdout
    assert done.stdout.count("===== draft ") == 2


def test_json_is_an_object_of_the_best_or_one_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    record = json.loads(ask(tmp_path, monkeypatch, "--json").stdout)
    assert (record["story"], record["batch"]["draft"]) == (TALES[1], 2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--best", "length"], "--best: 'length'"),
        (["--drafts", "1", "--all"], "--all choose among drafts"),
        (["-o", "nosuch/x.md"], "nosuch"),
        (["--drafts", "0"], "--drafts"),
    ],
)
def test_wrong_options_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    refused = ask(tmp_path, monkeypatch, *more)
    assert refused.returncode == 2 and said in refused.stderr


def test_without_any_text_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(["only a plan"]))
    done = ask(tmp_path, monkeypatch)
    assert done.returncode == 5 and "No draft has any text" in done.stderr


def test_a_chosen_draft_is_marked_in_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: ScriptedEngine
) -> None:
    ask(tmp_path, monkeypatch)
    ids = {entry.draft: entry.id for entry in Library(tmp_path / "library.db").entries()}

    def library(*arguments: str) -> subprocess.CompletedProcess[str]:
        return in_process(["library", *arguments], tmp_path, monkeypatch)

    for number in (1, 3):
        assert library("choose", ids[number]).returncode == 0
        marked = [line for line in library().stdout.splitlines() if "chosen" in line]
        assert len(marked) == 1 and f"(draft {number}, chosen)" in marked[0]
    assert json.loads(library("show", ids[3], "--json").stdout)["batch"]["chosen"] is True
    in_process([*ASK[:-4], "--length", "single", "-q"], tmp_path, monkeypatch)
    refused = library("choose", "last")
    assert refused.returncode == 2 and "not one of several drafts" in refused.stderr


def test_the_command_that_continues_the_best_draft_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = ScriptedEngine(*[Script(["</think>", "A tale of"], "length")])
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: scripted)
    done = ask(tmp_path, monkeypatch)
    best = done.stderr.split("The best is draft 1: ")[1][:8]
    assert f"Continue it: polaris resume {best}" in done.stderr
    assert "Continue it" not in ask(tmp_path, monkeypatch, "--no-save").stderr


def test_a_draft_that_failed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts: list[Any] = [Script(["</think>"], error=ModelUnavailable("The server is gone."))]
    scripted = ScriptedEngine(*scripts, ["</think>", "A tale."])
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: scripted)
    monkeypatch.setattr("polaris_cli.commands.drafts.stories_at_once", lambda job: 1)
    done = ask(tmp_path, monkeypatch)
    assert done.returncode == 0 and "Draft 1 failed: The server is gone." in done.stderr
    refused = ask(tmp_path, monkeypatch, "--plan-only")
    assert refused.returncode == 2 and "--plan-only" in refused.stderr


def test_a_draft_that_failed_is_delivered_only_if_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = ModelUnavailable("The server is gone.")
    broken = Script(["</think>", "Half of a tale"], error=gone)
    monkeypatch.setattr("polaris_cli.commands.drafts.stories_at_once", lambda job: 1)
    scripted = ScriptedEngine(broken, ["</think>", "A tale."])
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: scripted)
    done = ask(tmp_path, monkeypatch, "--best", "ratio")
    assert (done.returncode, done.stdout) == (0, "A tale.\n")
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(broken))
    done = ask(tmp_path, monkeypatch)
    assert (done.returncode, done.stdout) == (3, "Half of a tale\n")
    assert "The best is draft 1" in done.stderr
