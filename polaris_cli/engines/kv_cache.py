"""A KV cache that grows by a quarter at a time, and cutting a cache back to an earlier token.

A stock layer concatenates the old keys and the new one at each token. At 8,000 tokens that moves an
eighth as many bytes as the weights of a model with 0.8 billion parameters. Knows caches, not
models.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer, StaticLayer

from polaris_cli.engines.releases import state_tensors

ROOM = 256  # the least number of free token slots after the cache has grown


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer; `keys` and `values` are views of larger buffers."""

    keys: torch.Tensor
    values: torch.Tensor
    _buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the keys and values of new tokens; return those of all tokens."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._buffers is None or end > self._buffers[0].shape[-2]:
            self._buffers = tuple(  # type: ignore[assignment]
                _larger(new, old, start, end)
                for new, old in ((key_states, self.keys), (value_states, self.values))
            )
        buffers: Any = self._buffers
        for buffer, new in zip(buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = new
        self.keys, self.values = (buffer[:, :, :end] for buffer in buffers)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Keep only these rows of the batch, in this order."""
        if self._buffers is not None:
            end = self.get_seq_length()
            keys, values = (buffer[beam_idx] for buffer in self._buffers)
            self._buffers = keys, values
            self.keys, self.values = keys[:, :, :end], values[:, :, :end]


def _larger(new: torch.Tensor, old: torch.Tensor, start: int, end: int) -> torch.Tensor:
    rows, heads, _, size = new.shape
    buffer = new.new_empty(rows, heads, end + max(ROOM, end // 4), size)
    if start:
        buffer[:, :, :start] = old
    return buffer


def growing_cache(config: Any) -> DynamicCache:
    """An empty cache for a model with this config; only plain attention layers are replaced."""
    cache = DynamicCache(config=config)
    cache.layers = [
        GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def can_rewind(cache: Any, states: Sequence[torch.Tensor]) -> bool:
    """Whether `rewind` works: not with sliding windows, for example, which forget tokens."""
    known = (DynamicLayer, GrowingLayer, StaticLayer, LinearAttentionLayer)
    layers = getattr(cache, "layers", ())
    # In older releases of transformers, static layers have no `crop`.
    croppable = all(type(layer) in known and hasattr(layer, "crop") for layer in layers)
    return bool(layers) and croppable and len(states) == len(states_of_cache(cache))


def states_of_cache(cache: Any) -> list[torch.Tensor]:
    """The states of the linear-attention layers, which steps overwrite in place."""
    layers = getattr(cache, "layers", ())
    return [state for layer in layers for state in state_tensors(layer)]


@torch.inference_mode()
def rewind(cache: Any, tokens: int, states: Sequence[torch.Tensor]) -> None:
    """Remove the last tokens; `states` are copies of the cache's states from before them."""
    for layer in cache.layers:
        if type(layer) is not LinearAttentionLayer:
            layer.crop(-tokens)
    for state, copy in zip(states_of_cache(cache), states, strict=True):
        state.copy_(copy)
