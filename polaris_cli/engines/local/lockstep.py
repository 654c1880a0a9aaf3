"""Decodes a batch: `decode_batch` generates several answers at once, one token each per step.

A step reads all weights whatever the number of rows, so a batch costs little more than one answer.
`generation` has the state of each answer, `forward` runs the model.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from polaris_cli.engines.local.decode import as_polaris_error, check_logits, context_length
from polaris_cli.engines.local.forward import BatchForward
from polaris_cli.engines.local.generation import Generation, TokenizedRequest
from polaris_cli.engines.local.sampling import log_probability
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable, PolarisError
from polaris_cli.events import AnswerEvent

Events = Iterator[tuple[int, AnswerEvent]]
Running = dict[int, Generation]

SMALLER = "Write fewer stories at once, add --quantize 4bit, or ask for fewer --words"


def decode_batch(
    model: Any, vocabulary: Vocabulary, requests: Sequence[TokenizedRequest]
) -> Events:
    """Yield the events of all requests, each with the index of its request.

    Each request gets the same events as from `decode`, ending with one `Finish`, except for
    rounding: in half precision, two tokens of nearly equal probability may swap. `after` is not
    supported. A finished request is removed from the batch. If memory runs out or the weights are
    damaged, all running requests end with the error. Closing the generator frees the KV cache.
    """
    context = context_length(model)
    running = {n: Generation(vocabulary, one, context) for n, one in enumerate(requests)}
    error: PolarisError | None = None
    try:
        yield from _run(model, running)
    except (ModelUnavailable, RuntimeError) as problem:
        tokens = sum(generation.tokens for generation in running.values())
        error = as_polaris_error(problem, model, tokens, SMALLER)
    for number, generation in running.items():
        yield from _end(number, generation, error)


def _run(model: Any, running: Running) -> Events:
    """Yield events until every request is finished; a finished one is removed from `running`."""
    yield from _finish_rows(running)
    if not running:
        return
    forward = BatchForward(model)
    logits = forward.prefill([one.request.prompt_ids for one in running.values()])
    check_logits(logits)
    yield from _steps(forward, logits, running)


def _steps(forward: BatchForward, logits: torch.Tensor, running: Running) -> Events:
    while True:
        rows = zip(running.values(), logits, strict=True)
        tokens = torch.cat([generation.choose(row) for generation, row in rows])
        log_probs = log_probability(logits, tokens.unsqueeze(1)).squeeze(1)
        # Two transfers for all rows, as each transfer waits for the device.
        chosen = zip(running.items(), tokens.tolist(), log_probs.tolist(), strict=True)
        for (number, generation), token, log_prob in chosen:
            for chunk in generation.add(token, log_prob):
                yield number, chunk
        active = [row for row, one in enumerate(running.values()) if not one.reason]
        if not active:
            return
        if len(active) < len(running):
            yield from _finish_rows(running)
            forward.keep(active)
            tokens = tokens[active]
        logits = forward.step(tokens)


def _finish_rows(running: Running) -> Events:
    """Remove the finished requests from `running` and yield their last events."""
    for number in [number for number, generation in running.items() if generation.reason]:
        yield from _end(number, running.pop(number))


def _end(number: int, generation: Generation, error: PolarisError | None = None) -> Events:
    return ((number, event) for event in generation.end(error))
