"""How much memory a model needs, and in which precision it fits on a device.

Arithmetic with figures from the catalogue or from a model's files. Imports neither torch nor
transformers, so that a dry run can use it.
"""

import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from polaris_cli.errors import ModelUnavailable, OutOfMemory, UsageError
from polaris_cli.models.cache import gguf_path
from polaris_cli.models.catalogue import CatalogueEntry
from polaris_cli.models.devices import Device, size_text
from polaris_cli.models.gguf_choice import OVERHEAD as LLAMA_CPP_OVERHEAD
from polaris_cli.models.gguf_files import GgufFacts, gguf_facts
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.weights import Unreadable, file_bytes, tensor_shapes, weight_files
from polaris_cli.request.story_request import EngineName, Quantize

Precision = Literal["none", "8bit", "4bit"]

PRECISIONS: Mapping[Precision, str] = {"none": "bf16", "8bit": "8-bit", "4bit": "4-bit"}
TYPICAL_TOKENS = 8_192
"""Tokens of a 3,000-word story with its thinking."""

SPARE_TOKENS = 1_024
"""Tokens for which llama.cpp gets room beyond a story's number and a quarter of it."""

# nf4 with double quantization (bitsandbytes; QLoRA, arXiv 2305.14314): 4 bits per weight, one byte
# for each block of 64 weights, and one float32 for 256 of these bytes.
BYTES_PER_LINEAR = {"none": 2.0, "8bit": 1.0, "4bit": 0.5 + 1 / 64 + 4 / (64 * 256)}

# Bytes for the libraries and the largest activations, on top of weights and KV cache.
OVERHEAD = {"cuda": 1_500_000_000, "mps": 800_000_000, "cpu": 600_000_000}

# Tokens that layers with a sliding window keep beside the window: those of a pass of the prompt.
LAST_PASS = 2_048  # `forward.PREFILL_CHUNK`, until the first token of the answer
LLAMA_CPP_PASS = 512 + 255  # its batch; it rounds the sum up to 256

# Models whose config may leave out the kinds of their layers: the one of full attention among so
# many, as in transformers.
_FULL_EVERY = {"gemma2": 2, "gemma3_text": 6, "cohere2": 4}

LARGE = 500_000_000
"""Parameters from which 4-bit kernels are faster than bf16, on a CPU that has them."""

_NOT_TEXT = ("visual.", "vision", "mtp.", "audio", "multi_modal_projector")
# transformers joins the matrices of all experts of a layer in one tensor, which is not quantized.
_KEPT_WHOLE = ("embed", "lm_head", "wte", "wpe", ".experts.")


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The size of a model's weights and cache.

    Quantization shrinks `linear_parameters` only. The KV cache takes `cache_bytes_per_token` for
    each token, layers with a sliding window `sliding_bytes_per_token` for each of the last
    `sliding_tokens`, and linear-attention layers `state_bytes` at any length. `stored_bytes` is set
    if the weights are already quantized in their files; they then take that many bytes.
    `overhead_bytes` is set for another engine than transformers, whose overhead does not depend on
    the device.
    """

    parameters: int
    linear_parameters: int
    cache_bytes_per_token: int = 0
    state_bytes: int = 0
    sliding_bytes_per_token: int = 0
    sliding_tokens: int = 0
    stored_bytes: int | None = None
    overhead_bytes: int | None = None

    def cache_bytes(self, tokens: int) -> int:
        """Bytes of the cache and the states of one sequence of `tokens` tokens."""
        sliding = min(tokens, self.sliding_tokens) * self.sliding_bytes_per_token
        return self.state_bytes + tokens * self.cache_bytes_per_token + sliding


@dataclass(frozen=True, slots=True)
class Memory:
    """The bytes that a run needs for weights, cache, and everything else."""

    weights: int
    cache: int
    overhead: int

    @property
    def total(self) -> int:
        """The sum, in bytes."""
        return self.weights + self.cache + self.overhead


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How a model will be loaded: precision of its weights, device, memory, and the reason."""

    quantize: Precision
    device: Device
    memory: Memory
    reason: str


def weights_bytes(size: ModelSize, quantize: Precision) -> int:
    """Bytes of the weights: the layers' matrices in the given precision, the rest in bf16."""
    if size.stored_bytes is not None:
        return size.stored_bytes
    rest = size.parameters - size.linear_parameters
    return 2 * rest + math.ceil(size.linear_parameters * BYTES_PER_LINEAR[quantize])


def llama_cpp_context(tokens: int, most: int = 0) -> int:
    """The context that llama.cpp gets for a story of `tokens` tokens, which are an estimate.

    It keeps a cache of that size from the start. `most` is the model's own context, 0 if unknown.
    """
    context = tokens * 5 // 4 + SPARE_TOKENS
    return min(context, most or context)


def memory_needed(
    size: ModelSize, quantize: Precision, tokens: int, kind: str = "cuda", sequences: int = 1
) -> Memory:
    """The memory for weights in this precision and `sequences` contexts of `tokens`, on a kind of
    device."""
    cache = sequences * size.cache_bytes(tokens)
    overhead = OVERHEAD[kind] if size.overhead_bytes is None else size.overhead_bytes
    return Memory(weights_bytes(size, quantize), cache, overhead)


def fits(size: ModelSize, quantize: Precision, tokens: int, device: Device) -> bool:
    """Whether the device has enough free memory now."""
    return memory_needed(size, quantize, tokens, device.kind).total <= device.room_bytes


def choose_quantization(
    size: ModelSize, device: Device, asked: Quantize, context_tokens: int
) -> LoadPlan:
    """The precision to load in. `auto` means bf16 where it fits, else 4-bit.

    On a CPU with a fast 4-bit kernel, `auto` takes 4-bit for large models, as it is several times
    faster there. Raises OutOfMemory, with the figures, if the precision asked for (for `auto`,
    4-bit) does not fit in the free memory; UsageError if the files are already quantized and
    another precision is asked for.
    """
    if size.stored_bytes is not None and asked not in ("auto", "none"):
        raise UsageError(
            "The weights of this model are already quantized; they cannot be quantized again.",
            hint="Leave out --quantize.",
        )
    quantize, reason = _preferred(size, device, asked, context_tokens)
    memory = memory_needed(size, quantize, context_tokens, device.kind)
    if memory.total > device.room_bytes:
        hint = _smaller(size, device, quantize, context_tokens)
        raise _too_large(
            f"in {PRECISIONS[quantize]} the model", memory, device, context_tokens, hint
        )
    return LoadPlan(quantize, device, memory, reason)


def most_at_once(size: ModelSize, plan: LoadPlan, tokens: int) -> int:
    """How many caches of `tokens` tokens fit in the memory that is free beside the weights.

    `plan` is the one for a single story, which fits.
    """
    left = plan.device.room_bytes - plan.memory.weights - plan.memory.overhead
    return max(1, left // max(size.cache_bytes(tokens), 1))


def _preferred(
    size: ModelSize, device: Device, asked: Quantize, tokens: int
) -> tuple[Precision, str]:
    if size.stored_bytes is not None:
        return "none", "already quantized in its files"
    if asked != "auto":
        return asked, "asked for"
    # bf16 even on a CPU without bf16 instructions: one token takes as long as in float32 (7.9
    # against 8.6 ms for a 4096x12288 matrix on AVX2), and the weights take half the memory.
    if not fits(size, "none", tokens, device):
        return "4bit", f"bf16 does not fit {device.id}"
    if device.quick_4bit and size.linear_parameters >= LARGE:
        return "4bit", "several times faster than bf16 on this CPU"
    return "none", f"bf16 fits {device.id}"


def check_fits(reference: ModelRef, tokens: int, device: Device, sequences: int = 1) -> None:
    """Check a GGUF file on this machine before llama.cpp loads it, with a cache of `tokens` tokens
    for each of several sequences.

    Raises OutOfMemory, with the figures, if it needs more than the device's free memory;
    ModelUnavailable if the file is damaged or not here.
    """
    file = gguf_path(reference)
    if file is None:
        raise ModelUnavailable(
            f"{reference.name} is not on this machine.", hint="See what is: polaris models"
        )
    size = size_of_gguf(gguf_facts(file), "gguf")
    memory = memory_needed(size, "none", tokens, device.kind, sequences)
    if memory.total <= device.room_bytes:
        return
    hint = "Use a file of a smaller quantization"
    if memory.weights + memory.overhead < device.room_bytes:
        hint += ", ask for fewer words"
    if reference.gguf_files:
        hint += f": --gguf-file NAME; names and sizes: polaris models show {reference.id}"
    raise _too_large(file.name, memory, device, tokens * sequences, hint)


def _too_large(what: str, memory: Memory, device: Device, tokens: int, hint: str) -> OutOfMemory:
    return OutOfMemory(
        f"{device.free_text}, but {what} needs "
        f"{size_text(memory.total)}: weights {size_text(memory.weights)}, cache for {tokens:,} "
        f"tokens {size_text(memory.cache)}, working memory {size_text(memory.overhead)}.",
        hint=hint,
    )


def _smaller(size: ModelSize, device: Device, quantize: Precision, tokens: int) -> str:
    if size.stored_bytes is None and quantize != "4bit" and fits(size, "4bit", tokens, device):
        return "Add --quantize 4bit"
    if fits(size, "4bit", tokens // 4, device):
        return "Ask for fewer words, or close other programs that use the memory."
    return "Use a machine with more memory, another --device, or --model demo"


def size_of_entry(entry: CatalogueEntry) -> ModelSize:
    """The size of a model in the catalogue."""
    return ModelSize(
        entry.parameters,
        entry.linear_parameters,
        entry.cache_bytes_per_token,
        entry.state_bytes,
    )


def size_of_gguf(facts: GgufFacts, engine: EngineName) -> ModelSize:
    """The size of a GGUF file: as it is with the engine `gguf`, else dequantized."""
    as_stored = engine == "gguf"
    return ModelSize(
        facts.parameters,
        facts.linear_parameters,
        facts.cache_bytes_per_token,
        facts.state_bytes,
        facts.sliding_bytes_per_token,
        facts.sliding_window + (LLAMA_CPP_PASS if as_stored else LAST_PASS),
        stored_bytes=facts.file_bytes if as_stored else None,
        overhead_bytes=LLAMA_CPP_OVERHEAD if as_stored else None,
    )


def llama_cpp_memory(facts: GgufFacts, tokens: int) -> Memory:
    """The memory that llama.cpp needs for a file and one story of about `tokens` tokens."""
    context = llama_cpp_context(tokens, facts.context)
    return memory_needed(size_of_gguf(facts, "gguf"), "none", context)


def size_of_folder(folder: Path, config: Mapping[str, Any]) -> ModelSize:
    """The size of a model on disk, from its `config.json` and the headers of its weight files.

    Raises Unreadable or OSError if one of them cannot be read.
    """
    stored = None if not config.get("quantization_config") else file_bytes(folder)
    return size_of(parameters_in(folder), config, stored)


def size_of(
    counts: tuple[int, int], config: Mapping[str, Any], stored: int | None = None
) -> ModelSize:
    """The size of a model with the parameters that `count_parameters` has counted, and this config.

    `stored` are the bytes of weights that are already quantized. Raises Unreadable if a setting
    cannot be true.
    """
    per_token, state, per_sliding, window = cache_of_config(config)
    kept = window + LAST_PASS if per_sliding else 0
    return ModelSize(*counts, per_token, state, per_sliding, kept, stored)


def size_of_model(model: Any, config: Mapping[str, Any]) -> ModelSize:
    """The size of a model of torch, which may have no weights yet; raises as `size_of`."""
    shapes = ((name, tuple(weight.shape)) for name, weight in model.named_parameters())
    return size_of(count_parameters(shapes), config)


def parameters_in(folder: Path) -> tuple[int, int]:
    """Parameters of the text model in a folder, and how many of them are in its layers' matrices.

    Files without a header, such as those of PyTorch, count 2 bytes for each. Raises Unreadable or
    OSError if a file cannot be read.
    """
    files = weight_files(folder)
    if any(path.suffix != ".safetensors" for path in files):
        return file_bytes(folder) // 2, file_bytes(folder) // 2
    return count_parameters(shape for path in files for shape in tensor_shapes(path))


def count_parameters(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> tuple[int, int]:
    """Parameters of the text model, and how many of them are in its layers' matrices."""
    parameters = linear = 0
    for name, shape in shapes:
        if any(part in name for part in _NOT_TEXT):
            continue
        numbers = math.prod(shape)
        parameters += numbers
        if len(shape) == 2 and not any(part in name for part in _KEPT_WHOLE):
            linear += numbers
    return parameters, linear


def cache_of_config(config: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Bytes of the KV cache for each token, bytes of the state at any length, bytes for each token
    in a sliding window, and the tokens in that window.

    Layers of full attention keep a key and a value in bf16 for each key-value head, those with a
    sliding window only of the last tokens; layers of linear attention keep one matrix in float32
    for each value head. All are 0 if the config has no such settings. Raises Unreadable if a
    setting cannot be true.
    """
    text = text_settings(config)
    full, sliding, linear = _layers(text)
    heads = first_count(text, "num_attention_heads", "n_head")
    width = first_count(text, "head_dim") or first_count(text, "hidden_size", "n_embd") // max(
        heads, 1
    )
    each = 2 * (first_count(text, "num_key_value_heads") or heads) * 2
    state = first_count(text, "linear_key_head_dim") * first_count(text, "linear_value_head_dim")
    return (
        full * each * (first_count(text, "global_head_dim") or width),  # Gemma 4's is twice as wide
        linear * first_count(text, "linear_num_value_heads") * state * 4,
        sliding * each * width,
        first_count(text, "sliding_window") if sliding else 0,
    )


def _layers(text: Mapping[str, Any]) -> tuple[int, int, int]:
    """How many layers have full attention, a sliding window, and linear attention."""
    kinds = text.get("layer_types") or []
    if not isinstance(kinds, list):
        raise Unreadable(f"layer_types is {reprlib.repr(kinds)} in config.json")
    count = len(kinds) or first_count(text, "num_hidden_layers", "n_layer")
    sliding, linear = (kinds.count(f"{kind}_attention") for kind in ("sliding", "linear"))
    every = _FULL_EVERY.get(str(text.get("model_type")))
    if every and not kinds:
        sliding = count - count // (first_count(text, "sliding_window_pattern") or every)
    if not text.get("sliding_window"):  # then all tokens are kept
        sliding = 0
    return count - sliding - linear, sliding, linear


def text_settings(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the text model; a multimodal config has them in `text_config`.

    Raises Unreadable if that holds no settings.
    """
    text = config.get("text_config") or config
    if not isinstance(text, Mapping):
        raise Unreadable("text_config holds no settings in config.json")
    return text


def first_count(config: Mapping[str, Any], *names: str) -> int:
    """The first of these settings that is set, else 0; for a list with one per layer, the maximum.

    Raises Unreadable if it is not a count.
    """
    name = next((name for name in names if config.get(name)), None)
    if name is None:
        return 0
    value = config[name]
    counts = value if isinstance(value, list) else [value]
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise Unreadable(f"{name} is {reprlib.repr(value)} in config.json")
    return int(max(counts))
