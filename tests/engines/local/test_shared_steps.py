"""Answers read by several threads at once are those of a single reader."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch

from polaris_cli.engines.base import GenerationRequest, ModelInfo
from polaris_cli.engines.local.engine import LocalEngine, LockstepEngine
from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.lockstep import Lockstep
from polaris_cli.engines.local.shared_steps import SharedSteps
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable
from polaris_cli.events import AnswerEvent, Chunk, Finish
from polaris_cli.request.prompts import Message
from tests.engines.local.test_decode import TOKENIZER, ids_of
from tests.engines.local.test_lockstep import (
    LATE_ENDS,
    QUICK,
    SAMPLED,
    Result,
    alone,
    failing_after,
    task,
    without_log_probs,
)
from tests.engines.local.test_prefix_cache import tokenizer
from tests.tiny import qwen


@pytest.fixture
def steps() -> Iterator[SharedSteps]:
    shared = SharedSteps(Lockstep(QUICK, Vocabulary(TOKENIZER, LATE_ENDS)))
    yield shared
    shared.close()


def read(steps: SharedSteps, one: TokenizedRequest) -> Result:
    *chunks, finish = steps.stream(one)
    assert isinstance(finish, Finish)
    return [without_log_probs(chunk) for chunk in chunks if isinstance(chunk, Chunk)], finish


@pytest.mark.slow
def test_each_reader_gets_its_own_answer_whole(steps: SharedSteps) -> None:
    tasks = [
        replace(task(1 + 3 * n, n=2 + 5 * (n % 6)), sampling=replace(SAMPLED, seed=n))
        for n in range(24)
    ]
    with ThreadPoolExecutor(8) as readers:
        found = list(readers.map(lambda one: read(steps, one), tasks))
    assert found == [alone(QUICK, one, LATE_ENDS) for one in tasks]


def test_no_step_runs_before_its_reader_has_read_the_last_token() -> None:
    model, read_by_slow, behind = qwen(), list[int](), list[int]()
    steps = SharedSteps(Lockstep(model, Vocabulary(TOKENIZER)))
    stream = steps.stream(task(9, SAMPLED, n=60))
    model.register_forward_pre_hook(lambda *_: behind.append(len(read_by_slow)))
    with ThreadPoolExecutor(1) as others:
        beside = others.submit(read, steps, task(4, n=40))
        for event in stream:
            if isinstance(event, Chunk):
                read_by_slow.extend(event.ids)
        beside.result()
    steps.close()
    assert behind == sorted(behind)
    assert len(set(behind)) > 10  # one more was read each time, except for halves of characters


def test_a_reader_that_stops_holds_nobody_up(steps: SharedSteps) -> None:
    stream: Any = steps.stream(task(9, n=500))
    next(stream)
    with ThreadPoolExecutor(1) as others:
        beside = others.submit(read, steps, task(4, n=9))
        stream.close()
        assert beside.result(timeout=20) == alone(QUICK, task(4, n=9), LATE_ENDS)


def test_closing_interrupts_who_still_reads() -> None:
    shared = SharedSteps(Lockstep(qwen(), Vocabulary(TOKENIZER)))
    begun = threading.Event()
    with ThreadPoolExecutor(1) as readers:

        def reading() -> Finish:
            for event in shared.stream(task(9, n=100_000)):
                begun.set()
                if isinstance(event, Finish):
                    return event
            raise AssertionError("no Finish")

        waiting = readers.submit(reading)
        assert begun.wait(20)
        shared.close()
        assert waiting.result(timeout=20).reason == "interrupted"


def test_a_fault_of_the_model_reaches_every_reader() -> None:
    def fault() -> None:
        raise RuntimeError("shapes do not match")

    shared = SharedSteps(Lockstep(failing_after(9, fault), Vocabulary(TOKENIZER)))
    with ThreadPoolExecutor(3) as readers:
        found = list(readers.map(lambda n: read(shared, task(n, n=50)), (9, 4, 6)))
    assert all(isinstance(finish.error, ModelUnavailable) for _, finish in found)
    shared.close()


def test_an_unexpected_fault_is_raised_by_every_reader() -> None:
    class Faulty(Lockstep):
        def step(self) -> None:
            raise ZeroDivisionError

    shared = SharedSteps(Faulty(QUICK, Vocabulary(TOKENIZER)))
    with ThreadPoolExecutor(3) as readers:
        runs = [readers.submit(read, shared, task(9)) for _ in range(3)]
    for run in runs:
        with pytest.raises(ZeroDivisionError):
            run.result(timeout=20)
    shared.close()


def without_figures(events: Iterator[AnswerEvent]) -> Iterator[AnswerEvent]:
    return (without_log_probs(each) if isinstance(each, Chunk) else each for each in events)


@pytest.mark.slow
def test_the_engine_gives_the_text_of_the_local_engine() -> None:
    model, info = qwen(), ModelInfo("tiny", "tiny")
    requests = [
        GenerationRequest((Message("user", text),), replace(SAMPLED, seed=3), 30)
        for text in ("A fox.", "A hen, and a longer premise.", "Rain")
    ]
    expected = [
        list(without_figures(LocalEngine(model, tokenizer(), info, 0.0).stream(one)))
        for one in requests
    ]
    engine = LockstepEngine(model, tokenizer(), info, 0.0)
    with ThreadPoolExecutor(3) as readers:
        found = list(readers.map(lambda one: list(without_figures(engine.stream(one))), requests))
    assert found == expected
    engine.close()


@pytest.mark.slow
def test_rows_stay_busy_while_there_are_answers_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths differ by four times; a row that ends is replaced at the next step."""
    rows, width, count = list[int](), 8, 64
    choose = Lockstep._choose

    def counted(self: Lockstep, logits: torch.Tensor) -> None:
        rows.append(len(self._rows))
        choose(self, logits)

    monkeypatch.setattr(Lockstep, "_choose", counted)
    shared = SharedSteps(Lockstep(QUICK, Vocabulary(TOKENIZER)))
    tasks = [task(5 + n % 7, n=10 + (n * 13) % 31) for n in range(count)]
    started = list[int]()

    def reading(one: TokenizedRequest) -> None:
        started.append(len(rows))
        read(shared, one)

    with ThreadPoolExecutor(width) as readers:
        list(readers.map(reading, tasks))
    shared.close()
    busy = rows[: started[-1]]  # until the last one starts, the queue is not empty
    assert sum(busy) / (width * len(busy)) > 0.9


@pytest.mark.slow
def test_readers_of_any_speed_with_replayed_text_never_wait_for_ever(steps: SharedSteps) -> None:
    """A row that is submitted between two steps has events that its reader never waited for."""
    chance = random.Random(0)
    tasks = [
        replace(task(3 + n % 5, n=3 + n % 4), after=ids_of(alone(QUICK, task(3 + n % 5))[0])[:3])
        for n in range(40)
    ]

    def reading(one: TokenizedRequest) -> int:
        events = 0
        for _ in steps.stream(one):
            events += 1
            time.sleep(chance.random() / 500)
        return events

    with ThreadPoolExecutor(6) as readers:
        assert all(readers.map(reading, tasks, timeout=60))
