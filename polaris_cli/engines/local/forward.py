"""The forward pass of a loaded model, token by token, with the cache of what it has read.

Knows how models are called and what their caches need; chooses no tokens and knows no text.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from polaris_cli.engines.kernels.cuda_graph import copy_to_host
from polaris_cli.engines.local.loading_errors import run_errors
from polaris_cli.engines.releases import cache_name, cache_of

PREFILL_CHUNK = 2048  # prompt tokens a forward pass: bounds the memory of long prompts
ALONE = 64_000_000  # bytes of weights below which a second thread costs more than it does


class Passes:
    """A model's passes over one sequence or several, with their cache, which goes with this object.

    A pass takes tokens, a row for each sequence, and gives the logits of what follows the last of
    them, a row for each in float32. The mode without gradients and the number of threads are set
    for each pass: around a generator's `yield` they would leak to the caller.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache: Any = None  # the model makes the kind that it needs
        self._device = model.get_input_embeddings().weight.device
        self._threads = _threads(model, self._device)
        self._cache_key = cache_name(model.forward)
        keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._options = {"logits_to_keep": 1} if keeps else {}

    def _read_in(self, ids: torch.Tensor, *, padded: bool = False) -> torch.Tensor:
        """Take the prompts, in chunks where the model allows it."""
        rows, length = ids.shape
        # A single column is taken for a step, and its padding would not be masked.
        size = max(PREFILL_CHUNK // rows, 2) if _continues(self._model, padded) else length
        for chunk in torch.split(ids, size, dim=1):
            logits = self._advance(chunk)
        return logits

    def _advance(self, ids: torch.Tensor) -> torch.Tensor:
        threads = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            return self._computed(ids)
        finally:
            torch.set_num_threads(threads)

    @torch.inference_mode()
    def _computed(self, ids: torch.Tensor) -> torch.Tensor:
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
        """What tells the model, at `new` tokens more a row, which are padding: here none is."""
        return {}


class Forward(Passes):
    """A model's passes over one sequence: its logits are a single row.

    `ahead` says that a step may be begun before the token it takes is handed out: it only launches
    work on a card then.
    """

    ahead = False

    def prefill(self, ids: Sequence[int]) -> torch.Tensor:
        """Take the prompt, at least one token."""
        with run_errors():
            return self._read_in(torch.tensor([ids]))[0]

    def step(self, token: torch.Tensor) -> torch.Tensor:
        """Take one token more."""
        with run_errors():
            return self._advance(token.view(1, 1))[0]

    def read(self, token: torch.Tensor) -> Callable[[], int]:
        """Return what tells the token's id, though steps are launched in between."""
        return copy_to_host(token) if token.is_cuda else lambda: int(token)


class ForwardTogether(Passes):
    """A model's passes over several sequences side by side, a row each.

    Shorter prompts are padded on the left: on the right, the padding would stand between a prompt
    and its answer, and a state that runs from left to right would have read it.
    """

    _pads: torch.Tensor | None = None  # how many a row has, where any has some
    _length = 0  # tokens a row so far, padding among them

    def prefill(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Take the prompts, each of at least one token."""
        longest = max(map(len, prompts))
        pads = [longest - len(prompt) for prompt in prompts]
        if any(pads):
            self._pads = torch.tensor(pads, device=self._device).unsqueeze(1)
        rows = zip(pads, prompts, strict=True)
        ids = torch.tensor([[0] * pad + [*prompt] for pad, prompt in rows])
        with run_errors():
            return self._read_in(ids, padded=any(pads))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Take one token more a row."""
        with run_errors():
            return self._advance(tokens.view(-1, 1))

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, in this order."""
        chosen = torch.tensor(rows, device=self._device)
        # The linear attention layers have this method, but no `batch_select_indices`.
        self._cache.reorder_cache(chosen)
        if self._pads is not None:
            self._pads = self._pads[chosen]

    def _advance(self, ids: torch.Tensor) -> torch.Tensor:
        self._length += ids.shape[1]
        return super()._advance(ids)

    def _padding(self, new: int) -> dict[str, torch.Tensor]:
        if self._pads is None:
            return {}
        places = torch.arange(self._length, device=self._device) - self._pads
        mask, positions = (places >= 0).long(), places[:, -new:].clamp(min=0)
        return {"attention_mask": mask, "position_ids": positions}


def _threads(model: Any, device: torch.device) -> int:
    """How many threads compute a step: a small one is over before all of them have met."""
    small = sum(weight.nbytes for weight in model.parameters()) < ALONE
    return 1 if small and device.type == "cpu" else torch.get_num_threads()


def _continues(model: Any, padded: bool) -> bool:
    """Whether several tokens at once, padding among them, may follow a cache that is not empty.

    Before transformers 5.7 the linear attention layers silently forgot the state then, before 5.15
    they read padding as if it were text.
    """
    release = tuple(int(part) for part in re.findall(r"\d+", transformers.__version__)[:2])
    since = (5, 15) if padded else (5, 7)
    return release >= since or not getattr(model, "_is_stateful", False)
