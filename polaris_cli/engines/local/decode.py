"""The decoding loop: a loaded transformers model and the ids of a prompt become text, as it comes.

Knows which errors a run can end with; knows neither how models are loaded (`local`) nor stories.
Stepping a model is `forward`'s matter, choosing tokens `sampling`'s, when to close the thinking and
when to stop `generation`'s.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from polaris_cli.engines.base import MayEnd, always
from polaris_cli.engines.local.detokenizer import token_id
from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.generation import Answer
from polaris_cli.engines.local.sampling import Sampler
from polaris_cli.engines.local.static_forward import fixed
from polaris_cli.errors import ModelUnavailable, OutOfMemory, PolarisError
from polaris_cli.events import Finish, Piece
from polaris_cli.request.story_request import Sampling

END_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|im_start|>")
SMALLER = "Add --quantize 4bit, or ask for fewer --words"
NO_MEMORY = re.compile("can't allocate memory|not enough memory|out of memory|ALLOC_FAILED")
WANTED = re.compile(r"allocate ([\d.]+ \w+)")


def decode(
    model: Any,
    tokenizer: Any,
    prompt_ids: Sequence[int],
    sampling: Sampling,
    *,
    max_new_tokens: int,
    stop_ids: frozenset[int],
    inside_thinking: bool,
    opening: Sequence[int] = (),
    after: Sequence[int] = (),
    told: Sequence[int] = (),
    may_end: MayEnd = always,
    static: bool = False,
) -> Iterator[Piece | Finish]:
    """Yield the text that `model` writes after `prompt_ids`, then one `Finish`.

    At most `max_new_tokens`, and no more than the context holds, thinking and story together.
    `inside_thinking` says whether the prompt has already opened the thinking; it is closed after
    `sampling.thinking_budget` tokens, and a model that would end inside its thinking ends the
    thinking instead. `opening` are tokens that the answer begins with and that are not given out,
    `after` are tokens of the answer from an earlier run: they are given out
    first, then the same tokens follow as would have followed then. `told` are tokens of the
    story that are not in the prompt and should not come again. While `may_end` says no, the
    tokens that end a text are not chosen. `static` runs all steps in the same memory, recorded
    once on a CUDA device. Out of memory and damaged weights end the stream with an error, so that
    the text so far is kept. Closing the generator frees the cache.
    """
    prompt_ids = [*prompt_ids, *opening]
    start = len(prompt_ids) + len(after)
    room = len(after) + max(min(max_new_tokens, context_length(model) - start), 0)
    answer = Answer(
        tokenizer,
        len(prompt_ids),
        sampling,
        room,
        stop_ids,
        inside_thinking=inside_thinking,
        may_end=may_end,
        opening=opening,
    )
    # Room for a step more: it may be under way when the last token is handed out.
    opened = partial(fixed, model, start + room + 1) if static else partial(Forward, model)
    error: PolarisError | None = None
    try:
        # Held by no name here, so that the cache is gone when the last token has come.
        yield from _pieces(_tokens(opened, prompt_ids, after, told, sampling, answer), answer)
    except (ModelUnavailable, RuntimeError) as problem:
        error = explained(problem, model, answer.tokens)
    yield from answer.end(error)


def stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return every token id that ends a text: the tokenizer's and those of the model's settings.

    Neither is enough: a model's folder may lack the generation settings, and a config may name
    only one of two end tokens. A model that begins a turn has ended its own.
    """
    configs = (model.config, model.config.get_text_config(), model.generation_config)
    found: list[Any] = [getattr(config, "eos_token_id", None) for config in configs]
    found += [tokenizer.eos_token_id, *(token_id(tokenizer, token) for token in END_TOKENS)]
    lists = (ids if isinstance(ids, list) else [ids] for ids in found)
    # A damaged setting may hold anything; what is no token can never be chosen.
    size = getattr(model.config.get_text_config(), "vocab_size", sys.maxsize)
    return frozenset(int(id_) for ids in lists for id_ in ids if id_ in range(size))


def context_length(model: Any) -> int:
    """Return how many tokens, prompt and output together, the model was made for."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit or sys.maxsize


def _tokens(
    opened: Callable[[], Forward],
    prompt_ids: Sequence[int],
    after: Sequence[int],
    told: Sequence[int],
    sampling: Sampling,
    answer: Answer,
) -> Iterator[int]:
    """Yield `after`, then token after token; nothing is computed before it is asked for."""
    for earlier in after:
        answer.thinking.due()
        yield earlier
    forward = opened()
    logits = forward.prefill([*prompt_ids, *after])
    check(logits)
    sampler = Sampler(sampling, prompt_ids, logits, after, answer.ends, told, answer.exempt)
    while True:
        token = answer.choose(sampler, logits)
        read = forward.read(token)
        if forward.ahead:  # the card computes on while the token is worded and shown
            logits = forward.step(token)
            yield read()
        else:
            yield read()
            logits = forward.step(token)


def _pieces(tokens: Iterator[int], answer: Answer) -> Iterator[Piece]:
    """Yield the text of the tokens until the answer ends."""
    while not answer.reason:
        if piece := answer.add(next(tokens)):
            yield piece


def check(logits: torch.Tensor) -> None:
    """Raise ModelUnavailable if the model computes no numbers."""
    if logits.isnan().any():
        raise ModelUnavailable(
            "The model's output is not a number: its weights are damaged, or do not suit the "
            "number format that they were loaded in.",
            hint="Fetch it again (polaris models fetch NAME), or add --quantize none",
        )


def explained(problem: Exception, model: Any, tokens: int, smaller: str = SMALLER) -> PolarisError:
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


def _figures(problem: Exception, model: Any) -> str:
    figures = [f"{size} more were needed" for size in WANTED.findall(str(problem))[:1]]
    if model.device.type == "cuda":
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info(model.device))
        figures.append(f"{free:.1f} of {total:.1f} GiB are free")
    return f" ({', '.join(figures)})" if figures else ""
