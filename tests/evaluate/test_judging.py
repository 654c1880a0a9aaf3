"""A judge is asked for each text, repeat and criterion; what fails is an error of its call."""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import ModelUnavailable, PolarisError
from polaris_cli.evaluate.judging import (
    ATTEMPTS,
    JudgeSettings,
    by_its_criteria,
    calls_for,
    judge_all,
    text_key,
)
from polaris_cli.evaluate.rubric import load_rubric
from polaris_cli.evaluate.samples import Sample
from polaris_cli.events import AnswerEvent

SETTINGS = JudgeSettings("judge")
SAMPLES = [Sample(f"It came {n}.", 900, "m", "p") for n in range(3)]
WRITING = load_rubric("writingbench")


def judge(
    engine: ScriptedEngine,
    *samples: Sample,
    repeats: int = 1,
    settings: JudgeSettings = SETTINGS,
) -> list[Any]:
    calls = calls_for(samples, WRITING, repeats)
    return list(judge_all(calls, engine, settings, at_once=2, stop=threading.Event()))


def judge_one(engine: ScriptedEngine, stop: threading.Event | None = None) -> list[Any]:
    """What becomes of a single call."""
    call = next(calls_for(SAMPLES, WRITING, 1))
    return list(judge_all([call], engine, SETTINGS, at_once=1, stop=stop or threading.Event()))


def test_every_criterion_and_repeat_is_a_call_with_a_key_of_its_own() -> None:
    calls = list(calls_for(SAMPLES, WRITING, 2))
    assert len(calls) == 3 * 2 * 5 == len({call.key(SETTINGS) for call in calls})
    assert len({text_key(call.sample) for call in calls}) == 3
    others = {call.key(JudgeSettings("judge", max_tokens=999)) for call in calls}
    assert not others & {call.key(SETTINGS) for call in calls}


def test_records_by_criteria_that_a_checklist_no_longer_has_are_left_out() -> None:
    before, now = (Sample("It came.", 9, checklist=said) for said in (("A", "B"), ("A", "C", "D")))
    found = judge(ScriptedEngine(["</think>", "{}"]), before)
    kept = list(by_its_criteria(now, found))
    assert [(each["checklist"], each["all_criteria"]) for each in kept] == [
        ({"criterion_1": "A"}, 3)
    ]
    old = [{"scores": {"criterion_1": 5}}]
    assert list(by_its_criteria(now, old)) == old


def test_an_answer_is_recorded_without_its_thinking() -> None:
    engine = ScriptedEngine(["Hm.", "</think>", '{"task_score": 7, "structure_score": 1}'])
    found = judge(engine, SAMPLES[0], settings=JudgeSettings("judge", thinks=True))
    by_criterion = {record["criteria"][0]: record for record in found}
    assert by_criterion["task"]["scores"] == {"task": 7} and not by_criterion["task"]["error"]
    assert by_criterion["language"]["error"].startswith("there is no JSON object")
    assert "Hm." not in by_criterion["task"]["answer"]


def test_an_answer_that_repeats_itself_is_ended() -> None:
    engine = ScriptedEngine(["It is good. "] * 9000)
    (record, *_) = judge(engine, SAMPLES[0])
    assert record["finish"] == "loop" and record["error"] and record["tokens"]["answer"] < 2000


def test_the_judge_gets_a_seed_for_each_repeat_and_a_schema() -> None:
    engine = ScriptedEngine(["</think>", "{}"])
    judge(engine, SAMPLES[0], repeats=2)
    seeds = Counter(request.sampling.seed for request in engine.requests)
    assert {0, 1} < {*seeds} and {*seeds.values()} == {5} and len(seeds) == 2 * ATTEMPTS
    assert all(
        request.schema and request.sampling.temperature == 0.2 for request in engine.requests
    )


def test_an_answer_that_cannot_be_read_is_asked_for_again() -> None:
    bad, good = Script(["</think>", "Good!"]), Script(["</think>", '{"task_score": 7}'])
    engine = ScriptedEngine(bad, bad, good)
    (record,) = judge_one(engine)
    assert (record["scores"], record["error"]) == ({"task": 7}, "")
    assert record["unread"] == ["Good!"] * 2 and len(engine.requests) == 3
    once = judge_one(ScriptedEngine(good))[0]["tokens"]
    assert record["tokens"]["prompt"] == 3 * once["prompt"] > 0
    assert record["tokens"]["answer"] == 3 * once["answer"] > 0


def test_an_answer_that_can_never_be_read_is_recorded_as_that() -> None:
    engine = ScriptedEngine(["</think>", "Good!"])
    (record,) = judge_one(engine)
    assert record["error"] and record["answer"] == "Good!" and len(record["unread"]) == 2
    assert len(engine.requests) == ATTEMPTS == 3


def test_a_call_that_is_stopped_between_its_attempts_is_no_record() -> None:
    stop = threading.Event()

    class Stopping(ScriptedEngine):
        def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
            try:
                yield from super().stream(request)
            finally:
                stop.set()

    assert judge_one(Stopping(["</think>", "Good!"]), stop) == []


def test_a_call_that_fails_is_an_error_and_costs_no_other() -> None:
    lost = Script(["</think>"], error=ModelUnavailable("It is gone."))
    engine = ScriptedEngine(lost, ["</think>", "{}"])
    found = judge(engine, SAMPLES[0])
    assert [isinstance(each, PolarisError) for each in found].count(True) >= 1
    assert len(found) == 5


def test_a_text_that_does_not_fit_is_an_error() -> None:
    (first, *_) = judge(ScriptedEngine(["{}"]), Sample("word " * 300_000, 900, "m", "p"))
    assert isinstance(first, PolarisError) and "does not fit" in first.message


def test_a_run_that_is_stopped_asks_nothing_more() -> None:
    stop = threading.Event()
    stop.set()
    engine = ScriptedEngine(["</think>", "{}"])
    calls = calls_for(SAMPLES, WRITING, 1)
    assert list(judge_all(calls, engine, SETTINGS, at_once=1, stop=stop)) == []
    assert engine.requests == []
