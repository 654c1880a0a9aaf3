"""Getting the model that is to be measured: one of the catalogue's, or a random one of a shape."""

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
from polaris_cli.models.resolving import resolve
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story.prepare import prepare

Shape = Annotated[
    str | None, Option(help="A random model of this shape: polaris, base-27b, qwen3.5-0.8b.")
]


def asked_for(model: str | None, shape: str | None, **options: object) -> StoryRequest:
    """The settings of a benchmark. Raises UsageError where both a model and a shape are named."""
    if model and shape:
        raise UsageError("--model and --shape exclude each other.", hint="Leave one of them away.")
    return prepare("speed", {"model": model or "demo", "words": 1000, **options}).request


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model as transformers made it, what it is, and the seconds that took."""

    model: Any
    tokenizer: Any
    info: ModelInfo
    seconds: float


def load(
    request: StoryRequest, shape: str | None, tokens: int, on_progress: Callable[[float], None]
) -> Loaded:
    """The model with room for `tokens`; `on_progress` is told the share of the weights loaded."""
    from polaris_cli.engines.local.loading import load_model

    start = time.perf_counter()
    if shape:
        return Loaded(*_random(shape, request, tokens), time.perf_counter() - start)
    made = load_model(
        resolve(request.model, request.revision),
        quantize=request.quantize,
        device=request.device,
        context_tokens=tokens,
        on_progress=on_progress,
    )
    return Loaded(made.model, made.tokenizer, made.info, time.perf_counter() - start)


def _random(shape: str, request: StoryRequest, tokens: int) -> tuple[Any, Any, ModelInfo]:
    """A model of that shape; the demo's tokenizer stands in, its words do not matter."""
    from polaris_cli.engines.local.loading import load_tokenizer
    from polaris_cli.engines.local.random_models import config_of, random_model
    from polaris_cli.models.reference import of_entry

    config = config_of(shape)
    chosen = pick(request.device, list_devices(with_torch=True))
    tokenizer = load_tokenizer(of_entry(DEMO), MODEL_DIR)
    kept = "none" if request.quantize == "auto" else request.quantize
    name = f"{shape} (random weights)"
    model, kernel = random_model(config, chosen, tokens, kept)
    info = ModelInfo(
        name, shape, quantization=kept, kernel=kernel, dtype="bfloat16", device=chosen.id
    )
    return model, tokenizer, info
