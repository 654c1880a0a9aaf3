"""Many jobs with one engine: all are written, few at a time, and a fault costs one story only."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from polaris_cli.batch.running import Written, write_all, write_one
from polaris_cli.batch.threads import AHEAD
from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import ModelUnavailable, PolarisError, UsageError
from polaris_cli.events import AnswerEvent
from polaris_cli.library.store import Library
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare

TALE = ["</think>", *["Once", "upon", "a", "time", "there", "was", "a", "fox."]]


@dataclass(frozen=True)
class Ask:
    number: int
    words: int = 9

    def job(self) -> Job:
        if self.number < 0:
            raise UsageError("no premise")
        if self.number > 900:
            raise ZeroDivisionError
        return prepare(f"premise {self.number}", {"words": self.words, "model": "demo"})


class Counting(ScriptedEngine):
    """Counts how many answers are written at once."""

    def __init__(self, *scripts: Script | list[str], delay: float = 0.0) -> None:
        super().__init__(*scripts, delay=delay)
        self.most = 0

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        for event in super().stream(request):
            self.most = max(self.most, self.running)
            yield event


def go(asked: list[Ask], engine: ScriptedEngine, at_once: int = 4) -> list[Written[Ask]]:
    return list(write_all(asked, engine, at_once=at_once, stop=threading.Event()))


def test_every_story_is_written_with_no_more_than_asked_for_at_once() -> None:
    engine = Counting(TALE, delay=0.001)
    done = go([Ask(number) for number in range(40)], engine)
    assert sorted(each.task.number for each in done) == list(range(40))
    assert {each.story.finish for each in done if each.story} == {"stop"}
    assert 1 < engine.most <= 4 and engine.running == 0


def test_tasks_are_taken_only_as_they_are_needed() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[Ask]:
        for number in range(1000):
            taken.append(number)
            yield Ask(number)

    run = write_all(tasks(), ScriptedEngine(TALE), at_once=3, stop=threading.Event())
    next(run)
    assert len(taken) <= AHEAD * 3
    run.close()
    assert len(taken) < 20


def test_a_fault_costs_its_own_story_only() -> None:
    lost = Script(["</think>", "Once"], error=ModelUnavailable("The server is gone."))
    done = {each.task.number: each for each in go([Ask(-1), Ask(1), Ask(999)], Counting(TALE))}
    assert str(done[-1].error) == "no premise" and done[-1].story is None
    assert done[1].error is None
    assert "ZeroDivisionError" in str(done[999].error)
    (failed,) = go([Ask(1)], ScriptedEngine(lost))
    assert isinstance(failed.error, PolarisError)
    assert failed.story and (failed.story.finish, failed.story.text) == ("error", "Once")


def test_a_stop_interrupts_what_is_written_and_begins_nothing_new() -> None:
    stop = threading.Event()
    engine = ScriptedEngine(["</think>", *["word "] * 5000], delay=0.002)
    run = write_all((Ask(n, 5000) for n in range(50)), engine, at_once=3, stop=stop)
    threading.Timer(0.2, stop.set).start()
    done = list(run)
    assert 1 <= len(done) <= 3
    assert {each.story.finish for each in done if each.story} == {"interrupted"}
    assert engine.running == 0


def test_a_failure_after_a_stop_is_no_error() -> None:
    def stopped() -> bool:
        return bool(engine.requests)

    gone = ModelUnavailable("The server is gone.")
    engine = ScriptedEngine(Script(["</think>"], error=gone))
    story = write_one(Ask(1), engine, stopped=stopped).story
    assert story and (story.finish, story.error) == ("interrupted", "")


def test_each_story_is_in_the_library_and_watched(tmp_path_factory: pytest.TempPathFactory) -> None:
    library, seen = Library(tmp_path_factory.mktemp("library") / "library.db"), list[str]()

    def watch(task: Ask, job: Job, events: Iterator[object]) -> Iterator[object]:
        seen.append(job.request.premise)
        yield from events

    run = write_all(
        [Ask(n) for n in range(9)], ScriptedEngine(TALE), at_once=4, stop=threading.Event(),
        library=library, watch=watch,  # type: ignore[arg-type]
    )  # fmt: skip
    written = {each.story.id for each in run if each.story}
    assert written == {entry.id for entry in library.entries()} and len(written) == 9
    assert sorted(seen) == [f"premise {n}" for n in range(9)]
