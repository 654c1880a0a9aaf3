"""Opens the engine that a request names, imported only when it is used.

A new engine is one line in `ENGINES`, and its name in `EngineName`.
"""

import importlib
from collections.abc import Callable, Mapping

from polaris_cli.engines.base import Engine
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import StoryRequest

# The function that opens each engine, with the arguments of `open_engine`.
ENGINES: Mapping[str, str] = {
    "local": "polaris_cli.engines.local.engine.open_local",
    "gguf": "polaris_cli.engines.gguf.open_gguf",
    "endpoint": "polaris_cli.engines.endpoint.opening.open_endpoint",
}


def open_engine(
    reference: ModelRef,
    request: StoryRequest,
    tokens: int,
    on_progress: Callable[[float], None] | None = None,
    parallel: int = 1,
) -> Engine:
    """Load a request's model, with memory for a sequence of `tokens` tokens.

    `on_progress` is called with the share of the weights loaded, 0 to 1. `parallel` is how many
    answers it generates at once; each is then read by a thread of its own. Raises ModelUnavailable,
    OutOfMemory or UsageError, before anything large is loaded where possible.
    """
    module, _, name = ENGINES[request.engine].rpartition(".")
    engine: Engine = getattr(importlib.import_module(module), name)(
        reference, request, tokens, on_progress, parallel
    )
    return engine
