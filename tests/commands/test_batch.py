"""`polaris batch` as a user runs it: results, failures, grids, and runs that go on."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.batch import tasks
from polaris_cli.batch.results import Results
from polaris_cli.batch.running import Written, write_one
from polaris_cli.batch.tasks import Task
from polaris_cli.commands import batch as command
from polaris_cli.commands import batch_run, running
from polaris_cli.engines import opening
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import EndpointError, ModelUnavailable, OutputError
from polaris_cli.library.store import Library
from polaris_cli.models import resolving
from tests.cli import environment, in_process, polaris_command, run, scripted_command
from tests.servers.faulty import Faulty

TALE = ["</think>", "Once upon", " a time", " there was a fox."]
Lines = list[dict[str, Any]]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """The engine of `polaris batch` in this process."""
    scripted = ScriptedEngine(TALE)
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: scripted)
    return scripted


class Batch:
    """A folder with premises, and the command."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self._call = home, partial(in_process, home=home, monkeypatch=monkeypatch)
        self.folder = home / "out"
        self.write("a fox\na hen\na cat\n")

    def write(self, text: str, name: str = "premises.txt") -> None:
        self.premises = self.home / name
        self.premises.write_text(text)

    def __call__(self, *options: str, words: str = "8") -> subprocess.CompletedProcess[str]:
        """Run the command: with the demo model and these words unless the options have others, and
        one pass, as the scripts are short."""
        asked = [str(self.premises), "-o", str(self.folder)]
        asked += [] if {"-m", "--model"} & {*options} else ["-m", "demo"]
        asked += [] if "--words" in options else ["--words", words]
        asked += [] if "--length" in options else ["--length", "single"]
        return self._call(["batch", *asked, *options])

    def stories(self) -> Lines:
        return lines_of(self.folder / "stories.jsonl")

    def failures(self) -> Lines:
        return lines_of(self.folder / "failed.jsonl")


def lines_of(path: Path) -> Lines:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    return Batch(tmp_path, monkeypatch)


def test_every_premise_becomes_a_line_a_library_entry_and_a_file(
    batch: Batch, engine: ScriptedEngine
) -> None:
    done = batch("--each", "md,.epub")
    assert done.returncode == 0 and done.stdout == ""
    assert "3 stories written to" in done.stderr and "24 words" in done.stderr
    assert "ratio 1.00" in done.stderr
    stories = batch.stories()
    assert {story["premise"] for story in stories} == {"a fox", "a hen", "a cat"}
    assert {story["batch"]["key"] for story in stories} == {"1", "2", "3"}
    kept = Library(batch.home / "library.db").entries()
    assert {entry.id for entry in kept} == {story["id"] for story in stories}
    names = sorted(path.name for path in batch.folder.iterdir() if path.suffix != ".jsonl")
    assert names == [".lock", *(f"000{n}-{n}.{s}" for n in (1, 2, 3) for s in ("epub", "md"))]


@pytest.mark.parametrize("quiet", [False, True])
def test_lines_that_become_one_premise_are_told_once(
    batch: Batch, engine: ScriptedEngine, quiet: bool
) -> None:
    batch.write("a fox\na hen\n\na cat\na crow\n")
    done = batch(*(["--quiet"] if quiet else []))
    assert len(batch.stories()) == 2
    assert done.stderr.count("4 lines are read as 2 premises") == (not quiet)


def test_the_same_command_writes_only_what_is_missing(batch: Batch, engine: ScriptedEngine) -> None:
    batch()
    before = batch.stories()
    again = batch()
    assert again.returncode == 0 and "3 of 3 stories already written" in again.stderr
    assert batch.stories() == before and len(engine.requests) == 3
    batch.write("a fox\na hen\na cat\na dog\n")
    batch()
    assert len(engine.requests) == 4 and len(batch.stories()) == 4


def test_a_full_disk_costs_no_summary(
    batch: Batch, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Results.add

    def add_two(results: Results, record: dict[str, Any]) -> None:
        if len(results) == 2:
            raise OutputError("Cannot write: No space left on device.")
        add(results, record)

    monkeypatch.setattr(Results, "add", add_two)
    done = batch()
    assert done.returncode == 8 and "No space left" in done.stderr
    assert "2 stories written to" in done.stderr
    assert "stopped; to continue, run the same command again" in done.stderr


def test_what_is_asked_for_differently_is_written_again_and_replaced(
    batch: Batch, engine: ScriptedEngine
) -> None:
    rows: Lines = [{"premise": "a fox"}, {"premise": "a hen", "seed": 1}]
    batch.write("\n".join(map(json.dumps, rows)), "rows.jsonl")
    batch()
    rows[1]["seed"] = 2
    batch.write("\n".join(map(json.dumps, rows)), "rows.jsonl")
    again = batch()
    assert "1 story to write again" in again.stderr
    assert sorted(story["sampling"]["seed"] for story in batch.stories()) == [0, 2]
    assert len(engine.requests) == 3


def files_of(batch: Batch) -> dict[str, str]:
    """The premise of each Markdown file's story, which the user has written in it."""
    return {path.name: path.read_text() for path in batch.folder.glob("*.md")}


def test_stories_keep_their_text_and_files_when_rows_shift(
    batch: Batch, engine: ScriptedEngine
) -> None:
    batch("--each", "md")
    before = {story["premise"]: story["id"] for story in batch.stories()}
    for story in batch.stories():
        (batch.folder / f"000{story['batch']['row']}-{story['batch']['key']}.md").write_text(
            story["premise"]
        )
    batch.write("a dog\na fox\na hen\na cat\n")
    done = batch("--each", "md")
    assert "3 of 4 stories already written" in done.stderr and "again" not in done.stderr
    after = {story["batch"]["key"]: story["id"] for story in batch.stories()}
    assert len(engine.requests) == 4 and len(after) == 4
    assert after.items() >= {"2": before["a fox"], "4": before["a cat"]}.items()
    files = files_of(batch)
    assert "fox" in files.pop("0001-1.md")  # as the engine writes it
    assert files == {"0002-2.md": "a fox", "0003-3.md": "a hen", "0004-4.md": "a cat"}
    batch.write("a hen\na cat\n")
    assert "2 of 2 stories already written" in batch("--each", "md").stderr
    assert files_of(batch).items() >= {"0001-1.md": "a hen", "0002-2.md": "a cat"}.items()
    assert len(engine.requests) == 4 and len(batch.stories()) == len(files_of(batch)) == 4


def test_other_premises_leave_the_stories_of_earlier_ones(
    batch: Batch, engine: ScriptedEngine
) -> None:
    batch("--each", "md")
    before = {story["id"] for story in batch.stories()}
    (batch.folder / "0001-1.md").write_text("mine")
    batch.write("a wolf\nan owl\n", "others.txt")
    done = batch("--each", "md")
    assert "stories.jsonl keeps 3 stories that this command does not ask for" in done.stderr
    assert len(batch.stories()) == 5 and before < {story["id"] for story in batch.stories()}
    assert len(files_of(batch)) == 5 and "mine" in files_of(batch).values()
    batch.write("a fox\na hen\na cat\n")
    assert "3 of 3 stories already written" in batch("--each", "md").stderr
    assert len(engine.requests) == 5 and files_of(batch)["0001-1.md"] == "mine"


def test_files_are_renamed_in_a_larger_grid(batch: Batch, engine: ScriptedEngine) -> None:
    batch("--each", "md,txt")
    (batch.folder / "0002-2.txt").write_text("mine")
    batch(words="8,70")
    batch("--each", "md,txt", words="8,70")
    assert len(files_of(batch)) == 6 and "0001-1.md" not in files_of(batch)
    assert (batch.folder / "0002-2-8.txt").read_text() == "mine"


def test_rows_of_one_premise_have_a_story_each(batch: Batch, engine: ScriptedEngine) -> None:
    batch.write("a fox\na hen\na fox\n")
    batch()
    batch.write("a dog\na fox\na hen\na fox\n")
    assert "3 of 4 stories already written" in batch().stderr
    batch.write("a hen\na fox\na fox\na fox\n")
    assert "3 of 4 stories already written" in batch().stderr
    assert len(engine.requests) == len(batch.stories()) == 5


def test_options_without_an_effect_are_told_here_and_on_a_cluster(
    batch: Batch, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.info = replace(engine.info, device="cpu")
    monkeypatch.setattr(batch_run, "write_on_cluster", lambda *_: (_ for _ in ()))
    asked = ("--revision", "x", "--compile", "--jobs", "1")
    on_cluster, here = (batch(*asked, *more).stderr for more in (["--cluster", "local"], []))
    assert "--revision has no effect" in on_cluster and "--revision has no effect" in here
    assert "--compile has no effect: CUDA graphs need an NVIDIA GPU" in here


@pytest.mark.parametrize("where", [[], ["--cluster", "local"]], ids=["here", "on a cluster"])
def test_a_library_that_cannot_be_written_is_told_and_costs_no_story(
    batch: Batch, engine: ScriptedEngine, where: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(tasks: Iterable[Task], *_: object) -> Iterator[Written[Task]]:
        return (write_one(task, engine) for task in tasks)

    monkeypatch.setattr(batch_run, "write_on_cluster", written)
    (batch.home / "library.db").mkdir()
    done = batch(*where, "--quiet")
    assert done.returncode == 0 and len(batch.stories()) == 3
    assert done.stderr.count("warning: The story is not") == 1 and "Is a directory" in done.stderr


def test_files_are_made_for_stories_of_earlier_runs_too(
    batch: Batch, engine: ScriptedEngine
) -> None:
    batch()
    (batch.folder / "0002-2.md").write_text("mine")
    done = batch("--each", "md")
    assert done.returncode == 0 and len(engine.requests) == 3
    assert sorted(path.name for path in batch.folder.glob("*.md")) == [
        "0001-1.md", "0002-2.md", "0003-3.md",
    ]  # fmt: skip
    assert batch("--each", "md,txt").returncode == 0 and len([*batch.folder.glob("*.txt")]) == 3
    assert (batch.folder / "0002-2.md").read_text() == "mine"


def test_a_line_without_a_whole_record_is_damaged_and_its_story_is_written_again(
    batch: Batch, engine: ScriptedEngine
) -> None:
    batch()
    first, *others = batch.stories()
    lines = [{"schema": first["schema"], "batch": first["batch"]}, *others]
    (batch.folder / "stories.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    done = batch("--each", "md")
    assert done.returncode == 0 and "1 damaged line" in done.stderr
    assert len(batch.stories()) == 4 and len([*batch.folder.glob("*.md")]) == 3


def test_stories_that_are_not_asked_for_any_more_are_told(
    batch: Batch, engine: ScriptedEngine
) -> None:
    batch()
    batch.write("a fox\na wolf\n")
    done = batch()
    assert "stories.jsonl keeps 2 stories that this command does not ask for" in done.stderr
    assert len(batch.stories()) == 4
    assert "does not ask for" not in batch("--retry-failed").stderr


def test_no_more_room_is_planned_than_there_are_stories(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def opened(*_: object, parallel: int) -> ScriptedEngine:
        asked.append(parallel)
        return ScriptedEngine(TALE)

    monkeypatch.setattr(opening, "open_engine", opened)
    batch("--jobs", "64")
    assert asked == [3]


def test_a_grid_writes_every_length_and_seed(batch: Batch, engine: ScriptedEngine) -> None:
    done = batch("--seeds", "2", "--jobs", "3", words="8,70")
    assert done.returncode == 0, done.stderr
    stories = batch.stories()
    asked = {(s["premise"], s["words"]["requested"], s["sampling"]["seed"]) for s in stories}
    assert len(stories) == len(asked) == 12 and ("a hen", 70, 1) in asked


@pytest.mark.parametrize(
    ("first", "later", "stories"),
    [
        ([], ["--words", "8,70"], 6),
        ([], ["-m", "demo,smollm2"], 6),
        ([], ["--seeds", "2"], 6),
        (["--words", "8,70", "--seeds", "2"], ["-m", "demo,smollm2"], 15),
        (["-m", "demo,smollm2", "--seeds", "2"], [], 12),
    ],
)
def test_a_larger_grid_keeps_the_stories_of_a_smaller_one(
    batch: Batch, engine: ScriptedEngine, first: list[str], later: list[str], stories: int
) -> None:
    batch(*first)
    before = {story["id"]: story["story"] for story in batch.stories()}
    done = batch(*later)
    assert done.returncode == 0 and "3 of " in done.stderr and "written again" not in done.stderr
    after = batch.stories()
    assert len(after) == stories == len(engine.requests)
    assert before.items() <= {story["id"]: story["story"] for story in after}.items()
    asked = {(s["batch"]["fingerprint"], s["batch"]["key"]) for s in after}
    assert len(asked) == len({fingerprint for fingerprint, _ in asked}) == stories
    assert batch(*later).returncode == 0 and len(engine.requests) == stories


def test_a_story_of_another_grid_is_taken_over_where_another_one_has_its_key(
    batch: Batch, engine: ScriptedEngine
) -> None:
    batch("-m", "demo,smollm2")
    batch("-m", "smollm2")
    done = batch()
    assert "3 of 3 stories already written" in done.stderr
    assert batch("-m", "demo,smollm2").returncode == 0 and len(engine.requests) == 6


def test_a_repeated_option_adds_to_the_list(batch: Batch, engine: ScriptedEngine) -> None:
    done = batch("--words", "8", "--words", "9", "-m", "demo", "--each", "md", "--each", "txt")
    assert done.returncode == 0 and len(engine.requests) == 6
    assert {story["words"]["requested"] for story in batch.stories()} == {8, 9}
    assert len([*batch.folder.glob("*.md")]) == len([*batch.folder.glob("*.txt")]) == 6


def test_bad_rows_are_named_and_cost_no_other(batch: Batch, engine: ScriptedEngine) -> None:
    rows = [
        '{"premise": "a fox"}', "{", '{"premise": "a hen", "words": "many"}', '{"prompt": "a cat"}'
    ]  # fmt: skip
    batch.write("\n".join(rows), "rows.jsonl")
    done = batch()
    assert done.returncode == 7
    assert "rows.jsonl, line 2" in done.stderr and "rows.jsonl, line 3" in done.stderr
    assert "line 3: words: invalid value 'many'" in done.stderr and "2 failed" in done.stderr
    assert {story["premise"] for story in batch.stories()} == {"a fox", "a cat"}
    assert [failure["key"] for failure in batch.failures()] == [" row 2", "3"]


def test_a_story_that_failed_is_written_by_the_next_run(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Script(["</think>", "Once"], error=ModelUnavailable("The server is gone."))
    engine = ScriptedEngine(lost, TALE)
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: engine)
    assert batch("--jobs", "1").returncode == 7
    assert "The server is gone." in batch.failures()[0]["error"]
    assert len(batch.stories()) == 2
    assert batch("--retry-failed").returncode == 0
    assert len(batch.stories()) == 3 and batch.failures() == []
    assert len(engine.requests) == 4


def test_a_model_that_writes_nothing_is_a_failure(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(["only a plan"]))
    done = batch()
    assert done.returncode == 7 and "without writing a story" in done.stderr
    assert batch.stories() == [] and len(batch.failures()) == 3


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_the_first_failures_are_named(
    batch: Batch, engine: ScriptedEngine, quiet: list[str]
) -> None:
    batch.write('{"premise": "a fox", "form": "ode"}\n' * 8, "rows.jsonl")
    told = batch(*quiet).stderr
    assert told.count("warning: ") == 5 and ("Further failures" in told) != bool(quiet)


def test_columns_that_are_not_used_are_told_once(batch: Batch, engine: ScriptedEngine) -> None:
    batch.write("premise,wrods,seed,word_count,title\na fox,9,1,9,T\na hen,9,2,,T\n", "p.csv")
    told = batch().stderr
    assert told.count("note: Columns that are not used: wrods, word_count, title.\n") == 1
    assert "not used" not in batch("--quiet").stderr
    batch.write(json.dumps({"premise": "a cat"} | {f"c{n}": n for n in range(12)}), "p.jsonl")
    assert "c8, c9 and 2 more.\n" in batch().stderr


def test_the_help_names_the_exit_codes() -> None:
    codes = re.findall(r"(\d+) [a-z]", command.EPILOG.split("Exit codes: ")[1])
    assert codes == ["0", "2", "3", "4", "7", "8", "130"]


def test_strict_stops_at_the_first_failure(batch: Batch, engine: ScriptedEngine) -> None:
    rows = ['{"premise": "a fox", "form": "ode"}', *['{"premise": "a hen"}'] * 40]
    batch.write("\n".join(rows), "rows.jsonl")
    assert batch("--strict", "--jobs", "1").returncode == 7
    assert len(engine.requests) < 16


def test_settings_that_are_wrong_for_all_are_refused_at_once(batch: Batch) -> None:
    for options in (
        ["--temperature", "99"], ["--jobs", "0"], ["--jobs", "x"], ["--each", "pdf"],
        ["--words", "0"], ["--seeds", "0"], ["--words", "1,200"], ["--words", "400,800"],
        ["--chapters", "2", "--length", "single"], ["--words", ""], ["--words", " ,"], ["-m", ","],
        ["--each", ","], ["--each", ""],
    ):  # fmt: skip
        done = batch(*options)
        assert done.returncode == 2 and done.stderr.startswith("polaris: error: "), options
        assert not batch.stories()


def test_an_engine_that_cannot_be_loaded_ends_the_run_if_there_is_no_other(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(reference: Any, *_: Any, **__: Any) -> ScriptedEngine:
        if reference.name == "smollm2":
            raise ModelUnavailable("smollm2 is damaged.")
        return ScriptedEngine(TALE)

    monkeypatch.setattr(opening, "open_engine", opened)
    monkeypatch.setattr(running, "download", lambda *_, **__: None)
    done = batch("-m", "smollm2,demo")
    assert done.returncode == 7 and "smollm2 is damaged." in done.stderr
    assert len(batch.stories()) == 3 and len(batch.failures()) == 3
    assert batch("-m", "smollm2").returncode == 3


@pytest.fixture
def served(batch: Batch, engine: ScriptedEngine) -> Iterator[Faulty]:
    """A server whose three stories are written."""
    with Faulty() as server:
        assert batch("-m", "test-model", "--base-url", server.url).returncode == 0
        yield server


def test_a_server_that_is_gone_changes_nothing_and_is_asked_once(
    batch: Batch, served: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def gone(address: object, **_: object) -> None:
        asked.append(address)
        raise EndpointError("No server answers.")

    monkeypatch.setattr(resolving, "probe", gone)
    tasks._resolved_within.cache_clear()
    done = batch("-m", "test-model", "--base-url", served.url)
    assert done.returncode == 3 and done.stderr.startswith("polaris: error: No server answers.")
    assert len(asked) == 2 and len(batch.stories()) == 3


def test_stories_that_are_there_do_not_fail_with_their_model(
    batch: Batch, served: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks._resolved_within.cache_clear()
    rows = [
        {"premise": premise, "id": str(n)}
        for n, premise in enumerate(("a fox", "a hen", "a cat"), 1)
    ]
    own = {"base_url": "http://127.0.0.1:9", "model": "test-model"}
    batch.write(
        "\n".join(json.dumps(row | own) for row in rows) + '\n{"premise": "an owl"}', "r.jsonl"
    )
    done = batch()
    assert done.returncode == 0 and "No server answers" in done.stderr
    assert "what is asked for has changed" not in done.stderr
    assert len(batch.stories()) == 4 and batch.failures() == []


@pytest.mark.parametrize("wrong", ['"quantize": "5bit"', '"model": ["demo"]', '"threads": "x"'])
def test_a_row_whose_engine_is_invalid_costs_no_other(
    batch: Batch, engine: ScriptedEngine, wrong: str
) -> None:
    batch.write(f'{{"premise": "a fox", {wrong}}}\n{{"premise": "a hen"}}\n', "rows.jsonl")
    assert batch().returncode == 7
    assert [story["premise"] for story in batch.stories()] == ["a hen"]
    assert [failure["key"] for failure in batch.failures()] == ["1"]


def test_every_invalid_row_has_its_own_error(batch: Batch, engine: ScriptedEngine) -> None:
    rows = ['{"premise": "a fox", "seed": "x"}', '{"premise": "a hen", "form": "ode"}']
    batch.write("\n".join([*rows, '{"premise": "a cat", "threads": 1}']), "rows.jsonl")
    assert batch().returncode == 7 and len(batch.stories()) == 1
    errors = [failure["error"] for failure in batch.failures()]
    assert "seed" in errors[0] and "form" in errors[1]


def test_rows_that_are_all_invalid_are_failures_and_a_command_that_is_invalid_is_none(
    batch: Batch, engine: ScriptedEngine
) -> None:
    batch.write('{"premise": "a fox", "seed": "x"}\n{"premise": "a hen", "form": "ode"}', "r.jsonl")
    done = batch()
    assert done.returncode == 7 and "r.jsonl, line 2" in done.stderr and "2 failed" in done.stderr
    errors = [failure["error"] for failure in batch.failures()]
    assert "seed" in errors[0] and "form" in errors[1]
    batch.write("a fox\na hen\n")
    assert batch("--preset", "nope").returncode == 2 and len(batch.failures()) == 2


@pytest.mark.slow
def test_premises_come_from_a_pipe(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    asked = ["batch", "-", "-o", str(folder), "-m", "demo", "--words", "9"]
    done = run(scripted_command(*asked), tmp_path, stdin=b"a fox\na hen\n")
    assert done.returncode == 0, done.stderr
    assert len(lines_of(folder / "stories.jsonl")) == 2


def started(home: Path, *options: str) -> subprocess.Popen[bytes]:
    """A batch of sixteen slow stories, two at a time."""
    (home / "premises.txt").write_text("".join(f"premise {n}\n" for n in range(16)))
    asked = ["batch", str(home / "premises.txt"), "-o", str(home / "out"), "-m", "demo"]
    asked += ["--words", "60", "--jobs", "2", *options]
    scripts = [["</think>", *["word "] * 60]]
    return subprocess.Popen(
        scripted_command(*asked, scripts=scripts, delay=0.002), env=environment(home),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} has not {count} lines")


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(tmp_path: Path) -> None:
    stories = tmp_path / "out" / "stories.jsonl"
    with started(tmp_path) as process:
        wait_for_lines(stories, 3)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=20)[1].decode()
    assert process.returncode == 130 and "Traceback" not in told
    assert "interrupted; to continue, run the same command again" in told
    before = len(lines_of(stories))
    assert 3 <= before < 16
    with started(tmp_path) as process:
        told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 0 and f"{before} of 16 stories already" in told
    assert {story["premise"] for story in lines_of(stories)} == {f"premise {n}" for n in range(16)}
    assert len(lines_of(stories)) == 16


@pytest.mark.slow
def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        wait_for_lines(tmp_path / "out" / "stories.jsonl", 1)
        premises = str(tmp_path / "premises.txt")
        command = polaris_command("batch", premises, "-o", str(tmp_path / "out"), "-m", "demo")
        refused = run(command, tmp_path)
        process.kill()
        process.communicate()
    assert refused.returncode == 2 and "Another polaris batch" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 3, 8, 14])
def test_a_killed_batch_loses_no_finished_story(tmp_path: Path, lines: int) -> None:
    stories = tmp_path / "out" / "stories.jsonl"
    with started(tmp_path) as process:
        wait_for_lines(stories, lines)
        process.kill()
        process.communicate()
    kept = [json.loads(line) for line in stories.read_bytes().split(b"\n")[:-1]]
    with started(tmp_path, "--quiet") as process:
        assert process.communicate(timeout=60) == (b"", b"")
    after = lines_of(stories)
    assert after[: len(kept)] == kept and len(after) == 16
    assert len({story["batch"]["key"] for story in after}) == 16


@pytest.mark.slow
def test_the_demo_model_writes_together_what_it_writes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.txt").write_text("a miller and a bell\na fox\nthe last train\n")
    asked = ["batch", str(tmp_path / "p.txt"), "-m", "demo", "--words", "40", "-q"]
    for folder, jobs in (("one", "1"), ("three", "3")):
        command = [*asked, "-o", str(tmp_path / folder), "--jobs", jobs]
        done = in_process(command, tmp_path, monkeypatch)
        assert done.returncode == 0, done.stderr
    texts = [
        {
            story["batch"]["key"]: story["story"]
            for story in lines_of(tmp_path / each / "stories.jsonl")
        }
        for each in ("one", "three")
    ]
    assert texts[0] == texts[1] and len(texts[0]) == 3


def test_a_row_that_was_corrected_is_no_failure_any_more(
    batch: Batch, engine: ScriptedEngine
) -> None:
    rows = ['{"premise": "a fox", "id": "x"}', '{"premise": 5, "id": "y"}']
    batch.write("\n".join(rows), "rows.jsonl")
    assert batch().returncode == 7
    batch.write("\n".join(rows).replace("5", '"a hen"'), "rows.jsonl")
    assert batch("--retry-failed").returncode == 0
    assert len(batch.stories()) == 2 and batch.failures() == []


def test_an_input_that_is_not_found_costs_no_failure(batch: Batch, engine: ScriptedEngine) -> None:
    batch.write('{"premise": "a fox"}\n{"premise": 5}\n', "rows.jsonl")
    assert batch().returncode == 7
    batch.premises = batch.home / "raws.jsonl"
    assert batch().returncode == 2
    assert [failure["key"] for failure in batch.failures()] == [" row 2"]


@pytest.mark.parametrize("text", [None, "", "words\n8\n"])
def test_an_input_without_premises_leaves_no_folder(
    batch: Batch, engine: ScriptedEngine, text: str | None
) -> None:
    batch.premises = batch.home / "premises.csv"
    if text is not None:
        batch.premises.write_text(text)
    assert batch().returncode == 2 and not batch.folder.exists()


def test_failures_that_are_not_asked_for_any_more_are_dropped_by_a_full_run(
    batch: Batch, engine: ScriptedEngine
) -> None:
    wrong = '{"premise": "a fox", "id": "x", "form": "ode"}\n'
    batch.write(wrong + '{"premise": "a hen", "id": "y"}\n', "rows.jsonl")
    assert batch().returncode == 7
    batch.write('{"premise": "a hen", "id": "y"}\n', "rows.jsonl")
    done = batch("--retry-failed")
    assert "Nothing to retry: failed.jsonl has no story" in done.stderr
    assert done.returncode == 0 and len(batch.failures()) == 1
    done = batch()
    assert done.returncode == 0 and batch.failures() == []
    assert "Nothing to retry" not in done.stderr


@pytest.mark.parametrize("retry", [[], ["--retry-failed"]])
def test_a_story_that_is_there_is_no_failure(
    batch: Batch, engine: ScriptedEngine, retry: list[str]
) -> None:
    row = '{"premise": "a fox", "seed": 1}\n'
    batch.write(row, "rows.jsonl")
    batch()
    batch.write(row.replace("1", '"x"'), "rows.jsonl")
    assert batch().returncode == 7 and len(batch.failures()) == 1
    batch.write(row, "rows.jsonl")
    assert batch(*retry).returncode == 0 and batch.failures() == []
    assert len(engine.requests) == 1


def test_files_of_long_and_similar_keys_do_not_meet(batch: Batch, engine: ScriptedEngine) -> None:
    rows = [{"premise": "a fox", "id": id_} for id_ in ("x" * 70, "𠀀" * 61, "../a/b", "a-b")]
    batch.write("\n".join(map(json.dumps, rows)), "rows.jsonl")
    for _ in range(2):
        done = batch("--each", "txt", words="8,9")
        assert done.returncode == 0, done.stderr
        assert len([*batch.folder.glob("*.txt")]) == 8
    assert {path.parent for path in batch.home.rglob("*.txt")} <= {batch.folder, batch.home}


def test_a_file_that_cannot_be_written_costs_no_story(batch: Batch, engine: ScriptedEngine) -> None:
    (batch.folder / "0001-1.md").mkdir(parents=True)
    done = batch("--each", "md")
    assert done.returncode == 8 and "The story is in stories.jsonl" in done.stderr
    assert len(batch.stories()) == 3 and (batch.folder / "0003-3.md").is_file()
