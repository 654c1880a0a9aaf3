"""Decode steps with fixed shapes in fixed memory, as a CUDA graph needs them.

The KV cache has the run's full length from the start, and the token is always in the same tensor.
On a CPU the same steps run without a graph, which is how they are tested. Chooses no tokens.
"""

from contextlib import suppress
from typing import Any

import torch
from transformers import StaticCache
from transformers.cache_utils import LinearAttentionLayer, StaticLayer

from polaris_cli.engines.kernels.cuda_graph import Step, capture
from polaris_cli.engines.local.forward import Forward

BLOCK = 1024  # tokens; cache lengths are multiples of this


class StaticForward(Forward):
    """Like `Forward`, for at most `tokens` tokens, prompt and output together.

    On CUDA, the step is captured with a dummy token before the prefill. If the capture fails, the
    kernels of each step are launched one by one.
    """

    ahead = True

    def __init__(self, model: Any, tokens: int) -> None:
        super().__init__(model)
        self.capacity = -(-tokens // BLOCK) * BLOCK
        self._cache = StaticCache(config=model.config, max_cache_len=self.capacity)
        self._token = torch.zeros((1, 1), dtype=torch.long, device=self._device)
        self._run: Step = self._next
        if self._device.type == "cuda":
            self._record()

    def _step(self, token: torch.Tensor) -> torch.Tensor:
        """Run one more token through the model. The next step overwrites the logits."""
        self._token.copy_(token)
        return self._run()

    def _next(self) -> torch.Tensor:
        return self._advance(self._token)[0]

    def _record(self) -> None:
        """Capture a step as a CUDA graph, then clear the cache."""
        self.prefill([0])
        with suppress(RuntimeError):
            self._run = capture(self._next, self._device)
        self.reset()

    @torch.inference_mode()
    def reset(self) -> None:
        """Clear the cache but keep its memory, so that another prompt can follow."""
        self._cache.reset()
        self._ids.clear()


def static_or_dynamic(model: Any, tokens: int) -> Forward:
    """A `StaticForward` for `tokens` tokens, or a `Forward` if that fails."""
    with suppress(Exception):  # other releases or GPUs may raise any exception
        return StaticForward(model, tokens)
    return Forward(model)


def can_capture(model: Any) -> bool:
    """Whether the model can run with a static cache and be captured as a graph.

    LLM.int8 synchronizes with the GPU at each product.
    """
    if any(type(module).__name__ == "Linear8bitLt" for module in model.modules()):
        return False
    return bool(getattr(model, "_can_compile_fullgraph", False)) and _counts_in_tensors(model)


def _counts_in_tensors(model: Any) -> bool:
    """Whether no layer of the static cache has its number of tokens in a Python integer.

    A sliding window has; a graph would repeat the number of the step that was captured.
    """
    with suppress(Exception):  # transformers raises any exception for kinds that it does not know
        layers = StaticCache(config=model.config, max_cache_len=BLOCK).layers
        return all(type(layer) in (StaticLayer, LinearAttentionLayer) for layer in layers)
    return False
