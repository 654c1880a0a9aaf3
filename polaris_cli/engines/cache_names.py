"""How a forward takes its cache and how a model hands it back: releases of transformers differ.

Since 5.24 everything is called `cache`; before, models and attention layers said
`past_key_values` and linear attention layers `cache_params`.
"""

import inspect
from collections.abc import Callable
from typing import Any

NAMES = ("cache", "past_key_values", "cache_params")


def cache_name(forward: Callable[..., Any]) -> str:
    """The name of the argument that takes the cache, "" for a forward that takes none."""
    parameters = inspect.signature(forward).parameters
    return next((name for name in NAMES if name in parameters), "")


def cache_of(output: Any) -> Any:
    """The cache in a model's output. Raises AttributeError where there is none."""
    return output.cache if hasattr(output, "cache") else output.past_key_values
