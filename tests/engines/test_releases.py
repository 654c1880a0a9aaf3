"""Caches, states and kinds are found under the names of every supported release."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, StaticLayer

from polaris_cli.engines.releases import (
    cache_among,
    cache_name,
    cache_of,
    fixed_keys,
    join_states,
    kind_of,
    state_tensors,
    states_of,
)


def under(name: str) -> Any:
    """A forward whose cache argument has this name."""
    return eval(f"lambda hidden_states, {name}=None: None")


@pytest.mark.parametrize("name", ["cache", "past_key_values", "cache_params"])
def test_the_cache_argument_of_a_forward(name: str) -> None:
    assert cache_name(under(name)) == name
    assert cache_name(lambda *_, **__: None) == ""
    assert cache_among({"use_cache": True, name: "kept"}) == "kept"
    assert cache_among({"use_cache": True, name: None}) is None


def test_the_cache_in_an_output() -> None:
    assert cache_of(SimpleNamespace(cache="kept")) == "kept"
    assert cache_of(SimpleNamespace(past_key_values="kept")) == "kept"


def test_the_kind_of_a_layer() -> None:
    assert kind_of(SimpleNamespace(block_type="linear", layer_type="of the MLP")) == "linear"
    assert kind_of(SimpleNamespace(layer_type="linear")) == "linear"


@pytest.mark.parametrize("held", [lambda one: one, lambda one: {0: one}], ids=["5.5", "5.14"])
def test_the_states_of_a_layer(held: Any) -> None:
    kept = SimpleNamespace(
        has_previous_state=held(True), conv_states=held("conv"), recurrent_states=held("state")
    )
    assert states_of(kept) == ("conv", "state")
    kept.record_past = True
    assert states_of(kept) is None
    kept.record_past, kept.has_previous_state = False, held(False)
    assert states_of(kept) is None


@pytest.mark.parametrize("held", [lambda one: one, lambda one: {0: one}], ids=["5.5", "5.14"])
def test_a_layer_may_have_states_of_one_kind_only(held: Any) -> None:
    kept, more = (
        SimpleNamespace(conv_states=held(torch.full((1, 2), value)), recurrent_states=held(None))
        for value in (1, 2)
    )
    join_states(kept, more)
    (joined,) = state_tensors(kept)
    assert joined.tolist() == [[1, 1], [2, 2]] and kept.recurrent_states == held(None)


def test_the_keys_of_a_cache_of_fixed_size() -> None:
    fixed = SimpleNamespace(layers=[StaticLayer(max_cache_len=8)])
    assert fixed_keys(fixed, 0) is None  # nothing in it yet
    key, value = torch.ones(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    fixed.layers[0].update(key, value)
    held = fixed_keys(fixed, 0)
    assert held is not None
    keys, values, length = held
    assert keys.shape == values.shape == (2, 8, 4) and int(length) == 3
    assert torch.equal(keys[:, :3], key[0])
    for other in (DynamicCache(), SimpleNamespace(layers=[DynamicLayer()]), None):
        assert fixed_keys(other, 0) is None
