"""Names that differ between releases of transformers: of caches, states and kinds of layers.

Covers every supported release. Does not know what is computed with them.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

NAMES = ("cache", "past_key_values", "cache_params")
STATES = ("conv_states", "recurrent_states")


def cache_name(forward: Callable[..., Any]) -> str:
    """The name of a forward's cache argument, "" if it takes no cache.

    It is `cache` since 5.24. Before, it was `past_key_values` in models and attention layers, and
    `cache_params` in linear-attention layers.
    """
    parameters = inspect.signature(forward).parameters
    return next((name for name in NAMES if name in parameters), "")


def cache_among(arguments: Mapping[str, Any]) -> Any:
    """The cache among a forward's keyword arguments, or None.

    Tries every name: in 5.13 to 5.15 the signature of linear-attention layers is hidden.
    """
    return next((arguments[name] for name in NAMES if arguments.get(name) is not None), None)


def cache_of(output: Any) -> Any:
    """The cache in a model's output. Raises AttributeError if it has none."""
    return output.cache if hasattr(output, "cache") else output.past_key_values


def states_of(kept: Any) -> tuple[Any, Any] | None:
    """Convolution and recurrent state of a linear-attention layer in a cache; None if empty.

    Also None if the layer records its past states, as a step must not overwrite those. Before 5.14
    a layer had one state of each kind; since then it has a dict of numbered ones.
    """
    if getattr(kept, "record_past", False) or not _first(kept.has_previous_state):
        return None
    return _first(kept.conv_states), _first(kept.recurrent_states)


def fixed_keys(cache: Any, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """The keys and values of a full-attention layer, (heads, capacity, channels), and their number.

    The number is a tensor, which is to be counted up with each token. None for a cache that grows
    or slides, for one of several rows, and before the first token.
    """
    layers = getattr(cache, "layers", ())
    layer: Any = layers[index] if index < len(layers) else None  # a growing one may start without
    if type(layer).__name__ != "StaticLayer" or not layer.is_initialized or len(layer.keys) > 1:
        return None
    return layer.keys[0], layer.values[0], layer.cumulative_length


def state_tensors(kept: Any) -> list[Any]:
    """All states of a linear-attention layer in a cache, of both kinds; [] for other layers."""
    held = [getattr(kept, name, None) for name in STATES]
    states = [
        state for kind in held for state in (kind.values() if isinstance(kind, dict) else [kind])
    ]
    return [state for state in states if state is not None]


def join_states(kept: Any, more: Any) -> None:
    """Add the rows of a linear-attention layer's states, of both kinds, below those of `kept`."""
    _replace_states(lambda *states: torch.cat(states), kept, more)


def keep_first_states(kept: Any, rows: int) -> None:
    """Keep only the first rows of a linear-attention layer's states, of both kinds."""
    _replace_states(lambda state: state[:rows], kept)


def _replace_states(change: Callable[..., torch.Tensor], kept: Any, *others: Any) -> None:
    """Replace each state in `kept` by `change` of it and of those of other layers.

    A layer may have states of one kind only, as LFM2's convolutions do.
    """
    for name in STATES:
        held, *more = (getattr(layer, name) for layer in (kept, *others))
        if isinstance(held, dict):
            states = {index: state for index, state in held.items() if state is not None}
            held.update({n: change(one, *(each[n] for each in more)) for n, one in states.items()})
        elif held is not None:
            setattr(kept, name, change(held, *more))


def _first(held: Any) -> Any:
    return held[0] if isinstance(held, dict) else held


def kind_of(layer: Any) -> str:
    """The kind of a decoder layer: its `block_type`, named `layer_type` before 5.13."""
    kind: str = layer.block_type if hasattr(layer, "block_type") else layer.layer_type
    return kind
