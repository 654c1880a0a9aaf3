"""How long the commands take, compared with a Python program that only imports their packages.

Runs each in its own process, in turns. Knows command lines, not what they do.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from polaris_cli.errors import PolarisError

LIGHT = "import typer, rich"
HEAVY = "import torch, transformers"

# Name: the arguments for Python, and the name of the program to compare with.
STARTS: dict[str, tuple[list[str], str | None]] = {
    LIGHT: (["-c", LIGHT], None),
    "polaris --help": (["-m", "polaris_cli", "--help"], LIGHT),
    "polaris presets": (["-m", "polaris_cli", "presets"], LIGHT),
    "polaris models": (["-m", "polaris_cli", "models"], LIGHT),
    "polaris library": (["-m", "polaris_cli", "library"], LIGHT),
    "polaris write --dry-run": (
        ["-m", "polaris_cli", "write", "a fox", "--model", "demo", "--words", "100", "--dry-run"],
        LIGHT,
    ),
    HEAVY: (["-c", f"{HEAVY}; transformers.AutoModelForCausalLM"], None),
    "a demo story of 100 words": (
        [
            *("-m", "polaris_cli", "write", "a fox and a bell", "--model", "demo"),
            *("--words", "100", "--seed", "1", "--quiet", "--no-save"),
        ],
        HEAVY,
    ),
}


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of a process to its end: median, fastest, slowest.

    `ratio` is the median / the median of `beside`; both are None if there is no comparison.
    """

    name: str
    seconds: float
    fastest: float
    slowest: float
    beside: str | None
    ratio: float | None


def starts(repeats: int) -> Iterator[Start]:
    """Run everything `repeats` times in turns; yield the figures of each."""
    with tempfile.TemporaryDirectory() as folder:
        for command, _ in STARTS.values():
            _seconds(command, folder)  # warms up: compiles modules and fills disk caches
        rounds = [
            {name: _seconds(command, folder) for name, (command, _) in STARTS.items()}
            for _ in range(repeats)
        ]
    medians = {name: median(times[name] for times in rounds) for name in STARTS}
    for name, (_, beside) in STARTS.items():
        times = [found[name] for found in rounds]
        ratio = medians[name] / medians[beside] if beside else None
        yield Start(name, medians[name], min(times), max(times), beside, ratio)


def _seconds(command: list[str], folder: str) -> float:
    """Seconds to run a Python program offline, with an empty library instead of the user's.

    Its output goes to a pseudo-terminal where the system has one, as drawing a table takes longer
    than writing lines to a pipe.
    """
    start = time.perf_counter()
    with _terminal() as output:
        done = subprocess.run(
            [sys.executable, *command],
            env=environment(Path(folder)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
        )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise _failed(command, done.stderr)
    return seconds


def _failed(command: list[str], err: bytes) -> PolarisError:
    said = err.decode(errors="replace").strip().splitlines() or ["it says nothing."]
    typed = shlex.join(["python", *command])
    return PolarisError(f"A measured program fails: {said[-1]}", hint=f"Try it: {typed}")


def environment(folder: Path) -> dict[str, str]:
    """The environment of a measured process: offline, with a library in `folder`, and without the
    user's settings, with which it may do something else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLARIS_")}
    return kept | {
        "POLARIS_LIBRARY": str(folder / "library.db"),
        "XDG_CONFIG_HOME": str(folder),
        "HF_HUB_OFFLINE": "1",
    }


@contextmanager
def _terminal() -> Iterator[int]:
    """A pseudo-terminal's file descriptor to write to; the output is read and discarded."""
    if sys.platform == "win32":
        yield subprocess.DEVNULL
        return
    reading, writing = os.openpty()
    reader = threading.Thread(target=_discard, args=(reading,), daemon=True)
    reader.start()
    try:
        yield writing
    finally:
        os.close(writing)
        reader.join()
        os.close(reading)


def _discard(reading: int) -> None:
    # When the other end is closed, Linux raises an error, other systems return no bytes.
    with suppress(OSError):
        while os.read(reading, 65536):
            pass
