"""What releases of transformers name in different ways: caches, states and kinds of layers.

Knows the names from the oldest supported release on, and nothing of what is computed.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

NAMES = ("cache", "past_key_values", "cache_params")


def cache_name(forward: Callable[..., Any]) -> str:
    """The name of the argument that takes the cache, "" for a forward that takes none.

    Since 5.24 it is `cache`; before, models and attention layers said `past_key_values` and linear
    attention layers `cache_params`.
    """
    parameters = inspect.signature(forward).parameters
    return next((name for name in NAMES if name in parameters), "")


def cache_among(arguments: Mapping[str, Any]) -> Any:
    """The cache that a forward was given by name, None for none.

    Needs no signature: in 5.13 to 5.15 that of linear attention layers is hidden.
    """
    return next((arguments[name] for name in NAMES if arguments.get(name) is not None), None)


def cache_of(output: Any) -> Any:
    """The cache in a model's output. Raises AttributeError where there is none."""
    return output.cache if hasattr(output, "cache") else output.past_key_values


def states_of(kept: Any) -> tuple[Any, Any] | None:
    """Convolution and recurrent state of a cache's linear attention layer; None before any.

    None too where the layer keeps the states of the past, which a step may not overwrite. Before
    5.14 a layer had one state of each kind, since then it has numbered ones.
    """
    if getattr(kept, "record_past", False) or not _first(kept.has_previous_state):
        return None
    return _first(kept.conv_states), _first(kept.recurrent_states)


def _first(held: Any) -> Any:
    return held[0] if isinstance(held, dict) else held


def kind_of(layer: Any) -> str:
    """The kind of a decoder layer: `block_type`, before 5.13 `layer_type`."""
    kind: str = layer.block_type if hasattr(layer, "block_type") else layer.layer_type
    return kind
