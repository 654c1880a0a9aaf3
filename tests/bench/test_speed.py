"""`polaris bench`: its measurements, its figures and its output."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing._internal.two_tensor import TwoTensor
from typer.testing import CliRunner

from polaris_cli.bench import engines, speed, startup
from polaris_cli.bench.first_text import WORDS, _job
from polaris_cli.bench.pipeline import pass_through
from polaris_cli.bench.speed import (
    Times,
    bytes_per_token,
    compare,
    memory_bandwidth,
    stored_bytes,
)
from polaris_cli.commands import bench
from polaris_cli.commands.app import app
from polaris_cli.commands.bench_loading import Loaded, check_context
from polaris_cli.engines.base import ModelInfo
from polaris_cli.engines.local.random_models import SHAPES, config_of, random_model, size_of
from polaris_cli.engines.quantize.apply import quantize_layers
from polaris_cli.engines.quantize.quantizers import Packed
from polaris_cli.errors import OutOfMemory, PolarisError, UsageError
from polaris_cli.models.catalogue import find
from polaris_cli.models.devices import Device
from polaris_cli.models.memory import size_of_entry
from polaris_cli.request.story_request import Sampling, StoryRequest
from tests.tiny import byte_tokenizer, qwen


@pytest.fixture(autouse=True)
def small_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "PROBE_BYTES", 1 << 20)


def compared(**options: Any) -> Iterator[speed.Comparison]:
    given = {"positions": [0, 100], "tokens": 5, "repeats": 2, **options}
    return compare(qwen(), byte_tokenizer(), Sampling(thinking_budget=-1), **given)


def test_speed_is_the_tokens_after_the_first_over_their_time() -> None:
    assert Times(9.0, (0.1, 0.3)).tokens_per_s == pytest.approx(5)


@pytest.mark.slow
def test_both_ways_are_measured_from_every_position() -> None:
    first, later = compared()
    assert (first.position, later.position) == (0, 100)
    for one in (first, later):
        assert one.lowest_ratio <= one.ratio <= one.highest_ratio
        for found in (one.polaris, one.snippet):
            assert 0 < found.slowest <= found.tokens_per_s <= found.fastest
            assert found.first_token_s > 0
    assert later.limit(1e9) < first.limit(1e9)  # a step also reads the cache
    assert first.limit(1e9) == 1e9 / first.bytes_per_token


def test_as_many_tokens_are_timed_each_way() -> None:
    model, sampling = qwen(), Sampling(thinking_budget=-1)
    for way in (
        speed.decoding(model, byte_tokenizer(), sampling, static=False),
        speed.snippet(model, sampling),
    ):
        assert len(way([1] * 16, 5).steps) == 5


def test_the_model_is_unpatched() -> None:
    model = qwen()
    list(compare(model, byte_tokenizer(), Sampling(), positions=[0], tokens=6, repeats=1))
    assert not [module for module in model.modules() if "forward" in vars(module)]


def test_bytes_of_a_token_are_weights_state_and_cache() -> None:
    model = qwen(tie_word_embeddings=False).bfloat16()
    weights = sum(weight.nbytes for weight in model.parameters())
    embedding = model.get_input_embeddings().weight.nbytes
    state = 3 * 4 * 16 * 16 * 4
    assert bytes_per_token(model, 0) == weights - embedding + 2 * state
    assert bytes_per_token(model, 10) - bytes_per_token(model, 0) == 10 * 2 * 4 * 16 * 2
    tied = qwen().bfloat16()
    assert bytes_per_token(tied, 0) == sum(w.nbytes for w in tied.parameters()) + 2 * state


def test_a_quantized_head_counts_with_its_own_bytes() -> None:
    model = qwen(tie_word_embeddings=False).bfloat16()
    before = bytes_per_token(model, 0)
    quantize_layers(model, Packed("8bit"))
    assert 0.4 * before < bytes_per_token(model, 0) < 0.8 * before


def test_a_weight_of_several_tensors_takes_the_bytes_of_all() -> None:
    weight = torch.nn.Parameter(TwoTensor(torch.ones(4, 2), torch.ones(4, 2)))  # type: ignore[no-untyped-call]
    assert stored_bytes(weight) == 2 * torch.ones(4, 2).nbytes


def test_bandwidth_is_a_plausible_number() -> None:
    assert 1e8 < memory_bandwidth(torch.device("cpu")) < 1e13


@pytest.mark.parametrize("shape", ["polaris", "no-hri", "base", "base-27b"])
def test_shapes_have_the_sizes_of_the_catalogue(shape: str) -> None:
    entry = find(shape)
    assert entry
    assert size_of(config_of(shape)) == size_of_entry(entry)


def test_a_shape_that_does_not_fit_is_refused_before_it_is_made() -> None:
    device = Device("cpu", 0, "a small one", 10**9, 10**9)
    with pytest.raises(OutOfMemory, match=r"17\.9 GB") as raised:
        random_model(config_of("polaris"), device, 1000)
    assert "--shape" in raised.value.hint


def test_an_unknown_shape_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as raised:
        config_of("polaris-1t")
    assert all(shape in raised.value.hint for shape in SHAPES)


@pytest.mark.slow
def test_json_is_one_object_in_the_last_line() -> None:
    command = ["bench", "--json", "--tokens", "3", "--repeats", "1", "--at", "0,20"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["schema"] == "polaris.bench/1"
    assert report["model"]["name"] == "demo"
    assert [one["position"] for one in report["positions"]] == [0, 20]
    assert all(one["ratio"] > 0 for one in report["positions"])


@pytest.mark.slow
def test_the_table_names_both_ways() -> None:
    command = ["bench", "--tokens", "3", "--repeats", "1", "--at", "0"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "polaris" in result.stdout and "generate" in result.stdout and "GB/s" in result.stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--at", "x"],
        ["--at", "-1"],
        ["--at", ""],
        ["--engine", ""],
        ["--shape", "z"],
        ["--model", "demo", "--shape", "z"],
    ],
)
def test_bad_options_have_a_clear_message(options: list[str]) -> None:
    result = CliRunner().invoke(app, ["bench", *options])
    assert result.exit_code == 2
    assert "hint: " in result.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--compile", "--at", "0", "--tokens", "2"],
            "note: --compile has no effect: CUDA graphs need an NVIDIA GPU",
        ),
        (["--compile", "--engine", "local"], "note: --compile has no effect: CUDA graphs need an"),
    ],
)
def test_options_without_an_effect_are_told(
    monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    here = ModelInfo("demo", "built in", device="cpu")
    nothing: Any = None
    program = engines.Program("generate", here, nothing)
    monkeypatch.setattr(bench, "load", lambda *_: Loaded(qwen(), nothing, here, 1.0))
    monkeypatch.setattr(engines, "open_programs", lambda *_: [program])
    monkeypatch.setattr(engines, "in_turns", lambda *_: [])
    monkeypatch.setattr(bench, "_measure", lambda *_: {})
    done = CliRunner().invoke(app, ["bench", "--json", *options])
    assert told in done.stderr and json.loads(done.stdout) is not None


def test_a_run_beyond_the_context_is_refused() -> None:
    tiny = Loaded(qwen(), byte_tokenizer(), ModelInfo("tiny", "tiny"), 1.0)
    context = tiny.model.config.get_text_config().max_position_embeddings
    check_context(tiny, context)
    with pytest.raises(UsageError, match="does not fit the context of tiny"):
        check_context(tiny, context + 1)


def test_the_peak_memory_is_taken_before_the_bandwidth_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    here = ModelInfo("tiny", "tiny", device="cpu")
    loaded = Loaded(qwen(), byte_tokenizer(), here, 1.0)

    def nothing(*_: object, **__: object) -> Iterator[speed.Comparison]:
        done.append("compared")
        yield from ()

    monkeypatch.setattr(speed, "compare", nothing)
    monkeypatch.setattr(speed, "peak_memory", lambda _: done.append("peak"))
    monkeypatch.setattr(speed, "memory_bandwidth", lambda _: done.append("bandwidth"))
    bench._measure(loaded, StoryRequest("a fox", 9), [0], 2, 1, None)
    assert done == ["compared", "peak", "bandwidth"]


def test_a_stream_goes_through_the_whole_pipeline() -> None:
    passage = pass_through(400)
    assert (passage.tokens, passage.words, len(passage.quarters)) == (400, 400, 4)


@pytest.mark.bench
def test_the_pipeline_takes_as_long_for_the_last_token_as_for_the_first() -> None:
    passage = pass_through(100_000)
    assert passage.words == 100_000
    assert max(passage.quarters) < 2 * min(passage.quarters)
    assert passage.growth < 50_000_000


def test_starts_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = "import sys; assert sys.stdout.isatty(); print('x' * 100_000)"
    few = {"bare": (["-c", ""], None), "other": (["-c", drawn], "bare")}
    monkeypatch.setattr(startup, "STARTS", few)
    bare, other = startup.starts(2)
    assert bare.ratio is None
    assert other.beside == "bare" and other.ratio == other.seconds / bare.seconds
    assert other.fastest <= other.seconds <= other.slowest


def test_the_json_of_starts_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "starts", lambda repeats: iter(()))
    monkeypatch.setattr(bench, "first_text", lambda repeats: None)
    monkeypatch.setattr(bench, "pass_through", lambda: pass_through(100))
    report = json.loads(CliRunner().invoke(app, ["bench", "start", "--json"]).stdout)
    assert report["schema"] == "polaris.bench-start/1" and report["versions"]["polaris"]


def test_starts_are_measured_without_the_users_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POLARIS_LENGTH", "nope")
    assert "POLARIS_LENGTH" not in startup.environment(tmp_path)
    assert _job().request.words == WORDS


def test_a_program_that_fails_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = {"bad": (["-c", "import sys; print('once'); sys.exit('It is ill.')"], None)}
    monkeypatch.setattr(startup, "STARTS", failing)
    with pytest.raises(PolarisError, match=r"fails: It is ill\.$") as raised:
        list(startup.starts(1))
    assert "python -c 'import sys" in raised.value.hint


@pytest.mark.bench
def test_the_demo_model_writes_faster_than_the_snippet() -> None:
    command = ["bench", "--json", "--tokens", "128", "--repeats", "3", "--at", "0"]
    report = json.loads(CliRunner().invoke(app, command).stdout.splitlines()[-1])
    assert report["positions"][0]["ratio"] > 1.5


@pytest.mark.bench
def test_light_commands_start_within_2_5_times_their_libraries() -> None:
    ratios = {one.name: one.ratio for one in startup.starts(5)}
    for name in ("--help", "presets", "models", "library"):
        assert (ratios[f"polaris {name}"] or 9) <= 2.5
