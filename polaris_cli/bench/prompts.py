"""Prompts without meaning, and requests that note when each token is due: for the benchmarks.

Knows token ids and clocks; measures nothing.
"""

import time
from typing import Any

from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.request.story_request import Sampling


def prompt_of(model: Any, tokens: int, row: int = 0) -> list[int]:
    """`tokens` arbitrary token ids, other ones in each row."""
    vocabulary = min(model.config.get_text_config().vocab_size, 3000)
    return [(7919 * (row + place)) % vocabulary for place in range(tokens)]


def timed_request(
    prompt: list[int], sampling: Sampling, tokens: int, moments: list[float]
) -> TokenizedRequest:
    """A request for `tokens` tokens; the time just before each is sampled goes to `moments`."""

    def may_stop() -> bool:
        moments.append(time.perf_counter())
        return True

    return TokenizedRequest(prompt, sampling, tokens, may_stop=may_stop)
