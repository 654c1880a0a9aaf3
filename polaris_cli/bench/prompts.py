"""Prompts without meaning, and requests for a number of tokens: for the benchmarks.

Knows token ids; measures nothing.
"""

from typing import Any

from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.request.story_request import Sampling


def prompt_of(model: Any, tokens: int, row: int = 0) -> list[int]:
    """`tokens` arbitrary token ids, other ones in each row."""
    vocabulary = min(model.config.get_text_config().vocab_size, 3000)
    return [(7919 * (row + place)) % vocabulary for place in range(tokens)]


def request_for(prompt: list[int], sampling: Sampling, tokens: int) -> TokenizedRequest:
    """A request for exactly `tokens` tokens."""
    return TokenizedRequest(prompt, sampling, tokens, min_new_tokens=tokens)
