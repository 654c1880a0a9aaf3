"""The settings in a model's folder, read and checked before anything is loaded.

Reads settings and file headers only, so that a damaged folder is refused before it costs memory or
time, and a dry run can report what a model needs. Imports neither torch nor transformers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.hub_errors import corrupt, not_for_text, unreadable
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
"""How many times larger weights in these formats become in bf16."""

FEW_LAYERS, FEW_PARTS = 64, 1024
"""Counts that a config may have even if the files hold fewer tensors: some models are stored in
part, and some store many experts or blocks in one tensor."""


def read_config(reference: ModelRef, folder: Path) -> dict[str, Any]:
    """The model's `config.json`.

    Raises ModelUnavailable if it is damaged or not a text model's.
    """
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(reference, CONFIG, error) from error
    if not isinstance(config, dict):
        raise corrupt(reference, f"{CONFIG} holds no settings")
    check_config(reference, config)
    return config


def check_others(reference: ModelRef, folder: Path) -> None:
    """Raise ModelUnavailable if one of the smaller settings files is damaged.

    transformers ignores some damaged files silently, and a story then ends at the wrong place.
    """
    for path in (folder / name for name in OTHERS):
        try:
            text = path.read_text("utf-8") if path.is_file() else "{}"
            whole = path.suffix != ".json" or isinstance(json.loads(text), dict)
        except (OSError, ValueError, RecursionError) as error:
            raise unreadable(reference, path.name, error) from error
        if not whole:
            raise corrupt(reference, f"{path.name} holds no settings")


def check_config(reference: ModelRef, config: Mapping[str, Any]) -> None:
    """Raise ModelUnavailable if the configuration is not that of a text-generation model."""
    named = config.get("architectures") or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise corrupt(reference, f"architectures is not a list of names in {CONFIG}")
    writes = re.compile("CausalLM|LMHead|ConditionalGeneration")
    if named and not any(map(writes.search, named)):
        raise not_for_text(reference, f"it is a {named[0]}")


def measured(reference: ModelRef, folder: Path, config: Mapping[str, Any]) -> ModelSize:
    """The size of the model. Raises ModelUnavailable if its files are damaged or do not match."""
    try:
        _check_counts(config, tensor_count(weight_files(folder)))
        first_count(text_settings(config), "max_position_embeddings")
        return size_of_folder(folder, config)
    except Unreadable as error:
        raise corrupt(reference, str(error)) from error
    except OSError as error:
        raise unreadable(reference, "a weight file", error) from error


def _check_counts(config: Mapping[str, Any], tensors: int) -> None:
    """Raise Unreadable for far more layers than tensors: building them could take forever."""
    for name, count in _counts(config):
        most = max(tensors, FEW_LAYERS if _LAYERS.fullmatch(name) else FEW_PARTS)
        if count > most:
            raise Unreadable(f"{name} is {count:,} in {CONFIG}, the weights have {tensors} tensors")


def _counts(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Each setting, at any depth, that counts layers, experts or blocks: name and number."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _counts(value)
        elif _LAYERS.fullmatch(name) or _PARTS.fullmatch(name):
            numbers = value if isinstance(value, list) else [value]
            yield from ((name, number) for number in numbers if isinstance(number, int))


def stored_as(config: Mapping[str, Any]) -> str:
    """The quantization method of the files, such as "bitsandbytes"; "" if they have none."""
    settings = config.get("quantization_config")
    return str(settings.get("quant_method", "")) if isinstance(settings, Mapping) else ""


def as_computed(size: ModelSize, config: Mapping[str, Any], kind: str) -> ModelSize:
    """The size of the model on this kind of device.

    Some quantized formats have kernels for GPUs only; on other devices transformers dequantizes the
    weights to bf16.
    """
    times = 1 if kind == "cuda" else WIDENED.get(stored_as(config), 1)
    if size.stored_bytes is None or times == 1:
        return size
    return replace(size, stored_bytes=times * size.stored_bytes)


def base_of_adapter(folder: Path) -> str | None:
    """The base model of the adapter in the folder, "" if unnamed; None if there is no adapter."""
    if not (folder / ADAPTER).is_file():
        return None
    try:
        settings = json.loads((folder / ADAPTER).read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    base = settings.get("base_model_name_or_path") if isinstance(settings, dict) else ""
    return str(base or "")


def adapter_alone(place: str, base: str) -> ModelUnavailable:
    """The folder or repository `place` holds an adapter only, for the model `base`."""
    of = f"an adapter of {base}" if base else "an adapter"
    return ModelUnavailable(
        f"{place} holds {of}, not a whole model.",
        hint="Merge it into its base model first (merge_and_unload in the package peft), save "
        "the result with its tokenizer, and use that folder.",
    )


def adapter_note(folder: Path) -> str:
    """A note about an adapter in the same folder as a whole model; "" if there is none."""
    if base_of_adapter(folder) is None:
        return ""
    return f"The adapter in {folder} is not loaded: polaris uses the whole model there without it."
