"""What a model's folder says of itself before anything is loaded, and whether that can be true.

Reads settings and headers, so that a damaged folder is refused before it costs memory or time, and
a dry run can say what a folder needs. Knows neither torch nor transformers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.hub_errors import corrupt, not_for_text
from polaris_cli.models.memory import ModelSize, first_count, size_of_folder, text_settings
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.weights import CONFIG, Unreadable, tensor_count, weight_files

ADAPTER = "adapter_config.json"
OTHERS = (
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)

_LAYERS = re.compile(r"(num_)?(hidden_|encoder_|decoder_)?n?_?layers?")
_PARTS = re.compile(r".*(experts|blocks|depth|depths)")
WIDENED = {"fp8": 2, "mxfp4": 4}
"""How much larger weights of these formats are in bf16."""

FEW_LAYERS, FEW_PARTS = 64, 1024
"""What a config may speak of beyond the tensors that are there: of models stored in part, and of
parts that are stored together."""


def read_config(reference: ModelRef, folder: Path) -> dict[str, Any]:
    """The model's `config.json`. Raises ModelUnavailable if it is damaged or not for text."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise corrupt(reference, f"{CONFIG} cannot be read") from error
    if not isinstance(config, dict):
        raise corrupt(reference, f"{CONFIG} holds no settings")
    check_config(reference, config)
    return config


def check_others(reference: ModelRef, folder: Path) -> None:
    """Raise ModelUnavailable if a smaller file is damaged.

    transformers passes over some of them in silence, and a story then ends where it should not.
    """
    for path in (folder / name for name in OTHERS):
        try:
            text = path.read_text("utf-8") if path.is_file() else "{}"
            whole = path.suffix != ".json" or isinstance(json.loads(text), dict)
        except (OSError, ValueError, RecursionError) as error:
            raise corrupt(reference, f"{path.name} cannot be read") from error
        if not whole:
            raise corrupt(reference, f"{path.name} holds no settings")


def check_config(reference: ModelRef, config: Mapping[str, Any]) -> None:
    """Raise ModelUnavailable if the configuration is that of a model for something else."""
    named = config.get("architectures") or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise corrupt(reference, f"architectures is no list of names in {CONFIG}")
    writes = re.compile("CausalLM|LMHead|ConditionalGeneration")
    if named and not any(map(writes.search, named)):
        raise not_for_text(reference, f"it is a {named[0]}")


def measured(reference: ModelRef, folder: Path, config: Mapping[str, Any]) -> ModelSize:
    """The size of the model. Raises ModelUnavailable if its files cannot belong together."""
    try:
        _check_counts(config, tensor_count(weight_files(folder)))
        first_count(text_settings(config), "max_position_embeddings")
        return size_of_folder(folder, config)
    except Unreadable as error:
        raise corrupt(reference, str(error)) from error
    except OSError as error:
        raise corrupt(reference, "a weight file cannot be read") from error


def _check_counts(config: Mapping[str, Any], tensors: int) -> None:
    """Raise Unreadable for more layers than tensors: to build them could take for ever."""
    for name, count in _counts(config):
        most = max(tensors, FEW_LAYERS if _LAYERS.fullmatch(name) else FEW_PARTS)
        if count > most:
            raise Unreadable(f"{name} is {count:,} in {CONFIG}, the weights have {tensors} tensors")


def _counts(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Each setting, at any depth, that says how many parts of a kind there are."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _counts(value)
        elif _LAYERS.fullmatch(name) or _PARTS.fullmatch(name):
            numbers = value if isinstance(value, list) else [value]
            yield from ((name, number) for number in numbers if isinstance(number, int))


def stored_as(config: Mapping[str, Any]) -> str:
    """How the weights are quantized in their files, as in "bitsandbytes"; "" if they are not."""
    settings = config.get("quantization_config")
    return str(settings.get("quant_method", "")) if isinstance(settings, Mapping) else ""


def as_computed(size: ModelSize, config: Mapping[str, Any], kind: str) -> ModelSize:
    """The size that the model takes on a device of this kind.

    Of some formats there are kernels for graphics cards alone: elsewhere transformers turns the
    weights into bf16.
    """
    times = 1 if kind == "cuda" else WIDENED.get(stored_as(config), 1)
    if size.stored_bytes is None or times == 1:
        return size
    return replace(size, stored_bytes=times * size.stored_bytes)


def base_of_adapter(folder: Path) -> str | None:
    """The model that an adapter in the folder changes ("" if it does not say); None without one."""
    if not (folder / ADAPTER).is_file():
        return None
    try:
        settings = json.loads((folder / ADAPTER).read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    base = settings.get("base_model_name_or_path") if isinstance(settings, dict) else ""
    return str(base or "")


def adapter_alone(place: str, base: str) -> ModelUnavailable:
    """What is asked for is an adapter and no model."""
    of = f"an adapter of {base}" if base else "an adapter"
    return ModelUnavailable(
        f"{place} holds {of}, not a whole model.",
        hint="Merge it into its base model first (merge_and_unload of the package peft), save "
        "that with its tokenizer, and give the folder.",
    )


def adapter_note(folder: Path) -> str:
    """What to say of an adapter that lies beside a whole model, "" where there is none."""
    if base_of_adapter(folder) is None:
        return ""
    return (
        f"The adapter in {folder} is not loaded, the model beside it is: polaris loads no adapters."
    )
