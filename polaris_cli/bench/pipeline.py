"""How long everything except the model takes: a scripted stream through the whole pipeline.

Thinking splitter, guards, word counter, library and terminal get tokens as fast as they take them.
Measures; prints nothing.
"""

import io
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.events import Event
from polaris_cli.library.recording import Recorder
from polaris_cli.library.store import Library
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.screen.terminal import show, sinks_for
from polaris_cli.story.accumulator import Accumulator
from polaris_cli.story.result import new_record
from polaris_cli.story.single_pass import stream_answer

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """The figures for one stream through the pipeline.

    `quarters` are the seconds for each quarter of the tokens, `growth` the bytes by which the
    process grew from the end of the first quarter to the end of the last one, `words` the words of
    the resulting story.
    """

    tokens: int
    seconds: float
    quarters: tuple[float, ...]
    growth: int
    words: int


class _Screen(io.StringIO):
    """A fake terminal that discards its text."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def pass_through(tokens: int = 100_000) -> PipelineRun:
    """Send `tokens` tokens, one word each, through everything that `polaris write` runs."""
    engine = ScriptedEngine(_words(tokens))
    messages = (Message("user", "Write."),)
    sampling = Sampling(thinking=False)
    request = StoryRequest(premise="speed", words=tokens, sampling=sampling)
    record = new_record(request, engine.info, messages)
    meter = _Meter(tokens)
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder) / "library.db")
        events = meter.watch(stream_answer(engine, GenerationRequest(messages, sampling, tokens)))
        accumulator = Accumulator(record)
        events = accumulator.watch(events)
        events = Recorder(library, accumulator, lambda problem: None).watch(events)
        start = time.perf_counter()
        for _ in show(events, sinks_for(tokens, _Screen(), _Screen())):
            pass
        story = accumulator.story()
        seconds = time.perf_counter() - start
        library.close()
    return PipelineRun(tokens, seconds, meter.quarters(start), meter.growth, story.written)


class _Meter:
    """Records time and memory at each quarter of a stream."""

    def __init__(self, tokens: int) -> None:
        self._every = max(1, tokens // 4)
        self._moments: list[float] = []
        self._sizes: list[int] = []

    def watch(self, events: Iterator[Event]) -> Iterator[Event]:
        process = psutil.Process()
        for count, event in enumerate(events, 1):
            if count % self._every == 0:
                self._moments.append(time.perf_counter())
                self._sizes.append(process.memory_info().rss)
            yield event

    def quarters(self, start: float) -> tuple[float, ...]:
        begins = [start, *self._moments]
        return tuple(b - a for a, b in zip(begins, self._moments, strict=False))

    @property
    def growth(self) -> int:
        return self._sizes[-1] - self._sizes[0]


def _words(tokens: int) -> list[str]:
    """Random words in paragraphs, so that the loop guard does not stop them."""
    chance = random.Random(0)
    words = ("".join(chance.choices(LETTERS, k=chance.randint(2, 9))) for _ in range(tokens))
    return [word + ("\n\n" if place % 80 == 79 else " ") for place, word in enumerate(words)]
