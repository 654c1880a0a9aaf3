"""A KV cache that grows by a quarter at a time; caches cut back to an earlier token, and joined.

A stock layer concatenates the old keys and the new one at each token. At 8,000 tokens that moves an
eighth as many bytes as the weights of a model with 0.8 billion parameters. Knows caches, not
models.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer, StaticLayer

from polaris_cli.engines.releases import join_states, keep_first_states, state_tensors

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

    @property
    def buffers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values with the room after them, if there is some."""
        return self._buffers or (self.keys, self.values)

    def use(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Use these buffers from now on."""
        self._buffers = keys, values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Keep only these rows of the batch, in this order."""
        if self._buffers is None:
            super().reorder_cache(beam_idx)
        else:
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


def can_join(cache: Any) -> bool:
    """Whether `join_caches` and `cut_left` work: not with sliding windows, which forget padding."""
    known = (DynamicLayer, GrowingLayer, LinearAttentionLayer)
    layers = getattr(cache, "layers", ())
    return bool(layers) and all(type(layer) in known for layer in layers)


@torch.inference_mode()
def join_caches(cache: Any, other: Any) -> None:
    """Add the rows of another cache of the same model below those of `cache`.

    The keys and values of the shorter one are padded with zeros on the left. If memory runs out,
    only some layers are joined; `keep_first` undoes that.
    """
    for layer, more in zip(cache.layers, other.layers, strict=True):
        if type(layer) is LinearAttentionLayer:
            join_states(layer, more)
            continue
        length = max(layer.get_seq_length(), more.get_seq_length())
        joined = [
            _below(*pair, length) for pair in ((layer.keys, more.keys), (layer.values, more.values))
        ]
        _set(layer, joined, length)


@torch.inference_mode()
def keep_first(cache: Any, rows: int, tokens: int) -> None:
    """Keep only the first rows, with their last tokens. Takes no memory."""
    for layer in cache.layers:
        if type(layer) is LinearAttentionLayer:
            keep_first_states(layer, rows)
        else:
            _cut(layer, layer.get_seq_length() - tokens, rows)


@torch.inference_mode()
def cut_left(cache: Any, tokens: int) -> None:
    """Remove the first tokens of all rows; a state of linear attention has no padding in it."""
    for layer in cache.layers:
        if type(layer) is not LinearAttentionLayer:
            _cut(layer, tokens)


def _cut(layer: DynamicLayer, tokens: int, rows: int | None = None) -> None:
    """Remove the first tokens, and all but the first `rows` rows."""
    length = layer.get_seq_length() - tokens
    held = layer.buffers if isinstance(layer, GrowingLayer) else (layer.keys, layer.values)
    _set(layer, [buffer[:rows, :, tokens:] for buffer in held], length)


def _below(upper: torch.Tensor, lower: torch.Tensor, length: int) -> torch.Tensor:
    """Two tensors (rows, heads, tokens, size), one below the other, aligned at `length` tokens.

    There is room for more tokens after them.
    """
    rows, heads, _, size = upper.shape
    room = max(ROOM, length // 4)
    joined = upper.new_zeros(rows + lower.shape[0], heads, length + room, size)
    joined[:rows, :, length - upper.shape[2] : length] = upper
    joined[rows:, :, length - lower.shape[2] : length] = lower
    return joined


def _set(layer: DynamicLayer, buffers: Sequence[torch.Tensor], length: int) -> None:
    """Let a layer have these keys and values, of which `length` tokens are filled."""
    if isinstance(layer, GrowingLayer):
        layer.use(*buffers)
    layer.keys, layer.values = (buffer[:, :, :length] for buffer in buffers)
