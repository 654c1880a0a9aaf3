"""The decoding loop: streams the text that a loaded model generates from a prompt's token ids.

`forward` runs the model; `generation` chooses tokens, closes the thinking and applies the stop
conditions. Also turns out-of-memory exceptions into errors for the user. Does not know how models
are loaded (`loading`), or about stories.
"""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.generation import Generation, TokenizedRequest
from polaris_cli.engines.local.prefix_cache import PrefixCache
from polaris_cli.engines.local.static_forward import static_or_dynamic
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable, OutOfMemory, PolarisError
from polaris_cli.events import AnswerEvent, Chunk

SMALLER = "Add --quantize 4bit, or ask for fewer words"
NO_MEMORY = re.compile("can't allocate memory|not enough memory|out of memory|ALLOC_FAILED")
NEEDED = re.compile(r"allocate ([\d.]+ \w+)")


def decode(
    model: Any,
    vocabulary: Vocabulary,
    request: TokenizedRequest,
    *,
    static: bool = False,
    room: int = 0,
    prefix_cache: PrefixCache | None = None,
) -> Iterator[AnswerEvent]:
    """Yield what `model` generates after the prompt, then one `Finish`.

    Stops at the end of the context. Thinking is closed after `sampling.thinking_budget` tokens; if
    the model would end inside its thinking, only the thinking ends. `static` runs all decode steps
    in the same memory, on CUDA as one graph, with room for at least `room` tokens, so that the
    longer answers that follow in a conversation find their prefix there. If memory runs out or the
    weights are damaged, the `Finish` has the error, so that the text so far is kept. Closing the
    generator frees the KV cache, or leaves it in `prefix_cache`.
    """
    generation = Generation(vocabulary, request, context_length(model))
    # One more, as the next step may already be running when the last token is yielded.
    length = generation.max_tokens + 1
    make_forward = partial(Forward, model)
    if static:
        make_forward = partial(static_or_dynamic, model, max(length, room))
    error: PolarisError | None = None
    try:
        # No variable refers to the generator here, so the KV cache is freed after the last token.
        yield from _chunks(
            _tokens(generation, make_forward, length, prefix_cache or PrefixCache()), generation
        )
    except (Exception, KeyboardInterrupt) as problem:
        yield from generation.flush()
        error = as_polaris_error(problem, model, generation.tokens)
    yield from generation.end(error)


def context_length(model: Any) -> int:
    """The model's maximum number of tokens, prompt and output together."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit or sys.maxsize


def _tokens(
    generation: Generation,
    make_forward: Callable[[], Forward],
    length: int,
    prefix_cache: PrefixCache,
) -> Iterator[tuple[int, float | None]]:
    """Yield the token ids one by one, with the log-probabilities of those chosen here.

    The model does not run before the first is requested.
    """
    for id_ in generation.replay():
        yield id_, None
    with prefix_cache.prefilled(generation.request, make_forward, length) as (forward, logits):
        check_logits(logits)
        while True:
            token, log_prob = generation.choose(logits)
            read = forward.read(token, log_prob)
            if forward.ahead:  # the GPU computes the next step while this token is detokenized
                logits = forward.step(token)
                yield read()
            else:
                yield read()
                logits = forward.step(token)


def _chunks(tokens: Iterator[tuple[int, float | None]], generation: Generation) -> Iterator[Chunk]:
    """Yield the text of the tokens until the answer is finished."""
    while not generation.reason:
        yield from generation.add(*next(tokens))


def check_logits(logits: torch.Tensor) -> None:
    """Raise ModelUnavailable if the logits contain NaN."""
    if logits.isnan().any():
        raise ModelUnavailable(
            "The model's output is not a number (NaN): its weights are damaged, or the number "
            "format is not suitable for this model.",
            hint="Add --quantize none, or download it again: polaris models fetch NAME",
        )


def as_polaris_error(
    problem: BaseException, model: Any, tokens: int, smaller: str = SMALLER
) -> PolarisError:
    """The error for the user if memory ran out or `problem` is one already; else raises `problem`.

    `tokens` is the number of tokens in memory, `smaller` the hint on how to use less memory.
    """
    if isinstance(problem, PolarisError):
        return problem
    # Only CUDA has an error class of its own for this.
    if not isinstance(problem, torch.OutOfMemoryError) and not NO_MEMORY.search(str(problem)):
        raise problem
    return OutOfMemory(
        f"{model.device} ran out of memory at {tokens} tokens{_figures(problem, model)}.",
        hint=smaller,
    )


def _figures(problem: BaseException, model: Any) -> str:
    figures = [f"{size} more were needed" for size in NEEDED.findall(str(problem))[:1]]
    if model.device.type == "cuda":
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info(model.device))
        figures.append(f"{free:.1f} of {total:.1f} GiB are free")
    return f" ({', '.join(figures)})" if figures else ""
