"""Throughput of a model at several batch sizes.

Measures a loaded model and returns figures; loads and prints nothing. The batch sizes take turns,
so that other load on the machine affects all of them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from polaris_cli.bench.prompts import prompt_of, request_for
from polaris_cli.bench.speed import patched
from polaris_cli.engines.local.lockstep import decode_batch
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.events import Finish
from polaris_cli.request.story_request import Sampling

PROMPT = 64  # tokens of the longest prompt
WARM_UP = 4  # tokens per story, written at each batch size before anything is timed
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Throughput:
    """Tokens/s of a batch of `size` stories: the median, slowest and fastest of several runs."""

    size: int
    tokens_per_s: float
    slowest: float
    fastest: float

    @property
    def per_story(self) -> float:
        """Tokens/s of a single story in the batch."""
        return self.tokens_per_s / self.size


def throughputs(
    model: Any, tokenizer: Any, sampling: Sampling, *, sizes: Sequence[int], tokens: int
) -> list[Throughput]:
    """Write `tokens` per story at each batch size, `REPEATS` times in turns.

    The model must not be patched; it is unpatched again at the end. Raises OutOfMemory if a batch
    does not fit in memory.
    """
    with patched(model):
        for size in sizes:
            _speed(model, tokenizer, sampling, size, WARM_UP)
        turns = [
            [_speed(model, tokenizer, sampling, size, tokens) for size in sizes]
            for _ in range(REPEATS)
        ]
    columns = zip(sizes, zip(*turns, strict=True), strict=True)
    return [Throughput(size, median(runs), min(runs), max(runs)) for size, runs in columns]


def room(sizes: Sequence[int], tokens: int) -> int:
    """The largest number of tokens in the KV cache at once, prompts included."""
    return max(sizes) * longest(tokens)


def longest(tokens: int) -> int:
    """The length of the longest run in tokens, prompt included."""
    return PROMPT + max(tokens, WARM_UP) + 1


def _speed(model: Any, tokenizer: Any, sampling: Sampling, size: int, tokens: int) -> float:
    """Tokens/s of one run, without the prefill and without the first token of each story."""
    requests = [
        request_for(
            prompt_of(model, PROMPT - row % (PROMPT // 2), row),  # as in life, of other lengths
            replace(sampling, seed=row),
            tokens + 1,
        )
        for row in range(size)
    ]
    moments, written = [], 0
    for _, event in decode_batch(model, Vocabulary(tokenizer), requests):
        moments.append(time.perf_counter())
        if not isinstance(event, Finish):
            written += event.tokens
        elif event.error:
            raise event.error
    return (written - size) / (moments[-1] - moments[0])
