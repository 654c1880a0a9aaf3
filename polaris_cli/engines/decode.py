"""The decoding loop: a loaded transformers model and the ids of a prompt become text, as it comes.

Knows when to stop and when to close the thinking; knows neither how models are loaded (`local`)
nor stories. Stepping a model is `forward`'s matter, choosing tokens `sampling`'s, wording them
`text`'s.
"""

import math
import re
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch

from polaris_cli.engines import MayEnd, always
from polaris_cli.engines.forward import Forward
from polaris_cli.engines.sampling import Ends, Sampler
from polaris_cli.engines.static import StaticForward
from polaris_cli.engines.text import TextDecoder
from polaris_cli.errors import ModelUnavailable, OutOfMemory, PolarisError
from polaris_cli.events import Finish, Piece, Reason
from polaris_cli.request import Sampling
from polaris_cli.thinking import CLOSE, Splitter

STORY_SHARE = 1 / 16  # of all new tokens, what thinking leaves at the least
END_TOKENS = ("<|im_end|>", "<|endoftext|>")
CLOSING = f"\n{CLOSE}\n\n"
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
    after: Sequence[int] = (),
    may_end: MayEnd = always,
    static: bool = False,
) -> Iterator[Piece | Finish]:
    """Yield the text that `model` writes after `prompt_ids`, then one `Finish`.

    At most `max_new_tokens`, and no more than the context holds, thinking and story together.
    `inside_thinking` says whether the prompt has already opened the thinking; it is closed after
    `sampling.thinking_budget` tokens, and a model that would end inside its thinking ends the
    thinking instead. `after` are tokens of the answer from an earlier run: they are given out
    first, then the same tokens follow as would have followed then. While `may_end` says no, the
    tokens that end a text are not chosen. `static` runs all steps in the same memory, recorded
    once on a CUDA device. Out of memory and damaged weights end the stream with an error, so that
    the text so far is kept. Closing the generator frees the cache.
    """
    start = len(prompt_ids) + len(after)
    room = len(after) + max(min(max_new_tokens, context_length(model) - start), 0)
    thinking = _thinking_budget(tokenizer, sampling, room, inside=inside_thinking)
    ends = Ends(stop_ids, may_end, tokenizer.get_vocab().get(CLOSE), thinking.inside)
    text = TextDecoder(tokenizer)
    # Room for a step more: it may be under way when the last token is handed out.
    opened = partial(StaticForward, model, start + room + 1) if static else partial(Forward, model)
    reason: Reason = "error"
    error: PolarisError | None = None
    try:
        reason = yield from _pieces(
            # Held by no name here, so that the cache is gone when the last token has come.
            islice(_tokens(opened, prompt_ids, after, sampling, thinking, ends), room),
            text,
            thinking,
            stop_ids,
        )
    except (ModelUnavailable, RuntimeError) as problem:
        error = _explained(problem, model, len(prompt_ids) + text.count)
    if rest := text.rest():
        yield rest
    yield Finish(reason, prompt_tokens=len(prompt_ids), error=error)


def stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return every token id that ends a text: the tokenizer's and those of the model's settings.

    Neither is enough: a model's folder may lack the generation settings, and a config may name
    only one of two end tokens.
    """
    configs = (model.config, model.config.get_text_config(), model.generation_config)
    found = [getattr(config, "eos_token_id", None) for config in configs]
    known = tokenizer.get_vocab()
    found += [tokenizer.eos_token_id, [known[token] for token in END_TOKENS if token in known]]
    lists = (ids if isinstance(ids, list) else [ids] for ids in found if ids is not None)
    return frozenset(id_ for ids in lists for id_ in ids)


def context_length(model: Any) -> int:
    """Return how many tokens, prompt and output together, the model was made for."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit or sys.maxsize


def _tokens(
    opened: Callable[[], Forward],
    prompt_ids: Sequence[int],
    after: Sequence[int],
    sampling: Sampling,
    thinking: "ThinkingBudget",
    ends: Ends,
) -> Iterator[int]:
    """Yield `after`, then token after token; nothing is computed before it is asked for."""
    for earlier in after:
        thinking.due()
        yield earlier
    forward = opened()
    logits = forward.prefill([*prompt_ids, *after])
    _check(logits)
    sampler = Sampler(sampling, prompt_ids, logits, after, ends)
    while True:
        forced = thinking.due()
        token = sampler.choose(logits) if forced is None else _token(forced, logits)
        sampler.note(token)
        read = forward.read(token)
        if forward.ahead:  # the card computes on while the token is worded and shown
            logits = forward.step(token)
            yield read()
        else:
            yield read()
            logits = forward.step(token)


def _pieces(
    tokens: Iterator[int], text: TextDecoder, thinking: "ThinkingBudget", stop_ids: frozenset[int]
) -> Generator[Piece, None, Reason]:
    """Yield the text of the tokens until one ends it or there are no more; return which."""
    for token in tokens:
        if token in stop_ids:
            return "stop"
        piece = text.add(token)
        thinking.count(piece)
        if piece:
            yield piece
    return "length"


def _token(token: int, logits: torch.Tensor) -> torch.Tensor:
    return torch.tensor([token], device=logits.device)


def _check(logits: torch.Tensor) -> None:
    """Raise ModelUnavailable if the model computes no numbers."""
    if logits.isnan().any():
        raise ModelUnavailable(
            "The model's output is not a number: its weights are damaged, or do not suit the "
            "number format that they were loaded in.",
            hint="Fetch it again (polaris models fetch NAME), or add --quantize none",
        )


class ThinkingBudget:
    """Counts the tokens of the thinking and hands out those that close it when it is used up.

    `closing` are the ids of the closing text, `limit` how many tokens all the thinking may take
    (infinity for no limit), `inside` whether it is already open.
    """

    def __init__(self, closing: Sequence[int], limit: float, *, inside: bool) -> None:
        self._closing, self._left = closing, limit
        self._splitter = Splitter(inside)
        self._due: deque[int] = deque()

    def inside(self) -> bool:
        """Whether the text so far ends inside the thinking."""
        return self._splitter.inside

    def due(self) -> int | None:
        """Return the token to go on with, None where the model is free to choose."""
        if not self._due and self._left <= 0 and self._splitter.inside:
            self._due.extend(self._closing)
        return self._due.popleft() if self._due else None

    def count(self, piece: Piece | None) -> None:
        """Take note of one more token, with the text that it completed."""
        self._left -= self._splitter.inside
        if piece:
            deque(self._splitter.feed(piece), maxlen=0)  # read for its state alone


def _thinking_budget(
    tokenizer: Any, sampling: Sampling, room: int, *, inside: bool
) -> ThinkingBudget:
    """Return the budget for `room` new tokens; unless it has no limit, some stay for the story."""
    closing = tokenizer.encode(CLOSING, add_special_tokens=False)
    budget = sampling.thinking_budget if sampling.thinking else 0
    story = max(len(closing) + 1, int(room * STORY_SHARE))
    limit = math.inf if budget < 0 else min(budget, room - story)
    return ThinkingBudget(closing, limit, inside=inside)


def _explained(problem: Exception, model: Any, tokens: int) -> PolarisError:
    """Return the error to tell the user, or raise `problem` where it is a fault of the program."""
    if isinstance(problem, PolarisError):
        return problem
    # Only CUDA has an error class of its own for this.
    if not isinstance(problem, torch.OutOfMemoryError) and not NO_MEMORY.search(str(problem)):
        raise problem
    return OutOfMemory(
        f"The memory of {model.device} ran out at {tokens} tokens{_figures(problem, model)}.",
        hint="Add --quantize 4bit, or ask for fewer --words",
    )


def _figures(problem: Exception, model: Any) -> str:
    figures = [f"{size} more were needed" for size in WANTED.findall(str(problem))[:1]]
    if model.device.type == "cuda":
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info(model.device))
        figures.append(f"{free:.1f} of {total:.1f} GiB are free")
    return f" ({', '.join(figures)})" if figures else ""
