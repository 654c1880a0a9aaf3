"""Several stories written side by side by one model, a token each in every step: `decode_together`.

A step reads all weights, whatever the number of stories, so that together they cost little more
than one. Knows tasks and when each is over; what one answer is made of is `generation`'s matter,
stepping a model `forward`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from polaris_cli.engines.base import MayEnd, always
from polaris_cli.engines.local.decode import check, context_length, explained
from polaris_cli.engines.local.forward import ForwardTogether
from polaris_cli.engines.local.generation import Answer
from polaris_cli.engines.local.sampling import Sampler
from polaris_cli.errors import ModelUnavailable, PolarisError
from polaris_cli.events import Finish, Piece
from polaris_cli.request.story_request import Sampling

Events = Iterator[tuple[int, Piece | Finish]]
Running = dict[int, Answer]

SMALLER = "Write fewer stories at once, add --quantize 4bit, or ask for fewer --words"


@dataclass(frozen=True, slots=True)
class Task:
    """One story of several: each field is what `decode` takes by that name."""

    prompt_ids: Sequence[int]
    sampling: Sampling
    max_new_tokens: int
    inside_thinking: bool
    may_end: MayEnd = always


def decode_together(
    model: Any, tokenizer: Any, tasks: Sequence[Task], stop_ids: frozenset[int]
) -> Events:
    """Yield the text of all tasks as it comes, each piece with its task's number, from 0.

    Each task gets what `decode` gives for it alone, in the end one `Finish`; but for rounding: in
    half precision two tokens that are about as probable may change places. A task that is over
    costs nothing more. Out of memory and damaged weights end all that still run with an error.
    Closing the generator frees the cache.
    """
    running = {n: _answer(model, tokenizer, task, stop_ids) for n, task in enumerate(tasks)}
    error: PolarisError | None = None
    try:
        yield from _written(model, tasks, running)
    except (ModelUnavailable, RuntimeError) as problem:
        tokens = sum(answer.tokens for answer in running.values())
        error = explained(problem, model, tokens, SMALLER)
    for number, answer in running.items():
        yield from _end(number, answer, error)


def _answer(model: Any, tokenizer: Any, task: Task, stop_ids: frozenset[int]) -> Answer:
    left = context_length(model) - len(task.prompt_ids)
    return Answer(
        tokenizer,
        len(task.prompt_ids),
        task.sampling,
        max(min(task.max_new_tokens, left), 0),
        stop_ids,
        inside_thinking=task.inside_thinking,
        may_end=task.may_end,
    )


def _written(model: Any, tasks: Sequence[Task], running: Running) -> Events:
    """Yield what comes until no task goes on; those that are over earlier leave `running`."""
    yield from _leaving(running)
    if not running:
        return
    forward = ForwardTogether(model)
    logits = forward.prefill([tasks[number].prompt_ids for number in running])
    check(logits)
    samplers = {
        number: Sampler(
            tasks[number].sampling,
            tasks[number].prompt_ids,
            logits[0],
            ends=answer.ends,
            exempt=answer.exempt,
        )
        for number, answer in running.items()
    }
    yield from _stepped(forward, logits, running, samplers)


def _stepped(
    forward: ForwardTogether,
    logits: torch.Tensor,
    running: Running,
    samplers: Mapping[int, Sampler],
) -> Events:
    while True:
        rows = zip(running.items(), logits, strict=True)
        tokens = torch.cat([answer.choose(samplers[n], row) for (n, answer), row in rows])
        # All are read at once: each reading waits for the device.
        for (number, answer), token in zip(running.items(), tokens.tolist(), strict=True):
            if piece := answer.add(token):
                yield number, piece
        going = [row for row, answer in enumerate(running.values()) if not answer.reason]
        if not going:
            return
        if len(going) < len(running):
            yield from _leaving(running)
            forward.keep(going)
            tokens = tokens[going]
        logits = forward.step(tokens)


def _leaving(running: Running) -> Events:
    """Take those that are over out of `running` and yield their end."""
    for number in [number for number, answer in running.items() if answer.reason]:
        yield from _end(number, running.pop(number))


def _end(number: int, answer: Answer, error: PolarisError | None = None) -> Events:
    return ((number, event) for event in answer.end(error))
