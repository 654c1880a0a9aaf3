"""How fast a model writes several stories together, beside how fast it writes one.

Measures a loaded model and returns figures; loads nothing and shows nothing. All sizes are measured
in turns, so that whatever else the machine does slows all of them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from polaris_cli.engines.kernels.patching import patch_forwards
from polaris_cli.engines.local.lockstep import Task, decode_together
from polaris_cli.events import Finish
from polaris_cli.request.story_request import Sampling

PROMPT = 64  # tokens of the longest prompt
WARM_UP = 4  # tokens a story, written at each size before anything is timed
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Throughput:
    """`size` stories written together: tokens/s of all of them, the median of several runs.

    `slowest` and `fastest` are the extremes among the runs, `per_story` is the share of one story.
    """

    size: int
    tokens_per_s: float
    slowest: float
    fastest: float

    @property
    def per_story(self) -> float:
        """Tokens/s that each story grows by."""
        return self.tokens_per_s / self.size


def throughputs(
    model: Any, tokenizer: Any, sampling: Sampling, *, sizes: Sequence[int], tokens: int
) -> list[Throughput]:
    """Write `tokens` a story, at each size `REPEATS` times in turns.

    The model must be as transformers made it; it is put back afterwards. Raises OutOfMemory where
    it has no room for so many stories.
    """
    undo = patch_forwards(model).undo if model.device.type != "mps" else None
    try:
        for size in sizes:
            _speed(model, tokenizer, sampling, size, WARM_UP)
        turns = [
            [_speed(model, tokenizer, sampling, size, tokens) for size in sizes]
            for _ in range(REPEATS)
        ]
    finally:
        if undo:
            undo()
    columns = zip(sizes, zip(*turns, strict=True), strict=True)
    return [Throughput(size, median(runs), min(runs), max(runs)) for size, runs in columns]


def room(sizes: Sequence[int], tokens: int) -> int:
    """The most tokens that are in memory at once, prompts and all."""
    return max(sizes) * (PROMPT + max(tokens, WARM_UP) + 1)


def _speed(model: Any, tokenizer: Any, sampling: Sampling, size: int, tokens: int) -> float:
    """Tokens/s of one run: those after the first of each story, over the time after it is due."""
    moments: list[float] = []

    def may_end() -> bool:
        moments.append(time.perf_counter())
        return True

    tasks = [
        Task(_prompt(model, row), replace(sampling, seed=row), tokens + 1, False, may_end)
        for row in range(size)
    ]
    written = 0
    for _, event in decode_together(model, tokenizer, tasks, frozenset()):
        if not isinstance(event, Finish):
            written += event.tokens
        elif event.error:
            raise event.error
    return (written - size) / (time.perf_counter() - moments[0])


def _prompt(model: Any, row: int) -> list[int]:
    """Tokens of no meaning, for each row others and, as in life, another number of them."""
    vocabulary = min(model.config.get_text_config().vocab_size, 3000)
    return [(7919 * (row + place)) % vocabulary for place in range(PROMPT - row % (PROMPT // 2))]
