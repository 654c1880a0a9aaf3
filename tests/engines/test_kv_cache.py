"""Caches of several rows: joined, and as before if memory runs out on the way."""

from typing import Any

import pytest
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer

from polaris_cli.engines.kv_cache import GrowingLayer, join_caches, keep_first


def filled(tokens: int) -> Any:
    """A cache with a row of this many tokens in each layer; all values are the number."""
    cache = DynamicCache()
    cache.layers = [DynamicLayer(), LinearAttentionLayer(), GrowingLayer(), LinearAttentionLayer()]
    for layer in cache.layers:
        states = torch.full((1, 2, tokens, 4), float(tokens))
        if isinstance(layer, LinearAttentionLayer):
            layer.update_conv_state(states[:, :, 0])
            layer.update_recurrent_state(states[:, :, :1])
        else:
            layer.update(states, states)
    return cache


def held(cache: Any) -> list[torch.Tensor]:
    """All tensors in a cache; each layer's are two."""
    kinds = ("keys", "values", "conv_states", "recurrent_states")
    found = [getattr(layer, kind, None) for layer in cache.layers for kind in kinds]
    tensors = [one[0] if isinstance(one, dict) else one for one in found]
    return [tensor for tensor in tensors if tensor is not None]


@torch.inference_mode()
@pytest.mark.parametrize("tokens", [5, 300])
def test_a_join_that_fails_can_be_undone(tokens: int) -> None:
    cache, more, alone = filled(7), filled(tokens), filled(7)
    huge = more.layers[-1].recurrent_states[0].expand(2**50, -1, -1, -1)  # takes no memory itself
    more.layers[-1].recurrent_states[0] = huge
    with pytest.raises(RuntimeError, match="allocate"):
        join_caches(cache, more)
    assert [len(tensor) for tensor in held(cache)] == [2] * 7 + [1]
    keep_first(cache, 1, 7)
    assert all(map(torch.equal, held(cache), held(alone)))
    step = torch.ones(1, 2, 1, 4)
    for layer, like in zip(cache.layers[::2], alone.layers[::2], strict=True):
        assert all(map(torch.equal, layer.update(step, step), like.update(step, step)))
