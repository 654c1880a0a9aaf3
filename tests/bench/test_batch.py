"""`polaris bench batch`: its figures and its output."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from polaris_cli.bench import batch
from polaris_cli.bench.batch import Throughput, room, throughputs
from polaris_cli.commands.app import app
from polaris_cli.commands.bench_loading import SHAPE_NAMES
from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.random_models import SHAPES
from polaris_cli.errors import OutOfMemory
from polaris_cli.events import Chunk, Finish
from polaris_cli.request.story_request import Sampling
from tests.tiny import byte_tokenizer, qwen

TINY = ["bench", "batch", "--tokens", "3", "--sizes", "1,3"]


def measured(model: Any, sizes: list[int]) -> list[Throughput]:
    return throughputs(model, byte_tokenizer(), Sampling(), sizes=sizes, tokens=4)


def test_every_size_is_measured_and_the_model_unpatched() -> None:
    model = qwen()
    found = measured(model, [1, 3])
    assert [one.size for one in found] == [1, 3]
    for one in found:
        assert 0 < one.slowest <= one.tokens_per_s <= one.fastest
        assert one.per_story == one.tokens_per_s / one.size
    assert not [module for module in model.modules() if "forward" in vars(module)]


def test_the_tokens_of_all_stories_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the first one of each, as the clock starts when these are there."""
    seconds = iter(range(10_000))
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    written = [(row, Chunk("story", "a", 1)) for _ in range(5) for row in range(3)]
    ended = [(row, Finish("length")) for row in range(3)]
    monkeypatch.setattr(batch, "decode_batch", lambda *_: iter([*written, *ended]))
    (found,) = measured(qwen(), [3])
    assert found.tokens_per_s == (15 - 3) / 17


def test_stories_fit_in_the_reserved_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    most: list[int] = []

    def counted(_model: Any, _tokenizer: Any, tasks: list[TokenizedRequest]) -> Any:
        most.append(sum(len(task.prompt_ids) + task.max_new_tokens for task in tasks))
        return iter([(0, Finish("length"))] * 2)

    monkeypatch.setattr(batch, "decode_batch", counted)
    measured(qwen(), [1, 70])
    assert most and max(most) <= room([1, 70], 4)


def test_a_batch_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = [(0, Finish("error", error=OutOfMemory("full", hint="fewer")))]
    monkeypatch.setattr(batch, "decode_batch", lambda *_: iter(ended))
    with pytest.raises(OutOfMemory):
        measured(qwen(), [1])


@pytest.mark.slow
def test_json_is_one_object_in_the_last_line() -> None:
    result = CliRunner().invoke(app, [*TINY, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["schema"] == "polaris.bench-batch/1"
    assert report["model"]["name"] == "demo"
    assert [one["size"] for one in report["sizes"]] == [1, 3]
    assert all(one["per_story"] > 0 for one in report["sizes"])


@pytest.mark.slow
def test_the_table_has_a_line_for_each_size() -> None:
    result = CliRunner().invoke(app, TINY)
    assert result.exit_code == 0, result.output
    assert "batch size" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[-2:]] == ["1", "3"]


def test_the_help_names_all_shapes() -> None:
    assert set(SHAPE_NAMES) == set(SHAPES)  # the names alone need no torch


@pytest.mark.parametrize(
    "options",
    [
        ["--sizes", "x"],
        ["--sizes", "0"],
        ["--sizes", "1,,2"],
        ["--shape", "z"],
        ["--shape", ""],
        ["--model", "demo", "--shape", "polaris"],
        ["--engine", "local"],
        ["--words", "9"],
        ["--base-url", "http://a/v1"],
        ["--workers", "2"],
        ["--stories", "1", "--workers", "2", "--sizes", "1"],
        ["--stories", "2", "--shape", "polaris"],
        ["--stories", "2", "--tokens", "8"],
    ],
)
def test_bad_options_have_a_clear_message(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["bench", "batch", *options])
    assert result.exit_code == 2
    assert "hint: " in result.output
