"""How long `polaris write` takes to show the first text of a story, beside llama.cpp alone.

Runs each in its own process on a pseudo-terminal, in turns, with the engine gguf; a pipe gets the
text later, as it may still change. Knows command lines and terminals.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from polaris_cli.bench import bare_llama
from polaris_cli.bench.startup import environment
from polaris_cli.errors import PolarisError
from polaris_cli.models.resolving import resolve
from polaris_cli.request.settings import build_request
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import settings_for, settle

MODEL, PREMISE, WORDS = "smollm2", "a lighthouse keeper who finds a letter in the fog", 300
TIMEOUT = 600  # seconds
TEXT = rf"[1-9]\d* of {WORDS} words"  # the progress below the first words of the story


@dataclass(frozen=True, slots=True)
class FirstText:
    """Medians in seconds from the start of a process.

    `seconds` is the time of `polaris write` to the first words of the story on the terminal, with
    the fastest and slowest run. `load_s` is that of llama.cpp alone until the model is loaded, with
    Python's start and the import of xllamacpp, and `prompt_s` its time from there to the first
    token.
    """

    model: str
    seconds: float
    fastest: float
    slowest: float
    load_s: float
    prompt_s: float

    @property
    def ratio(self) -> float:
        """The time of `polaris write` / that of llama.cpp alone."""
        return self.seconds / (self.load_s + self.prompt_s)


def first_text(repeats: int) -> FirstText | None:
    """Run both `repeats` times in turns; None if the model or xllamacpp is not installed, or if the
    system has no pseudo-terminals."""
    job = _job()
    if not (job.reference.gguf and find_spec("xllamacpp") and hasattr(os, "openpty")):
        return None
    threads = str(os.cpu_count() or 1)
    bare = [bare_llama.__file__, str(job.reference.gguf), threads, job.messages[-1].content]
    write = [
        *("-m", "polaris_cli", "write", PREMISE, "--model", MODEL, "--words", str(WORDS)),
        *("--engine", "gguf", "--threads", threads, "--seed", "1", "--no-save"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        turns = [
            (moments(write, [TEXT], folder), moments(bare, ["loaded", "answered"], folder))
            for _ in range(repeats + 1)
        ]
    texts, loads = zip(*turns[1:], strict=True)  # the first turn fills disk caches
    seconds = [text for (text,) in texts]
    return FirstText(
        MODEL,
        median(seconds),
        min(seconds),
        max(seconds),
        median(loaded for loaded, _ in loads),
        median(answered - loaded for loaded, answered in loads),
    )


def _job() -> Job:
    """The story without the user's settings, which the measured processes do not have either."""
    reference = resolve(MODEL)
    asked = settings_for(PREMISE, [("option", {"model": MODEL, "words": WORDS})], reference)
    return settle(build_request(PREMISE, asked), reference)


def moments(command: list[str], patterns: Sequence[str], folder: str) -> tuple[float, ...]:
    """Seconds from the start of a Python program until each pattern is on its terminal, in this
    order; then it is ended. Raises PolarisError if it ends before."""
    start = time.perf_counter()
    reading, writing = os.openpty()
    with subprocess.Popen(
        [sys.executable, *command],
        env={**environment(Path(folder)), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
    ) as process:
        os.close(writing)
        try:
            return tuple(_arrivals(process, reading, patterns, start))
        finally:
            process.kill()
            os.close(reading)


def _arrivals(
    process: subprocess.Popen[bytes], terminal: int, patterns: Sequence[str], start: float
) -> Iterator[float]:
    shown = b""
    for pattern in patterns:
        while not re.search(pattern.encode(), shown):
            try:
                read = os.read(terminal, 4096)
            except OSError:  # on Linux, the end of the program; elsewhere nothing is read then
                read = b""
            if not read:
                raise _ended(process.wait(TIMEOUT), shown)
            shown += read
        yield time.perf_counter() - start


def _ended(code: int, shown: bytes) -> PolarisError:
    lines = [line.strip() for line in shown.decode(errors="replace").splitlines() if line.strip()]
    last = f"; its last line: {lines[-1]}" if lines else ""
    return PolarisError(f"A program that is measured ended too soon, with exit code {code}{last}")
