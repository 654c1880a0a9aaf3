"""A forward pass whose every step has the same shapes and works in the same memory.

That is what a CUDA graph needs: one cache of the run's full length, one place for the token. On a
processor the same steps run one by one, which is how they are tested.
"""

from contextlib import suppress
from typing import Any

import torch
from transformers import StaticCache

from polaris_cli.engines.kernels.cuda_graph import Step, capture
from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.loading_errors import run_errors

BLOCK = 1024  # tokens: cache lengths are multiples of it


class StaticForward(Forward):
    """As `Forward`, for at most `tokens` tokens, prompt and output together.

    The step is recorded before the prompt is read, on a token of no meaning; where it cannot be,
    the steps are launched one by one.
    """

    ahead = True

    def __init__(self, model: Any, tokens: int) -> None:
        super().__init__(model)
        self._cache = StaticCache(config=model.config, max_cache_len=-(-tokens // BLOCK) * BLOCK)
        self._token = torch.zeros((1, 1), dtype=torch.long, device=self._device)
        self._run: Step = self._next
        if self._device.type == "cuda":
            self._record()

    def step(self, token: torch.Tensor) -> torch.Tensor:
        """Take one token more. The logits are overwritten by the next step."""
        self._token.copy_(token.view(1, 1))
        with run_errors():
            return self._run()

    def _next(self) -> torch.Tensor:
        return self._advance(self._token)[0]

    def _record(self) -> None:
        """Record a step on the card, and empty the cache of what that has left."""
        self.prefill([0])
        with suppress(RuntimeError):
            self._run = capture(self._next, self._device)
        self.reset()

    @torch.inference_mode()
    def reset(self) -> None:
        """Forget everything, keeping the memory; another prompt may follow."""
        self._cache.reset()


def fixed(model: Any, tokens: int) -> Forward:
    """A `StaticForward` for so many tokens, or a `Forward` where there cannot be one."""
    with suppress(Exception):  # another release, or another card, may raise anything
        return StaticForward(model, tokens)
    return Forward(model)


def supports(model: Any) -> bool:
    """Whether the model's steps can all have the same shapes."""
    return bool(getattr(model, "_can_compile_fullgraph", False))
