"""Models of known shapes with random weights, to measure their speed without downloading them.

A random model takes the same memory and time as a trained one; its text is noise. Reads no files.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Qwen3_5TextConfig

from polaris_cli.engines.quantize.apply import choose_method, quantize_layers
from polaris_cli.engines.quantize.quantizers import kernel_of
from polaris_cli.errors import OutOfMemory, UsageError
from polaris_cli.models.devices import Device
from polaris_cli.models.memory import ModelSize, choose_quantization, size_of_model
from polaris_cli.request.story_request import Quantize

_COMMON = {
    "vocab_size": 248_320,
    "head_dim": 256,
    "num_key_value_heads": 4,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "max_position_embeddings": 262_144,
    "tie_word_embeddings": False,
}
_9B = {
    "hidden_size": 4096,
    "intermediate_size": 12_288,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "linear_num_value_heads": 32,
}
_27B = {
    "hidden_size": 5120,
    "intermediate_size": 17_408,
    "num_hidden_layers": 64,
    "num_attention_heads": 24,
    "linear_num_value_heads": 48,
}
_800M = {
    "hidden_size": 1024,
    "intermediate_size": 3584,
    "num_hidden_layers": 24,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "linear_num_value_heads": 16,
    "tie_word_embeddings": True,
}

# The 27B shape is an estimate, as in the catalogue.
SHAPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"polaris": _9B, "no-hri": _9B, "base": _9B, "base-27b": _27B, "qwen3.5-0.8b": _800M}
)

SMALLER = "Close other programs that use the memory, or use a smaller --shape: qwen3.5-0.8b"


def config_of(shape: str) -> Any:
    """The config of a shape. Raises UsageError if there is no such shape."""
    if shape not in SHAPES:
        raise UsageError(
            f"There is no shape {shape!r}.", hint=f"Choose one of: {', '.join(SHAPES)}"
        )
    return Qwen3_5TextConfig(**{**_COMMON, **SHAPES[shape]})


def size_of(config: Any) -> ModelSize:
    """The size of a model with this config; does not allocate its weights."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return size_of_model(model, config.to_dict())


def random_model(
    config: Any, device: Device, tokens: int, quantize: Quantize = "none"
) -> tuple[Any, str]:
    """A model with random weights on the device, and the kernel of its quantized layers.

    It is made in bf16 and then quantized, so bf16 must fit even for 4-bit; `auto` means bf16.
    Raises OutOfMemory if bf16 does not fit with a context of `tokens`.
    """
    try:
        choose_quantization(size_of(config), device, "none", tokens)
    except OutOfMemory as error:
        raise OutOfMemory(error.message, hint=SMALLER) from error
    torch.manual_seed(0)
    with torch.device(device.id):
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16, trust_remote_code=False
        ).eval()
    if quantize not in ("8bit", "4bit"):
        return model, ""
    method = choose_method(model, quantize, device.id, room=True)
    quantize_layers(model, method)
    return model, kernel_of(method)
