"""Loads a GGUF file with transformers, and dequantizes its weights in memory.

Does not know the format of the file, which transformers reads, nor llama.cpp.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    modeling_gguf_pytorch_utils,
)

from polaris_cli.engines.local.loading_errors import SETTINGS, TOKENIZER, Case, library_errors
from polaris_cli.engines.local.quiet import counted, quiet
from polaris_cli.errors import ModelUnavailable, OutOfMemory
from polaris_cli.models.devices import Device, size_text
from polaris_cli.models.gguf_choice import part_names
from polaris_cli.models.memory import ModelSize, weights_bytes
from polaris_cli.models.reference import ModelRef

MAGIC = b"GGUF"


@contextmanager
def read_once(on_progress: Callable[[float], None] | None = None) -> Iterator[None]:
    """Read a file once inside the block, though transformers asks for it three times.

    Reading the vocabulary takes seconds, and the table of tensor names is built again for every
    tensor. `on_progress` is called with the share of tensors dequantized, 0 to 1; it replaces the
    library's progress bar.
    """
    import gguf

    cached = {
        (gguf, "GGUFReader"): lru_cache(maxsize=1)(gguf.GGUFReader),
        (gguf, "get_tensor_name_map"): lru_cache(maxsize=1)(gguf.get_tensor_name_map),
        (modeling_gguf_pytorch_utils, "tqdm"): lambda items, **_: counted(items, on_progress),
    }
    before = {place: getattr(*place) for place in cached}
    try:
        for (module, name), replacement in cached.items():
            setattr(module, name, replacement)
        yield
    finally:
        for (module, name), original in before.items():
            setattr(module, name, original)


def check(file: Path) -> None:
    """Raise ModelUnavailable for a file that cannot be read, is no GGUF, or is split."""
    if len(part_names(file.name)) > 1:
        raise ModelUnavailable(
            f"{file.name} is split into several files, which transformers cannot read.",
            hint="Use llama.cpp, which reads them all: --engine gguf",
        )
    try:
        with file.open("rb") as opened:
            mark = opened.read(len(MAGIC))
    except OSError as error:
        raise ModelUnavailable(f"{file} cannot be read: {error.strerror}.") from error
    if mark != MAGIC:
        raise ModelUnavailable(f"{file} is not a GGUF file.", hint="See: polaris models")


def read_settings(reference: ModelRef, file: Path) -> Any:
    """The model's config. Raises ModelUnavailable for a file that transformers cannot read."""
    with quiet(), library_errors(Case(reference, SETTINGS)):
        return AutoConfig.from_pretrained(
            file.parent, gguf_file=file.name, local_files_only=True, trust_remote_code=False
        )


def meta_model_of(reference: ModelRef, config: Any) -> Any:
    """The model on torch's meta device: its shapes without weights."""
    with quiet(), library_errors(Case(reference, SETTINGS)), torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def check_room(file: Path, size: ModelSize, cpu: Device) -> None:
    """Raise OutOfMemory if the CPU's free memory cannot hold the weights in bf16.

    All of them are there for a while, whatever their precision and device in the end.
    """
    needed = weights_bytes(size, "none")
    if needed > cpu.free_bytes:
        raise OutOfMemory(
            f"{cpu.free_text}, but transformers first makes all weights of {file.name} in bf16, "
            f"which needs {size_text(needed)}.",
            hint="Use llama.cpp, which needs no more than the file's size: --engine gguf",
        )


def tokenizer_of(reference: ModelRef, file: Path, settings: Any) -> Any:
    """The tokenizer in the file. Raises ModelUnavailable if there is none that can be read."""
    with quiet(), library_errors(Case(reference, TOKENIZER)):
        return AutoTokenizer.from_pretrained(
            file.parent,
            config=settings,
            gguf_file=file.name,
            local_files_only=True,
            trust_remote_code=False,
            mistral_format=False,  # as for a folder
        )


def plain_weights(file: Path, settings: Any, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model with its weights dequantized, on the CPU, and the names of those missing."""
    # Releases before GgufConfig always dequantize.
    gguf_config = getattr(transformers, "GgufConfig", None)
    plain = {"quantization_config": gguf_config(dequantize=True)} if gguf_config else {}
    model, found = AutoModelForCausalLM.from_pretrained(
        file.parent,
        config=settings,
        gguf_file=file.name,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        **plain,
    )
    return model, found["missing_keys"]


def quantized(model: Any, method: Any, device: str) -> Any:
    """The model again with its layers quantized by a transformers quantization config."""
    return type(model).from_pretrained(
        None,
        config=model.config,
        state_dict=dict(model.state_dict()),
        dtype=model.dtype,
        quantization_config=method,
        trust_remote_code=False,
        device_map={"": device},
    )
