"""Loads the model to measure: a real one, or random weights of a given shape.

Does not know what is measured.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from typer import Option

from polaris_cli.demo.paths import MODEL_DIR
from polaris_cli.engines.base import ModelInfo
from polaris_cli.errors import UsageError
from polaris_cli.models.catalogue import DEMO
from polaris_cli.models.devices import list_devices, pick
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import choose_file, resolve
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story.prepare import prepare

Model = Annotated[
    str | None, Option("--model", "-m", help="As for polaris write; by default demo.")
]
Shape = Annotated[
    str | None, Option(help="Random weights of this shape: polaris, base-27b or qwen3.5-0.8b.")
]


def bench_request(model: str | None, shape: str | None, **options: object) -> StoryRequest:
    """The request for a benchmark. Raises UsageError if both a model and a shape are given."""
    if model and shape:
        raise UsageError(
            "--model and --shape contradict each other.", hint="Leave out one of them."
        )
    return prepare("speed", {"model": model or DEMO.name, "words": 1000, **options}).request


def model_or_usual(model: str | None, base_url: str | None) -> str | None:
    """The model to measure: without one, the demo model, or the only one of a server."""
    return model or (None if base_url else DEMO.name)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A transformers model, its tokenizer and description, and the seconds it took to load."""

    model: Any
    tokenizer: Any
    info: ModelInfo
    seconds: float


def load(
    request: StoryRequest, shape: str | None, tokens: int, on_progress: Callable[[float], None]
) -> Loaded:
    """Load the model with room for `tokens`; `on_progress` gets the fraction of weights loaded."""
    from polaris_cli.engines.local.loading import load_model

    start = time.perf_counter()
    if shape:
        return Loaded(*_random(shape, request, tokens), time.perf_counter() - start)
    made = load_model(
        choose_file(_reference(request), tokens, "local", request.device),
        quantize=request.quantize,
        device=request.device,
        threads=request.threads,
        context_tokens=tokens,
        on_progress=on_progress,
    )
    return Loaded(made.model, made.tokenizer, made.info, time.perf_counter() - start)


def _reference(request: StoryRequest) -> ModelRef:
    return resolve(request.model, request.revision, gguf_file=request.gguf_file)


def _random(shape: str, request: StoryRequest, tokens: int) -> tuple[Any, Any, ModelInfo]:
    """Random weights of that shape, with the demo model's tokenizer: the text does not matter."""
    from polaris_cli.engines.local.loading import load_tokenizer, set_threads
    from polaris_cli.engines.local.random_models import config_of, random_model
    from polaris_cli.models.reference import of_entry

    config = config_of(shape)
    chosen = pick(request.device, list_devices(with_torch=True))
    set_threads(request.threads, chosen)
    tokenizer = load_tokenizer(of_entry(DEMO), MODEL_DIR)
    kept = "none" if request.quantize == "auto" else request.quantize
    name = f"{shape} (random weights)"
    model, kernel = random_model(config, chosen, tokens, kept)
    info = ModelInfo(
        name,
        shape,
        quantization=kept,
        dtype="bfloat16",
        device=chosen.id,
        device_name=chosen.name,
        kernel=kernel,
    )
    return model, tokenizer, info
