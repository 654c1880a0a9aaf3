"""Opens the engine for a request: the local one, imported only when it is used.

Another engine is chosen here, by `request.engine`.
"""

from collections.abc import Callable

from polaris_cli.engines.base import Engine
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import StoryRequest


def open_engine(
    reference: ModelRef,
    request: StoryRequest,
    tokens: int,
    on_progress: Callable[[float], None] | None = None,
) -> Engine:
    """Load a request's model, with memory for a sequence of `tokens` tokens.

    `on_progress` is called with the share of the weights loaded, 0 to 1. Raises ModelUnavailable,
    OutOfMemory or UsageError, before anything large is loaded where possible.
    """
    from polaris_cli.engines.local.engine import load

    return load(
        reference,
        quantize=request.quantize,
        device=request.device,
        compile=request.compile,
        context_tokens=tokens,
        on_progress=on_progress,
    )
