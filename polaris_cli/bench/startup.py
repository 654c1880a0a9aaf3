"""How soon the commands are there, beside bare Python programs that import what they stand on.

Runs each in a process of its own, in turns; knows command lines, nothing of what they do.
"""

import os
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

LIGHT = "import typer, rich"
HEAVY = "import torch, transformers"

# What is started, and what it is compared with.
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
    """Seconds from starting a process to its end: median, fastest, slowest.

    `ratio` is the median over that of `beside`, None where there is nothing to compare with.
    """

    name: str
    seconds: float
    fastest: float
    slowest: float
    beside: str | None
    ratio: float | None


def starts(repeats: int) -> Iterator[Start]:
    """Run everything `repeats` times in turns; the figures of each."""
    with tempfile.TemporaryDirectory() as folder:
        for command, _ in STARTS.values():
            _seconds(command, folder)  # compiles and caches what it needs
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
    """Run a Python program without the network and without touching the user's library.

    Its output goes to a terminal that nobody looks at, where there is such a thing: lists are
    drawn there, which takes longer than lines in a pipe.
    """
    environment = {
        **os.environ,
        "POLARIS_LIBRARY": str(Path(folder) / "library.db"),
        "HF_HUB_OFFLINE": "1",
    }
    start = time.perf_counter()
    with _screen() as output:
        subprocess.run(
            [sys.executable, *command],
            env=environment,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=600,
        )
    return time.perf_counter() - start


@contextmanager
def _screen() -> Iterator[int]:
    """The end of a terminal to write to; what is written is read and dropped."""
    if sys.platform == "win32":
        yield subprocess.DEVNULL
        return
    reading, writing = os.openpty()
    reader = threading.Thread(target=_drop, args=(reading,), daemon=True)
    reader.start()
    try:
        yield writing
    finally:
        os.close(writing)
        reader.join()
        os.close(reading)


def _drop(reading: int) -> None:
    # Linux ends the other side of a terminal with an error, others with nothing.
    with suppress(OSError):
        while os.read(reading, 65536):
            pass
