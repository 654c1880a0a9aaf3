"""Prefill and decode steps of a loaded model, with its KV cache.

Knows how to call models and what their caches need; chooses no tokens, and does not know text.
"""

import inspect
import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from polaris_cli.engines.kernels.cuda_graph import copy_to_host
from polaris_cli.engines.kv_cache import (
    can_join,
    can_rewind,
    cut_left,
    join_caches,
    keep_first,
    rewind,
    states_of_cache,
)
from polaris_cli.engines.local.loading_errors import run_errors
from polaris_cli.engines.releases import cache_name, cache_of
from polaris_cli.models.threads import SlowSteps

PREFILL_CHUNK = 2048  # prompt tokens per forward pass, to bound the memory for long prompts
ALONE = 64_000_000  # bytes of weights below which a second thread makes a step slower


class Passes:
    """A model's forward passes over one or several sequences, and their KV cache.

    A pass takes token ids (rows, tokens), a row for each sequence, and returns the logits for each
    row's next token, (rows, vocabulary) in float32. Inference mode and the number of threads are
    set for each pass: set around a generator's `yield`, they would leak to the caller. If steps on
    a CPU become far slower, another program needs a core, and a thread less is used from then on.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache: Any = None  # the model creates the kind that it needs
        self._device = model.get_input_embeddings().weight.device
        self._threads = step_threads(model)
        self._slow = SlowSteps() if self._device.type == "cpu" and self._threads > 1 else None
        self._cache_key = cache_name(model.forward)
        keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._options = {"logits_to_keep": 1} if keeps else {}

    def _prefill(self, ids: torch.Tensor, *, padded: bool = False) -> torch.Tensor:
        """Run the prompts through the model, in chunks if it supports that."""
        rows, length = ids.shape
        # Models treat a chunk of one token as a decode step, and would not mask its padding.
        size = max(PREFILL_CHUNK // rows, 2) if _can_chunk(self._model, padded) else length
        for chunk in torch.split(ids, size, dim=1):
            logits = self._advance(chunk)
        return logits

    def _advance(self, ids: torch.Tensor) -> torch.Tensor:
        threads = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            if not self._slow or ids.shape[1] > 1:
                return self._compute(ids)
            start = time.perf_counter()
            logits = self._compute(ids)
            if self._slow.add(time.perf_counter() - start):
                threads = self._threads = max(1, self._threads - 1)  # for later passes too
            return logits
        finally:
            torch.set_num_threads(threads)

    @torch.inference_mode()
    def _compute(self, ids: torch.Tensor) -> torch.Tensor:
        output = self._model(
            input_ids=ids.to(self._device),
            **{self._cache_key: self._cache},
            use_cache=True,
            return_dict=True,
            **self._options,
            **self._padding(ids.shape[1]),
        )
        self._cache = cache_of(output)
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def _padding(self, new: int) -> dict[str, torch.Tensor]:
        """The model's arguments for padding, at `new` more tokens per row: none without padding."""
        return {}


class Forward(Passes):
    """A model's passes over one sequence; logits have the shape (vocabulary,).

    `ahead` means that a step only launches work on the GPU, so the next step may start before the
    token it takes is yielded. `capacity` is how many tokens its cache has room for.
    """

    ahead = False
    capacity: float = math.inf

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._ids: list[torch.Tensor] = []  # not numbers, as a GPU may not have computed them yet
        self._continues = _can_chunk(model, padded=False)

    @property
    def ids(self) -> list[int]:
        """The ids of all tokens in the cache."""
        return torch.cat(self._ids).tolist() if self._ids else []

    def prefill(self, ids: Sequence[int]) -> torch.Tensor:
        """Run the prompt, or its next tokens (at least one); return the next token's logits."""
        tokens = torch.tensor([ids], device=self._device)
        with run_errors():
            logits = self._prefill(tokens)[0]
        self._ids.append(tokens[0])
        return logits

    def step(self, token: torch.Tensor) -> torch.Tensor:
        """Run one more token through the model; return the next token's logits."""
        with run_errors():
            logits = self._step(token.view(1, 1))
        self._ids.append(token.view(1))
        return logits

    def _step(self, token: torch.Tensor) -> torch.Tensor:
        return self._advance(token)[0]

    @property
    def copies_states(self) -> bool:
        """Whether the model has states of linear attention, which can be copied and continued."""
        return self._continues and bool(getattr(self._model, "_is_stateful", False))

    def copy_states(self) -> list[torch.Tensor]:
        """Copies of the states of linear attention, for `rewind`."""
        return [state.clone() for state in states_of_cache(self._cache)]

    def rewind(self, tokens: int, states: Sequence[torch.Tensor]) -> bool:
        """Remove the last tokens from the cache; False if that is impossible.

        `states` are those of linear attention from before the tokens.
        """
        if not tokens or not self._continues:
            return self._continues
        if not can_rewind(self._cache, states):
            return False
        self._ids = [torch.cat(self._ids)[:-tokens]]
        rewind(self._cache, tokens, states)
        return True

    def read(self, token: torch.Tensor, log_prob: torch.Tensor) -> Callable[[], tuple[int, float]]:
        """A function that returns the token's id and its log-probability as numbers.

        It does not wait for steps launched later.
        """
        if not token.is_cuda:
            return lambda: (int(token), float(log_prob))
        read = copy_to_host(torch.cat([token.double(), log_prob.double()]))

        def numbers() -> tuple[int, float]:
            id_, logarithm = read()
            return int(id_), logarithm

        return numbers


class BatchForward(Passes):
    """A model's passes over a batch of sequences, one per row; logits are (rows, vocabulary).

    Shorter rows are padded on the left. On the right, the padding would be between a prompt and its
    answer, and become part of the state of linear-attention layers.
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._length = 0  # tokens per row so far, padding included
        self._pads: list[int] = []  # padding tokens of each row
        self._starts: torch.Tensor | None = None  # the same, (rows, 1), if any row has some

    @property
    def can_join(self) -> bool:
        """Whether other rows can be added to these."""
        return can_join(self._cache)

    def prefill(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Run the prompts, each of at least one token, through the model; return the logits."""
        longest = max(map(len, prompts))
        self._set_pads([longest - len(prompt) for prompt in prompts])
        rows = zip(self._pads, prompts, strict=True)
        ids = torch.tensor([[0] * pad + [*prompt] for pad, prompt in rows])
        with run_errors():
            return self._prefill(ids, padded=any(self._pads))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Run one more token per row through the model; return the logits."""
        with run_errors():
            return self._advance(tokens.view(-1, 1))

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows of the batch, in this order."""
        # Linear-attention layers have this method, but no `batch_select_indices`.
        self._cache.reorder_cache(torch.tensor(rows, device=self._device))
        self._trim([self._pads[row] for row in rows])

    @torch.inference_mode()
    def join(self, other: "BatchForward") -> None:
        """Add the rows of another forward below these, with their cache.

        If memory runs out, these rows are as before, so that they can be continued.
        """
        length = max(self._length, other._length)
        pads = [pad + length - each._length for each in (self, other) for pad in each._pads]
        try:
            join_caches(self._cache, other._cache)
        except RuntimeError:
            keep_first(self._cache, len(self._pads), self._length)
            raise
        self._length = length
        self._trim(pads)

    def _trim(self, pads: list[int]) -> None:
        """Cut away the padding that all rows have."""
        common = min(pads) if can_join(self._cache) else 0
        if common:
            cut_left(self._cache, common)
            self._length -= common
        self._set_pads([pad - common for pad in pads])

    def _set_pads(self, pads: list[int]) -> None:
        self._pads = pads
        self._starts = torch.tensor(pads, device=self._device).unsqueeze(1) if any(pads) else None

    def _advance(self, ids: torch.Tensor) -> torch.Tensor:
        self._length += ids.shape[1]
        return super()._advance(ids)

    def _padding(self, new: int) -> dict[str, torch.Tensor]:
        if self._starts is None:
            return {}
        places = torch.arange(self._length, device=self._device) - self._starts
        mask, positions = (places >= 0).long(), places[:, -new:].clamp(min=0)
        return {"attention_mask": mask, "position_ids": positions}


def step_threads(model: Any) -> int:
    """Threads for a step."""
    return 1 if takes_one_thread(model) else torch.get_num_threads()


def takes_one_thread(model: Any) -> bool:
    """Whether the model is so small that a step takes less than synchronizing threads."""
    small = sum(weight.nbytes for weight in model.parameters()) < ALONE
    return bool(small and model.get_input_embeddings().weight.device.type == "cpu")


def _can_chunk(model: Any, padded: bool) -> bool:
    """Whether a chunk of several tokens, `padded` or not, may follow a cache that is not empty.

    Before transformers 5.7, linear-attention layers silently dropped the state in that case; before
    5.15, they read padding as text.
    """
    release = tuple(int(part) for part in re.findall(r"\d+", transformers.__version__)[:2])
    since = (5, 15) if padded else (5, 7)
    return release >= since or not getattr(model, "_is_stateful", False)
