"""The decoding loop: a loaded transformers model and the ids of a prompt become text, as it comes.

Knows which errors a run can end with; knows neither how models are loaded (`loading`) nor stories.
`forward` steps the model; `generation` chooses tokens, closes the thinking and knows when to stop.
"""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.generation import Generation, TokenizedRequest
from polaris_cli.engines.local.static_forward import static_or_dynamic
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable, OutOfMemory, PolarisError
from polaris_cli.events import AnswerEvent, Chunk

SMALLER = "Add --quantize 4bit, or ask for fewer --words"
NO_MEMORY = re.compile("can't allocate memory|not enough memory|out of memory|ALLOC_FAILED")
WANTED = re.compile(r"allocate ([\d.]+ \w+)")


def decode(
    model: Any, vocabulary: Vocabulary, request: TokenizedRequest, *, static: bool = False
) -> Iterator[AnswerEvent]:
    """Yield what `model` writes after the prompt as it comes, then one `Finish`.

    No more than the context holds. Thinking is closed after `sampling.thinking_budget` tokens, and
    a model that would end inside its thinking ends the thinking instead. `static` runs all steps
    in the same memory, as one CUDA graph. Out of memory and damaged weights end the stream with an
    error, so that the text so far is kept. Closing the generator frees the cache.
    """
    generation = Generation(vocabulary, request, context_length(model))
    # Room for a step more: it may be under way when the last token is handed out.
    most = generation.most_tokens + 1
    opened = partial(static_or_dynamic, model, most) if static else partial(Forward, model)
    error: PolarisError | None = None
    try:
        # Held by no name here, so that the cache is freed with the last token.
        yield from _chunks(_tokens(opened, generation), generation)
    except (Exception, KeyboardInterrupt) as problem:
        yield from generation.rest()
        error = explained(problem, model, generation.tokens)
    yield from generation.end(error)


def context_length(model: Any) -> int:
    """Return how many tokens, prompt and output together, the model was made for."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit or sys.maxsize


def _tokens(opened: Callable[[], Forward], generation: Generation) -> Iterator[int]:
    """Yield token after token; nothing is computed before it is asked for."""
    yield from generation.replay()
    forward = opened()
    request = generation.request
    logits = forward.prefill([*request.prompt_ids, *request.after])
    check(logits)
    while True:
        token = generation.choose(logits)
        read = forward.read(token)
        if forward.ahead:  # the GPU computes the next step while the token becomes text
            logits = forward.step(token)
            yield read()
        else:
            yield read()
            logits = forward.step(token)


def _chunks(tokens: Iterator[int], generation: Generation) -> Iterator[Chunk]:
    """Yield the text of the tokens until the answer ends."""
    while not generation.reason:
        yield from generation.add(next(tokens))


def check(logits: torch.Tensor) -> None:
    """Raise ModelUnavailable if the model computes no numbers."""
    if logits.isnan().any():
        raise ModelUnavailable(
            "The model's output is not a number: its weights are damaged, or do not suit the "
            "number format that they were loaded in.",
            hint="Fetch it again (polaris models fetch NAME), or add --quantize none",
        )


def explained(
    problem: BaseException, model: Any, tokens: int, smaller: str = SMALLER
) -> PolarisError:
    """Return the error to tell the user, or raise `problem` where it is a fault of the program.

    `tokens` are those in memory, `smaller` is the hint on how to need less of it.
    """
    if isinstance(problem, PolarisError):
        return problem
    # Only CUDA has an error class of its own for this.
    if not isinstance(problem, torch.OutOfMemoryError) and not NO_MEMORY.search(str(problem)):
        raise problem
    return OutOfMemory(
        f"The memory of {model.device} ran out at {tokens} tokens{_figures(problem, model)}.",
        hint=smaller,
    )


def _figures(problem: BaseException, model: Any) -> str:
    figures = [f"{size} more were needed" for size in WANTED.findall(str(problem))[:1]]
    if model.device.type == "cuda":
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info(model.device))
        figures.append(f"{free:.1f} of {total:.1f} GiB are free")
    return f" ({', '.join(figures)})" if figures else ""
