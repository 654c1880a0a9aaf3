"""Measure a device in one run: `python -m polaris_cli.bench.device -o FILE`.

Runs the parts in the order of their worth, and writes the file after each, so that a part that
fails or runs out of time loses only itself. Prints a table at the end. Does not know how a part
measures.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from subprocess import SubprocessError, run
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from polaris_cli.engines.doctor import all_versions
from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.formats.files import check_writable, write_atomic
from polaris_cli.models.devices import Device, list_devices, pick
from polaris_cli.quoting import json_text
from polaris_cli.screen.messages import note, print_error
from polaris_cli.screen.tables import print_table

if TYPE_CHECKING:
    from polaris_cli.bench.device_process import Worker

SCHEMA = "polaris.device/1"
HEADERS = ("part", "of", "figures")

# The parts in the order of their worth, and how many minutes each usually takes for the 9B shape.
# These are estimates; the seconds in the file are measured.
PARTS = {
    "bandwidth": 0.2,
    "step": 1.0,
    "kernels": 0.3,
    "compiled": 1.5,
    "quantized": 2.0,
    "reproducible": 0.4,
    "lockstep": 0.7,
    "memory": 0.3,
    "prefill": 0.3,
    "sampling": 0.2,
    "loading": 1.5,
}


def main(
    output: Annotated[Path, Option("--output", "-o", help="The JSON file to write.")],
    minutes: Annotated[float, Option(min=0, help="Skip parts that would take longer.")] = 9,
    parts: Annotated[
        str, Option(metavar="NAME,...", help=f"Only these parts: {', '.join(PARTS)}.")
    ] = ",".join(PARTS),
    shape: Annotated[Literal["9b", "tiny"], Option(help="The shape of the random weights.")] = "9b",
    device: Annotated[str, Option(help="cuda or cpu; by default a GPU if there is one.")] = "auto",
) -> None:
    """Measure how fast this device runs a model with random weights; write JSON, print a table."""
    try:
        end = time.monotonic() + 60 * minutes
        chosen = chosen_parts(parts)
        check_writable(output, force=True)
        report = measure(chosen, shape, pick(device, list_devices(with_torch=True)), end, output)
        print_table(HEADERS, list(rows_of(report["parts"])), sys.stdout)
    except PolarisError as error:
        print_error(error, sys.stderr)
        raise typer.Exit(error.exit_code) from None


def chosen_parts(text: str) -> list[str]:
    """The parts named in a list with commas, in the order of their worth.

    Raises UsageError for an unknown part.
    """
    named = [name.strip() for name in text.split(",")]
    for name in named:
        if name not in PARTS:
            raise UsageError(f"There is no part {name!r}; the parts are {', '.join(PARTS)}.")
    return [name for name in PARTS if name in named]


def measure(
    names: Sequence[str], shape: str, device: Device, end: float, output: Path
) -> dict[str, Any]:
    """Measure these parts, those that are usually done by `end`; return what is in the file.

    `end` is a time of `time.monotonic`. The file is written before the first part and after each.
    """
    from polaris_cli.bench.device_process import Worker

    report, worker = _head(shape, device), Worker(shape, device)
    _write(output, report)
    try:
        for name in names:
            report["parts"][name] = _entry(name, worker, end)
            _write(output, report)
    finally:
        worker.close()
    return report


def _entry(name: str, worker: "Worker", end: float) -> dict[str, Any]:
    """The seconds that a part took, and its figures, or in words why it has none."""
    from polaris_cli.bench.device_parts import PARTS as MEASUREMENTS

    start = time.monotonic()
    left = max(end - start, 0) / 60
    if PARTS[name] > left:
        skipped = f"skipped: usually takes {PARTS[name]:g} min, but {left:.1f} min are left"
        note(f"{name}: {skipped}", sys.stderr)
        return {"seconds": 0.0, "result": skipped}
    note(f"{name}: measuring, usually {PARTS[name]:g} min", sys.stderr)
    result = worker.measure(MEASUREMENTS[name], end)
    seconds = time.monotonic() - start
    said = result if isinstance(result, str) else "done"
    note(f"{name}: {said} after {seconds:.1f} s", sys.stderr)
    return {"seconds": seconds, "result": result}


def _head(shape: str, device: Device) -> dict[str, Any]:
    import torch

    driver = {"driver": _driver(), "cuda": torch.version.cuda}
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "shape": shape,
        "device": asdict(device) | driver,
        "versions": all_versions(),
        "parts": {},
    }


def _driver() -> str | None:
    """The release of the NVIDIA driver, None without one."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, SubprocessError):
        return None
    return next(iter(said.split()), None)


def _write(output: Path, report: dict[str, Any]) -> None:
    write_atomic(output, f"{json_text(report, indent=1)}\n".encode(), force=True)


def rows_of(parts: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The rows of the table: a part, what the figures are of, and the figures with their names."""
    for name, entry in parts.items():
        result = entry["result"]
        groups = _groups(result) if isinstance(result, dict) else [("", result)]
        for of, figures in groups:
            yield name, of, figures
        yield name, "all", f"seconds {entry['seconds']:.1f}"


def _groups(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The figures of a part: those that stand alone, then one group after the other."""
    alone = {key: value for key, value in result.items() if not isinstance(value, dict | list)}
    if alone:
        yield "", _text(alone)
    for key, value in result.items():
        if isinstance(value, dict):
            yield key, _text(value)
        elif isinstance(value, list):
            for one in value:
                figures = dict(one)
                yield figures.pop("name"), _text(figures)


def _text(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in figures.items())


def _number(value: Any) -> str:
    """A figure with three or more digits; words and truth values as they are."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    typer.run(main)
