"""Caches of several rows: joined, and as before if memory runs out on the way."""

from typing import Any

import pytest
import torch
from transformers import DynamicCache, Gemma3ForCausalLM, Gemma3TextConfig
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer

from polaris_cli.engines.kv_cache import GrowingLayer, growing_cache, join_caches, keep_first
from polaris_cli.engines.releases import cache_name
from polaris_cli.models.memory import cache_of_config


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


@torch.inference_mode()
def test_sliding_windows_keep_what_the_memory_plan_counts() -> None:
    config = Gemma3TextConfig(
        num_hidden_layers=6, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
        hidden_size=16, intermediate_size=16, vocab_size=32, sliding_window=10,
    )  # fmt: skip
    model, cache = Gemma3ForCausalLM(config).bfloat16().eval(), growing_cache(config)
    for tokens in (30, 1, 1):
        model(
            input_ids=torch.ones((1, tokens), dtype=torch.long),
            **{cache_name(model.forward): cache},
        )
    kept = sum(part.nbytes for layer in cache.layers for part in (layer.keys, layer.values))
    per_token, _, per_sliding, window = cache_of_config(config.to_dict())
    assert kept == 32 * per_token + (window - 1) * per_sliding and per_sliding == 5 * per_token
