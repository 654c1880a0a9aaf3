"""The forward pass of a loaded model, token by token, with the cache of one sequence.

Knows how models are called and what their caches need; chooses no tokens and knows no text.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from polaris_cli.engines.cache_names import cache_name, cache_of
from polaris_cli.engines.cuda import on_its_way

PREFILL_CHUNK = 2048  # prompt tokens a forward pass: bounds the memory of long prompts
ALONE = 64_000_000  # bytes of weights below which a second thread costs more than it does


class Forward:
    """A model's forward pass with the cache of one sequence, which goes when this object goes.

    Takes tokens, returns the logits of what follows them, one row in float32. The mode without
    gradients and the number of threads are set for each pass: around a generator's `yield` they
    would leak to the caller.

    `ahead` says that a step may be begun before the token it takes is handed out: it only launches
    work on a card then.
    """

    ahead = False

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache: Any = None  # the model makes the kind that it needs
        self._device = model.get_input_embeddings().weight.device
        self._threads = _threads(model, self._device)
        self._cache_key = cache_name(model.forward)
        keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._options = {"logits_to_keep": 1} if keeps else {}

    def prefill(self, ids: Sequence[int]) -> torch.Tensor:
        """Take the prompt, at least one token, in chunks where the model allows it."""
        row = torch.tensor([ids], device=self._device)
        size = PREFILL_CHUNK if _continues(self._model) else len(ids)
        for start in range(0, len(ids), size):
            logits = self._advance(row[:, start : start + size])
        return logits

    def step(self, token: torch.Tensor) -> torch.Tensor:
        """Take one token more."""
        return self._advance(token.view(1, 1))

    def _advance(self, ids: torch.Tensor) -> torch.Tensor:
        threads = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            return self._computed(ids)
        finally:
            torch.set_num_threads(threads)

    def read(self, token: torch.Tensor) -> Callable[[], int]:
        """Return what tells the token's id, though steps are launched in between."""
        return on_its_way(token) if token.is_cuda else lambda: int(token)

    @torch.inference_mode()
    def _computed(self, ids: torch.Tensor) -> torch.Tensor:
        output = self._model(
            input_ids=ids.to(self._device),
            **{self._cache_key: self._cache},
            use_cache=True,
            return_dict=True,
            **self._options,
        )
        self._cache = cache_of(output)
        logits: torch.Tensor = output.logits[0, -1].float()
        return logits


def _threads(model: Any, device: torch.device) -> int:
    """How many threads compute a step: a small one is over before all of them have met."""
    small = sum(weight.nbytes for weight in model.parameters()) < ALONE
    return 1 if small and device.type == "cpu" else torch.get_num_threads()


def _continues(model: Any) -> bool:
    """Whether several tokens at once may follow a cache that is not empty.

    Before transformers 5.7 the linear attention layers silently forgot the state then.
    """
    release = tuple(int(part) for part in re.findall(r"\d+", transformers.__version__)[:2])
    return release >= (5, 7) or not getattr(model, "_is_stateful", False)
