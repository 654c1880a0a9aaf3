"""`polaris bench batch --stories`: its figures and output; memory and rows of a long batch."""

import json
import resource
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import httpx2
import psutil
import pytest
from typer.testing import CliRunner

from polaris_cli.batch.premises import Row
from polaris_cli.batch.running import write_all, write_one
from polaris_cli.batch.tasks import Grid, tasks_of
from polaris_cli.bench.stories import stories_of, throughput
from polaris_cli.commands.app import app
from polaris_cli.engines import opening
from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.opening import open_engine
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import ModelUnavailable
from polaris_cli.events import AnswerEvent
from tests.servers.faulty import Faulty
from tests.servers.replies import talking
from tests.stories import a_thai_story

TALE = ["</think>", *["word "] * 20]
OPTIONS = {"model": "demo", "words": 20}


def test_the_same_stories_are_written_and_counted() -> None:
    tasks = stories_of(OPTIONS, 5)
    found = throughput(tasks, 2, lambda job, at_once: ScriptedEngine(TALE))
    assert (found.stories, found.failed, found.words, found.tokens) == (5, 0, 100, 105)
    assert found.stories_per_s == 5 / found.seconds
    assert len({task.row.premise for task in tasks}) == 5


class Heavy(ScriptedEngine):
    """An engine with weights, which it frees when it is closed."""

    weights = b""

    def close(self) -> None:
        self.weights = b""
        super().close()


def test_the_memory_is_that_with_the_model() -> None:
    engine, size = Heavy(TALE), 200 * 10**6
    before = psutil.Process().memory_info().rss
    engine.weights = b"x" * size
    found = throughput(stories_of(OPTIONS, 1), 1, lambda job, at_once: engine)
    assert found.memory_mb * 1e6 > before + 0.9 * size


def test_words_are_counted_as_for_the_ratio() -> None:
    story = a_thai_story()
    engine = ScriptedEngine(["</think>", story.text])
    tasks = stories_of({**OPTIONS, "length": "single"}, 2)
    found = throughput(tasks, 2, lambda job, at_once: engine)
    assert found.words == 2 * story.counted


def test_stories_that_fail_are_counted_apart() -> None:
    lost = Script(TALE, error=ModelUnavailable("gone"))
    found = throughput(stories_of(OPTIONS, 3), 1, lambda job, at_once: ScriptedEngine(TALE, lost))
    assert (found.stories, found.failed) == (0, 3)  # the first was the one to warm up
    assert found.reason == "gone"


def test_the_reason_of_a_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Script(TALE, error=ModelUnavailable("The server is gone."))
    engine = ScriptedEngine(TALE, lost)
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: engine)
    asked = ["bench", "batch", "--stories", "2", "--words", "20", "--sizes", "1", "-m", "demo"]
    done = CliRunner().invoke(app, asked)
    assert "Stories failed, 1 at once; the first: The server is gone." in done.stderr


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_the_table_compares_with_the_first_size(
    monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    opened: list[int] = []

    def engine(*_: object, parallel: int) -> ScriptedEngine:
        opened.append(parallel)
        return ScriptedEngine(TALE)

    monkeypatch.setattr(opening, "open_engine", engine)
    asked = ["bench", "batch", "--stories", "4", "--words", "20", "--sizes", "1,3", "-m", "demo"]
    done = CliRunner().invoke(app, [*asked, *more])
    assert done.exit_code == 0 and opened == [1, 3], done.output
    if more:
        assert [run["stories"] for run in json.loads(done.stdout)["runs"]] == [4, 4]
    else:
        rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
        assert [row[0] for row in rows] == ["at once", "1", "3"] and rows[1][4] == "1.00"


def test_without_a_name_the_demo_is_measured_or_the_model_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "open_engine", lambda *_, **__: ScriptedEngine(TALE))
    asked = ["bench", "batch", "--stories", "1", "--words", "20", "--sizes", "1", "--json"]
    with Faulty() as server:
        for more, model in [([], "demo"), (["--base-url", server.url], "test-model")]:
            done = CliRunner().invoke(app, [*asked, *more])
            assert done.exit_code == 0 and json.loads(done.stdout)["model"] == model


class Forgetful(ScriptedEngine):
    """Keeps no requests, so that its memory does not grow."""

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        events = super().stream(request)
        self.requests.clear()
        return events


@pytest.mark.bench
def test_a_hundred_thousand_rows_take_linear_time_and_constant_memory() -> None:
    rows = (Row(n, f"line {n}", "", "a fox and a bell", {}) for n in range(1, 100_001))
    engine = Forgetful(TALE)
    run = write_all(tasks_of(rows, OPTIONS, Grid()), engine, at_once=8, stop=threading.Event())
    start, marks = time.perf_counter(), list[tuple[float, int]]()
    for number, written in enumerate(run, 1):
        assert written.error is None
        if number % 20_000 == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            marks.append((time.perf_counter() - start, peak))
    first, last = marks[0], marks[-1]
    assert last[0] < 5.5 * first[0]
    assert last[1] < first[1] + 30_000  # kB


@pytest.mark.bench
def test_a_story_of_a_server_takes_little_more_than_reading_its_answer() -> None:
    """Beside a client that reads the same events, from a server that answers at once."""
    for deltas in (20, 200):
        ours, bare = story_and_bare(deltas)
        print(f"{deltas} deltas: {1000 * ours:.2f} ms, {1000 * bare:.2f} to read them")
        assert ours < 5 * bare


def story_and_bare(deltas: int) -> tuple[float, float]:
    """The median seconds of a story of so many deltas, and of reading the same answer."""
    with Faulty(talking([" word"] * deltas)) as server, httpx2.Client() as client:
        asked = {"model": "test-model", "engine": "endpoint", "base_url": f"{server.url}/v1"}
        tasks = stories_of({**asked, "words": 200, "length": "single"}, 201)
        job = tasks[0].job()
        engine = open_engine(job.reference, job.request, job.tokens)
        assert write_one(tasks[0], engine).story
        body = server.requests[-1].json
        read = partial(read_answer, client, f"{server.url}/v1/chat/completions", body)
        ours, bare = [], []
        for task in tasks[1:]:
            ours.append(seconds_of(partial(write_one, task, engine)))
            bare.append(seconds_of(read))
        engine.close()
    return median(ours), median(bare)


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def read_answer(client: httpx2.Client, url: str, body: object) -> list[object]:
    with client.stream("POST", url, json=body) as answer:
        lines = (line.removeprefix("data: ") for line in answer.iter_lines())
        return [json.loads(line) for line in lines if line and line != "[DONE]"]
