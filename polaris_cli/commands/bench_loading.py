"""Loads the model to measure: a real one, or random weights of a given shape.

Does not know what is measured.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from typer import Option

from polaris_cli.engines.base import ModelInfo
from polaris_cli.errors import UsageError
from polaris_cli.models.catalogue import DEMO, DEMO_FOLDER
from polaris_cli.models.devices import list_devices, pick
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import choose_file, resolve
from polaris_cli.request.conflicts import conflict
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.screen.messages import note
from polaris_cli.story.advice import on_unused
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare

Model = Annotated[
    str | None, Option("--model", "-m", help="As for polaris write; by default demo.")
]
SHAPE_NAMES = ("polaris", "no-hri", "base", "base-27b", "qwen3.5-0.8b")  # those with a config
Shape = Annotated[
    str | None, Option(help=f"Random weights of this shape: {', '.join(SHAPE_NAMES)}.")
]


def bench_job(model: str | None, shape: str | None, **options: object) -> Job:
    """The job for a benchmark of the local engine; prints notes on options without an effect.

    Raises UsageError if both a model and a shape are given.
    """
    if model:
        contradict("model", shape=shape)
    asked = {"model": model or DEMO.name, "words": 1000, "engine": "local", **options}
    job = prepare("speed", asked)
    say(*on_unused(job))
    return job


def contradict(option: str, **others: object) -> None:
    """Raise UsageError if one of the other options is given too."""
    for name in (name for name, value in others.items() if value is not None):
        raise conflict(f"--{option}", f"--{name}")


def model_or_demo(model: str | None, base_url: str | None) -> str | None:
    """The model to measure: on a server, without a name, the only one there; else the demo."""
    return model or (None if base_url else DEMO.name)


def say(*notes: str) -> None:
    """Print notes on stderr."""
    for text in notes:
        note(text, sys.stderr)


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
    if shape is not None:
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


def check_context(loaded: Loaded, tokens: int) -> None:
    """Raise UsageError if one run has more tokens than the model's context."""
    from polaris_cli.engines.local.decode import context_length  # imports torch

    context = context_length(loaded.model)
    if tokens > context:
        raise UsageError(
            f"A run of {tokens:,} tokens does not fit the context of {loaded.info.name}, "
            f"{context:,} tokens.",
            hint="Ask for fewer tokens, or for earlier positions.",
        )


def _reference(request: StoryRequest) -> ModelRef:
    return resolve(request.model, request.revision, gguf_file=request.gguf_file)


def _random(shape: str, request: StoryRequest, tokens: int) -> tuple[Any, Any, ModelInfo]:
    """Random weights of that shape, with the demo model's tokenizer: the text does not matter."""
    from polaris_cli.engines.local.cpu_threads import set_threads
    from polaris_cli.engines.local.loading import load_tokenizer
    from polaris_cli.engines.local.random_models import config_of, random_model
    from polaris_cli.models.reference import of_entry

    config = config_of(shape)
    chosen = pick(request.device, list_devices(with_torch=True))
    set_threads(request.threads, chosen)
    tokenizer = load_tokenizer(of_entry(DEMO), DEMO_FOLDER)
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
