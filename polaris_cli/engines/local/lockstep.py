"""Several stories written side by side by one model, a token each in every step: `decode_together`.

A step reads all weights, whatever the number of stories, so that together they cost little more
than one. Knows requests and when each is over; one answer is made by `generation`, and `forward`
steps the model.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from polaris_cli.engines.local.decode import check, context_length, explained
from polaris_cli.engines.local.forward import BatchForward
from polaris_cli.engines.local.generation import Generation, TokenizedRequest
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable, PolarisError
from polaris_cli.events import AnswerEvent

Events = Iterator[tuple[int, AnswerEvent]]
Running = dict[int, Generation]

SMALLER = "Write fewer stories at once, add --quantize 4bit, or ask for fewer --words"


def decode_together(
    model: Any, vocabulary: Vocabulary, requests: Sequence[TokenizedRequest]
) -> Events:
    """Yield the text of all requests as it comes, each chunk with its request's number, from 0.

    Each request gets what `decode` gives for it alone, in the end one `Finish`; but for rounding:
    in half precision two tokens that are about as probable may change places. `opening`, `after`
    and `summarized` of the requests are not used. A request that is over costs nothing more. Out of
    memory and damaged weights end all that still run with an error. Closing the generator frees the
    cache.
    """
    context = context_length(model)
    running = {n: Generation(vocabulary, one, context) for n, one in enumerate(requests)}
    error: PolarisError | None = None
    try:
        yield from _written(model, running)
    except (ModelUnavailable, RuntimeError) as problem:
        tokens = sum(generation.tokens for generation in running.values())
        error = explained(problem, model, tokens, SMALLER)
    for number, generation in running.items():
        yield from _end(number, generation, error)


def _written(model: Any, running: Running) -> Events:
    """Yield what comes until no request goes on; those that are over earlier leave `running`."""
    yield from _leaving(running)
    if not running:
        return
    forward = BatchForward(model)
    logits = forward.prefill([one.request.prompt_ids for one in running.values()])
    check(logits)
    yield from _stepped(forward, logits, running)


def _stepped(forward: BatchForward, logits: torch.Tensor, running: Running) -> Events:
    while True:
        rows = zip(running.values(), logits, strict=True)
        tokens = torch.cat([generation.choose(row) for generation, row in rows])
        # All are read at once: each reading waits for the device.
        for (number, generation), token in zip(running.items(), tokens.tolist(), strict=True):
            for chunk in generation.add(token):
                yield number, chunk
        going = [row for row, one in enumerate(running.values()) if not one.reason]
        if not going:
            return
        if len(going) < len(running):
            yield from _leaving(running)
            forward.keep(going)
            tokens = tokens[going]
        logits = forward.step(tokens)


def _leaving(running: Running) -> Events:
    """Take those that are over out of `running` and yield their end."""
    for number in [number for number, generation in running.items() if generation.reason]:
        yield from _end(number, running.pop(number))


def _end(number: int, generation: Generation, error: PolarisError | None = None) -> Events:
    return ((number, event) for event in generation.end(error))
