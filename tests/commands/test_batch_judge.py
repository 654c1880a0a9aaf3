"""`polaris batch --judge`: stories are judged once they are written, each once."""

import pytest

from polaris_cli.engines.scripted import ScriptedEngine
from tests.commands.test_batch import Batch, batch, engine, lines_of
from tests.commands.test_eval_judge import GOOD, answering, judging
from tests.servers.faulty import Faulty

__all__ = ["batch", "engine"]


def judged_by(server: Faulty, batch: Batch, *more: str) -> tuple[int, str]:
    judge = ("--judge", "--judge-model", "test-model", "--judge-url", f"{server.url}/v1")
    done = batch(*judge, *more)
    return done.returncode, done.stderr


def test_a_batch_is_judged_and_only_what_is_new(batch: Batch, engine: ScriptedEngine) -> None:
    with Faulty(answering(GOOD)) as server:
        code, told = judged_by(server, batch)
        assert code == 0 and "story-quality, judged by test-model" in told, told
        assert len(judging(server)) == 3 == len(lines_of(batch.folder / "judged.jsonl"))
        batch.write("a fox\na hen\na cat\na dog\n")
        assert judged_by(server, batch)[0] == 0
        assert len(judging(server)) == 4
        assert judged_by(server, batch, "--rubric", "longbench-write", "--quiet") == (0, "")


def test_answers_that_cannot_be_read_are_counted_and_cost_no_story(
    batch: Batch, engine: ScriptedEngine
) -> None:
    with Faulty(answering(*["?"] * 4)) as server:
        code, told = judged_by(server, batch)
    assert code == 0 and len(batch.stories()) == 3
    row = next(line for line in told.splitlines() if "\tAll\t" in line)
    assert row.split("\t")[-2:] == ["3", "0"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--judge"], "--judge needs a judge"),
        (["--judge", "--judge-model", "x", "--rubric", "none"], "There is no rubric"),
        (
            ["--judge", "--judge-model", "x", "--judge-url", "http://127.0.0.1:9/v1"],
            "check the address: --judge-url URL",
        ),
    ],
)
def test_a_judge_that_is_not_there_is_told_first(
    batch: Batch, engine: ScriptedEngine, options: list[str], told: str
) -> None:
    done = batch(*options)
    assert done.returncode in (2, 3) and told in done.stderr and not engine.requests
