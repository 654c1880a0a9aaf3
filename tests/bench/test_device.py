"""`python -m polaris_cli.bench.device`: its parts on the tiny shape, its file, table and limits."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from polaris_cli.bench import device, device_model, device_parts, device_process, device_steps
from polaris_cli.bench.device_model import Measured, error_text
from polaris_cli.bench.device_steps import NEEDS_GPU
from polaris_cli.errors import OutOfMemory, UsageError
from polaris_cli.models.devices import Device, list_devices

ON_CPU = ["--shape", "tiny", "--device", "cpu"]


def run(*arguments: str) -> tuple[int, str, str]:
    """The exit code of the script, and what it prints to stdout and stderr."""
    app = typer.Typer()
    app.command()(device.main)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def cpu() -> Device:
    return list_devices()[-1]


@pytest.fixture(autouse=True)
def keep_threads() -> Iterator[None]:
    """The script sets torch's number of threads; other tests must not notice."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny() -> Measured:
    return Measured("tiny", cpu())


class Here:
    """In place of a `Worker`: measures in this process, and nothing in particular."""

    def __init__(self, *_: object) -> None:
        """Take the arguments of a `Worker`."""

    def measure(self, part: Callable[[Any], Any], end: float) -> Any:
        return part(end)

    def close(self) -> None:
        """Required of a `Worker`."""


@pytest.fixture
def parts_here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Any]], None]:
    """A function that puts these in place of the measurements, to run in this process."""

    def replace(parts: Mapping[str, Any]) -> None:
        monkeypatch.setattr(device_parts, "PARTS", parts)
        monkeypatch.setattr(device_process, "Worker", Here)

    return replace


def works(_: object) -> dict[str, Any]:
    return {"ms": 1.5}


def fails(_: object) -> dict[str, Any]:
    raise RuntimeError("no kernel\nfor this device")


def crashes(_: object) -> dict[str, Any]:
    os._exit(9)


def hangs(_: object) -> dict[str, Any]:
    time.sleep(600)
    return {}


def half_fails(measured: Measured) -> dict[str, Any]:
    return {**process(None), "graph_ms": measured.attempt(lambda: fails(measured))}


def process(_: object) -> dict[str, Any]:
    return {"pid": os.getpid()}


def test_parts_are_in_the_same_order_in_both_lists() -> None:
    assert list(device.PARTS) == list(device_parts.PARTS)


def test_all_parts_usually_fit_in_the_minutes_of_one_run() -> None:
    assert sum(device.PARTS.values()) <= 9


@pytest.mark.slow
def test_all_parts_run_on_a_cpu(tmp_path: Path) -> None:
    file = tmp_path / "device.json"
    code, table, progress = run(*ON_CPU, "-o", str(file))
    assert code == 0, progress
    report = json.loads(file.read_text("utf-8"))
    assert report["schema"] == "polaris.device/1" and report["device"]["kind"] == "cpu"
    results = {name: entry["result"] for name, entry in report["parts"].items()}
    assert list(results) == list(device.PARTS)
    assert all(isinstance(result, dict) for result in results.values()), results
    check_steps(results)
    check_runs(results)
    lines = [line.split("\t") for line in table.splitlines()]
    assert tuple(lines[0]) == device.HEADERS
    assert {line[0] for line in lines[1:]} == set(device.PARTS)
    assert all(f"{name}: measuring" in progress for name in device.PARTS)


def check_steps(results: dict[str, Any]) -> None:
    """Single steps have times at every position, and say where they need a GPU."""
    positions = ["0", "20", "80", "160"]
    without = ["without fused at 0", "without fused at 160"]
    assert list(results["step"]) == ["fused", *positions, *without, "snippet at 0"]
    assert results["step"]["fused"] is False
    for one in (results["step"][place] for place in positions):
        assert one["eager_ms"] > 0 and one["graph_ms"] == NEEDS_GPU
        assert one["share_of_limit"] == one["limit_ms"] / one["loop_ms"]
    assert results["compiled"]["graphs"] == 2  # four layers of two kinds
    assert results["compiled"]["difference"] < 0.05
    assert results["compiled"]["0"]["eager_ms"] > 0
    longest = results["kernels"]["longest"]
    assert 0 < len(longest) <= 25 and longest[0]["us"] >= longest[-1]["us"]
    assert results["kernels"]["launches"] >= sum(one["launches"] for one in longest)
    ways = results["quantized"]
    assert {"8bit torch int8", "4bit torch int4", "4bit bitsandbytes nf4"} <= ways.keys()
    assert all(isinstance(way, dict) and way["eager_ms"] > 0 for way in ways.values()), ways


def check_runs(results: dict[str, Any]) -> None:
    """Whole runs have plausible figures."""
    same = results["reproducible"]
    assert same["same"] == same["runs"] == 10
    assert same["tokens"] // 2 <= same["resumed_equal"] <= same["tokens"] == 16
    assert list(results["lockstep"]) == ["story", "rows 1", "rows 8", "rows 32"]
    assert results["memory"]["peak_gb"] > 0 < results["memory"]["estimate_gb"]
    assert results["prefill"]["tokens"] == 80
    assert results["sampling"]["DRY"]["launches"] > results["sampling"]["greedy"]["launches"]
    assert results["loading"]["load_s"] > 0 and results["loading"]["recording_s"] == NEEDS_GPU


@pytest.mark.slow
def test_a_part_that_fails_loses_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"bandwidth": works, "step": fails, "kernels": works, "compiled": crashes}
    monkeypatch.setattr(device_parts, "PARTS", parts)
    file = tmp_path / "device.json"
    code, table, progress = run(*ON_CPU, "--parts", ",".join(reversed(parts)), "-o", str(file))
    found = json.loads(file.read_text("utf-8"))["parts"]
    assert code == 0, progress
    assert list(found) == [*parts]  # in the order of their worth
    assert found["step"]["result"] == "RuntimeError: no kernel for this device"
    assert found["compiled"]["result"] == "The process ended with exit code 9."
    assert found["bandwidth"]["result"] == found["kernels"]["result"] == {"ms": 1.5}
    assert all(part["seconds"] > 0 for part in found.values())
    assert "step\t\tRuntimeError: no kernel for this device" in table
    assert "step: RuntimeError" in progress


@pytest.mark.slow
def test_a_process_goes_on_until_a_part_fails_or_the_time_is_up() -> None:
    worker, later = device_process.Worker("tiny", cpu()), time.monotonic() + 600
    try:
        first = worker.measure(process, later)
        assert worker.measure(process, later) == first
        assert isinstance(first, dict)
        half = {**first, "graph_ms": "RuntimeError: no kernel for this device"}
        assert worker.measure(half_fails, later) == half
        assert worker.measure(process, later) != first
        assert worker.measure(hangs, time.monotonic() + 0.2) == "stopped: the time was up"
        assert not active_children()  # so that another one would be started
    finally:
        worker.close()


def test_the_file_is_whole_before_the_first_part_and_after_each(
    tmp_path: Path, parts_here: Callable[[Mapping[str, Any]], None]
) -> None:
    file, seen = tmp_path / "device.json", list[list[str]]()

    def reads(_: object) -> dict[str, Any]:
        seen.append(list(json.loads(file.read_text("utf-8"))["parts"]))
        return {}

    names = ["bandwidth", "step", "kernels"]
    parts_here(dict.fromkeys(names, reads))
    report = device.measure(names, "tiny", cpu(), time.monotonic() + 999, file)
    assert seen == [[], ["bandwidth"], ["bandwidth", "step"]]
    assert json.loads(file.read_text("utf-8")) == report


def test_a_part_that_does_not_fit_in_the_time_is_skipped(
    tmp_path: Path, parts_here: Callable[[Mapping[str, Any]], None]
) -> None:
    names = ["bandwidth", "step", "sampling"]
    parts_here(dict.fromkeys(names, works))
    end = time.monotonic() + 60 * 0.5
    parts = device.measure(names, "tiny", cpu(), end, tmp_path / "x.json")["parts"]
    assert parts["step"]["result"] == "skipped: usually takes 1 min, but 0.5 min are left"
    assert parts["bandwidth"]["result"] == parts["sampling"]["result"] == {"ms": 1.5}


def test_without_time_everything_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "device.json"
    code, _, progress = run(*ON_CPU, "--minutes", "0", "-o", str(file))
    parts = json.loads(file.read_text("utf-8"))["parts"]
    assert code == 0 and list(parts) == list(device.PARTS)
    assert all(part["result"].startswith("skipped: ") for part in parts.values())
    assert progress.count("skipped: ") == len(parts)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--parts", "step,speed"], "There is no part 'speed'; the parts are bandwidth, step, "),
        (["--parts", ""], "There is no part ''; the parts are"),
        (["--device", "tpu"], "There is no device 'tpu'"),
    ],
)
def test_a_wrong_name_is_told_in_a_sentence(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "device.json"
    code, table, told = run("--shape", "tiny", *arguments, "-o", str(file))
    assert code == 2 and said in " ".join(told.split()) and not table
    assert not file.exists()


def test_a_file_in_no_folder_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    code, _, told = run(*ON_CPU, "-o", str(tmp_path / "none" / "device.json"))
    assert code == 2 and "does not exist" in told and "measuring" not in told


def test_unknown_parts_raise() -> None:
    with pytest.raises(UsageError):
        device.chosen_parts("step,")
    assert device.chosen_parts(" kernels, step") == ["step", "kernels"]


def test_the_table_has_a_row_for_each_group_of_figures() -> None:
    listed = [{"name": "gemv", "launches": 2.0, "us": 1234.5}]
    parts = {
        "kernels": {"seconds": 2.25, "result": {"us": 0.012345, "longest": listed, "a": {"b": 1}}},
        "step": {"seconds": 0.0, "result": NEEDS_GPU},
    }
    assert list(device.rows_of(parts)) == [
        ("kernels", "", "us 0.0123"),
        ("kernels", "gemv", "launches 2, us 1,234"),
        ("kernels", "a", "b 1"),
        ("kernels", "all", "seconds 2.2"),
        ("step", "", "needs a GPU"),
        ("step", "all", "seconds 0.0"),
    ]


def test_errors_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert error_text(ValueError("a\n  b")) == "ValueError: a b"
    assert error_text(OutOfMemory("It does not fit.", hint="x")) == "OutOfMemory: It does not fit."
    assert len(error_text(ValueError("x" * 10_000))) == device_model.MESSAGE
    assert not capsys.readouterr().err
    monkeypatch.setenv("POLARIS_DEBUG", "1")
    error_text(ValueError("why"))
    assert "ValueError: why" in capsys.readouterr().err


@pytest.mark.slow
def test_the_share_of_the_limit_is_that_of_the_recorded_step(
    tiny: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The capture is left out, so that the same code runs here as on a GPU."""
    monkeypatch.setattr(device_model, "capture", lambda step, _: step)
    monkeypatch.setattr(device_model, "PROBE_BYTES_ELSEWHERE", 1 << 20)
    tiny.is_cuda = True
    steps = device_model.Steps(tiny.model, 5)
    forward = device_steps._forward_ms(tiny, steps)
    found = device_steps._forward_of_limit(tiny, tiny.model, 5, forward)
    assert found["graph_ms"] > 0 < found["eager_ms"]
    assert found["share_of_limit"] == found["limit_ms"] / found["graph_ms"]


def test_a_graph_that_fails_loses_only_its_own_figure(
    tiny: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(device_model, "capture", refuses)
    monkeypatch.setattr(device_model, "PROBE_BYTES_ELSEWHERE", 1 << 20)
    tiny.is_cuda = True
    steps = device_model.Steps(tiny.model, 0)
    forward = device_steps._forward_ms(tiny, steps)
    found = device_steps._forward_of_limit(tiny, tiny.model, 0, forward)
    assert found["graph_ms"].startswith("RuntimeError: operation not permitted")
    assert found["share_of_limit"] == found["limit_ms"] / found["eager_ms"]
    assert tiny.has_failed
    assert device_steps._forward_ms(tiny, steps, captured=False)["graph_ms"] == "cannot be recorded"


@pytest.mark.slow
def test_compiled_layers_give_the_same_logits_and_are_undone(tiny: Measured) -> None:
    model = tiny.model
    numbers = [part.layer_idx for part in model.modules() if hasattr(part, "layer_idx")]
    plain = device_model.Steps(model, 30)
    expected = [plain.next().clone() for _ in range(3)]
    with device_model.compiled_steps(model, 30, "eager") as steps:
        found = [steps.next().clone() for _ in range(3)]
    torch.compiler.reset()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02)
    assert [part.layer_idx for part in model.modules() if hasattr(part, "layer_idx")] == numbers
    assert not [part for part in model.modules() if "forward" in vars(part)]


def test_importing_the_script_does_not_import_torch() -> None:
    program = "import sys, polaris_cli.bench.device; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
