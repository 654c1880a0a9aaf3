"""Measures how many answers at once a loaded model writes best: `rows_worth`.

Knows steps and clocks, not stories.
"""

import time
from statistics import median
from typing import Any

from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.lockstep import Lockstep
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.request.story_request import Sampling

STEPS = 6  # timed for each number of rows
PROMPT = 16  # tokens; a trial must not take longer than what it saves
ENOUGH = 0.9  # of the highest throughput: more rows would only make each of them slower


def rows_worth(model: Any, vocabulary: Vocabulary, most: int) -> int:
    """The smallest number of rows that has nearly the highest throughput; at most `most`.

    Tries 1, 2, 4, ... rows for a few steps each. Rows for which memory runs out are too many.
    """
    speeds: dict[int, float] = {}
    for rows in [*_powers_below(most), most]:
        if seconds := _step_seconds(model, vocabulary, rows):
            speeds[rows] = rows / seconds
    best = max(speeds.values(), default=0.0)
    return next((rows for rows, speed in speeds.items() if speed >= ENOUGH * best), 1)


def _powers_below(most: int) -> list[int]:
    return [2**power for power in range(most.bit_length()) if 2**power < most]


def _step_seconds(model: Any, vocabulary: Vocabulary, rows: int) -> float:
    """The median seconds of a step of this many rows; 0 if they cannot be computed."""
    lockstep = Lockstep(model, vocabulary)
    for _ in range(rows):
        lockstep.submit(_request(model))
    lockstep.step()  # the prompts
    taken = []
    for _ in range(STEPS):
        start = time.perf_counter()
        lockstep.step()  # ends with a transfer from the device, so it is done on return
        taken.append(time.perf_counter() - start)
    return median(taken) if len(lockstep) == rows else 0.0


def _request(model: Any) -> TokenizedRequest:
    vocabulary = model.config.get_text_config().vocab_size
    prompt = [(7919 * place) % vocabulary for place in range(PROMPT)]
    return TokenizedRequest(prompt, Sampling(), 2 * STEPS, min_new_tokens=2 * STEPS)
