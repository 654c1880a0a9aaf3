"""What a GGUF file says of itself: `gguf_facts` reads its header, never its weights.

Skips the vocabulary and the merges, which make up almost all of a header and take the `gguf`
package's reader seconds (2.1 s for 49,152 tokens). Knows how llama.cpp lays out the cache of an
architecture; not which file of a repository to use (`gguf_choice`), nor how one is loaded.
"""

import math
import mmap
import reprlib
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.gguf_choice import part_names
from polaris_cli.models.weights import Unreadable, listed

MAGIC = b"GGUF"
VERSIONS = (2, 3)

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS |= {12: "d"}
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")

# Far above any real file, so that a damaged count cannot keep the reader busy or fill the memory.
MOST_ITEMS, MOST_FIELDS, MOST_TEXT, MOST_DIMENSIONS = 10_000_000, 100_000, 2**24, 8
MOST_PER_LAYER = 4_096
MOST_COUNT = 2**40

# Files from before the key full_attention_interval exist: llama.cpp then assumes 4.
_EVERY_FOURTH = ("qwen3next", "qwen35", "qwen35moe")

# The one layer without a sliding window among so many, where the file does not say it, as seen with
# xllamacpp 2026.10.
_FULL_EVERY = {"gemma2": 2, "gemma3": 6, "cohere2": 4}


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """The figures of a GGUF file, all parts of a split file together.

    `context` is in tokens, 0 if the file does not say it. `quantization` is llama.cpp's name of the
    file type ("Q4_K_M"), "" if unknown. `linear_parameters` are those in the layers' matrices. The
    cache takes `cache_bytes_per_token` in f16 for each token, layers with a sliding window
    `sliding_bytes_per_token` for each of the last `sliding_window` tokens, and layers of linear
    attention `state_bytes` at any length.
    """

    architecture: str
    context: int
    quantization: str
    file_bytes: int
    parameters: int
    linear_parameters: int
    cache_bytes_per_token: int
    state_bytes: int
    sliding_bytes_per_token: int
    sliding_window: int
    has_chat_template: bool


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Header:
    fields: Mapping[str, Any]
    tensors: tuple[_Tensor, ...]


def is_gguf_file(path: Path) -> bool:
    """Whether a file is one by its name, or by its first bytes, as Ollama names no kind of file."""
    if not path.is_file():
        return False
    if path.suffix == ".gguf":
        return True
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
    return False


def gguf_facts(path: Path) -> GgufFacts:
    """The facts in the header of a file, or of all parts of a split file.

    Raises ModelUnavailable if a part is missing, damaged, cut off, or not a text model's.
    """
    parts = [path.parent / name for name in part_names(path.name)]
    headers = [_read(part) for part in parts]
    try:
        return _facts(headers, sum(part.stat().st_size for part in parts))
    except Unreadable as error:
        raise _damaged(path, str(error)) from error


def check_parts(path: Path) -> None:
    """Raise ModelUnavailable if a part of the file is not there."""
    names = part_names(path.name)
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing and len(names) > 1:
        raise ModelUnavailable(
            f"{path.name} is split into {len(names)} files, and {listed(missing)} missing.",
            hint=f"Put all of them into {path.parent}",
        )


def _damaged(path: Path, reason: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{path.name} is damaged: {reason}.",
        hint=f"Download {path} again, or choose another model: polaris models",
    )


def _read(path: Path) -> _Header:
    check_parts(path)
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ModelUnavailable(f"{path} is not a GGUF file.", hint="See: polaris models")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data).header()
    except OSError as error:
        raise ModelUnavailable(f"{path} cannot be read: {error.strerror}.") from error
    except Unreadable as error:
        raise _damaged(path, str(error)) from error
    except (struct.error, ValueError, OverflowError, MemoryError) as error:
        raise _damaged(path, "its header is cut off or makes no sense") from error


class _Reader:
    """Reads a header from front to back."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, len(MAGIC)

    def header(self) -> _Header:
        version = self._number("I")
        if version not in VERSIONS:
            raise Unreadable(f"version {version} of the format is unknown")
        tensors = self._count(MOST_ITEMS)
        fields = dict(self._field() for _ in range(self._count(MOST_FIELDS)))
        found = tuple(self._tensor() for _ in range(tensors))
        self._check_whole(found, fields.get("general.alignment", 32))
        return _Header(fields, found)

    def _number(self, form: str) -> Any:
        layout = struct.Struct(f"<{form}")
        (value,) = layout.unpack_from(self._data, self._at)
        self._at += layout.size
        return value

    def _count(self, most: int) -> int:
        count = int(self._number("Q"))
        if count > most:
            raise Unreadable(f"it announces {count:,} items")
        return count

    def _text(self) -> str:
        start = self._skip(self._count(MOST_TEXT))
        return self._data[start : self._at].decode("utf-8", "replace")

    def _skip(self, size: int) -> int:
        """Go on after `size` bytes; return where they start."""
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise Unreadable("it is cut off")
        return start

    def _field(self) -> tuple[str, Any]:
        return self._text(), self._value(self._number("I"))

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        return self._array() if kind == _ARRAY else self._number(_form(kind))

    def _array(self) -> list[Any]:
        """The numbers of a short array; an empty list for strings and longer arrays."""
        kind, count = self._number("I"), self._count(MOST_ITEMS)
        if kind == _STRING:
            self._skip_strings(count)
            return []
        layout = struct.Struct(f"<{count}{_form(kind)}")
        start = self._skip(layout.size)
        return [] if count > MOST_PER_LAYER else list(layout.unpack_from(self._data, start))

    def _skip_strings(self, count: int) -> None:
        at, data, length_at = self._at, self._data, _LENGTH.unpack_from
        for _ in range(count):
            at += 8 + length_at(data, at)[0]
        self._at = at

    def _tensor(self) -> _Tensor:
        name, dimensions = self._text(), self._number("I")
        if dimensions > MOST_DIMENSIONS:
            raise Unreadable(f"a tensor has {dimensions:,} dimensions")
        shape = tuple(self._number("Q") for _ in range(dimensions))
        return _Tensor(name, shape, self._number("I"), self._number("Q"))

    def _check_whole(self, tensors: tuple[_Tensor, ...], alignment: Any) -> None:
        """Raise Unreadable if a tensor's data is not within the file."""
        import gguf

        if not isinstance(alignment, int) or alignment <= 0:
            raise Unreadable(f"general.alignment is {reprlib.repr(alignment)}")
        start = -(-self._at // alignment) * alignment
        for tensor in tensors:
            block, size = gguf.GGML_QUANT_SIZES.get(tensor.kind, (1, 0))  # unknown: newer than gguf
            if start + tensor.offset + math.prod(tensor.shape) // block * size > len(self._data):
                raise Unreadable("it is cut off")


def _form(kind: int) -> str:
    if kind not in _SCALARS:
        raise Unreadable(f"it has a value of the unknown type {kind}")
    return _SCALARS[kind]


def _facts(headers: list[_Header], file_bytes: int) -> GgufFacts:
    fields = headers[0].fields
    tensors = [tensor for header in headers for tensor in header.tensors]
    kind = fields.get("general.type", "model")
    architecture = fields.get("general.architecture")
    if not isinstance(architecture, str):
        raise Unreadable("it does not name an architecture")
    if kind != "model" or architecture == "clip":
        raise Unreadable(f"it holds no text model ({reprlib.repr(kind)}, {architecture})")
    settings = _Settings(fields, architecture)
    layers = _Layers(settings, len(tensors))
    return GgufFacts(
        architecture,
        settings.count("context_length"),
        _file_type(fields.get("general.file_type")),
        file_bytes,
        sum(math.prod(tensor.shape) for tensor in tensors),
        sum(math.prod(tensor.shape) for tensor in tensors if _is_linear(tensor)),
        layers.cache_bytes_per_token(),
        layers.state_bytes(),
        layers.sliding_bytes_per_token(),
        settings.count("attention.sliding_window"),
        isinstance(fields.get("tokenizer.chat_template"), str),
    )


def _is_linear(tensor: _Tensor) -> bool:
    return tensor.name.startswith("blk.") and len(tensor.shape) == 2


def _file_type(number: Any) -> str:
    from gguf import LlamaFileType

    try:
        name = LlamaFileType(number).name
    except ValueError:
        return ""
    return "" if name == "GUESSED" else name.removeprefix("MOSTLY_").removeprefix("ALL_")


class _Settings:
    """The counts among an architecture's fields. Raises Unreadable for any that cannot be true."""

    def __init__(self, fields: Mapping[str, Any], architecture: str) -> None:
        self._fields, self.architecture = fields, architecture

    def count(self, name: str, default: int = 0) -> int:
        """A count; the largest if there is one for each layer."""
        return max(self.counts(name, 1, default), default=default)

    def flags(self, name: str, layers: int, default: int = 0) -> list[bool]:
        """Whether each layer is of a kind: the list in the file, else all but every nth one, where
        the file or `default` says n. No layer is if neither does."""
        value = self._fields.get(f"{self.architecture}.{name}", default)
        if isinstance(value, list):
            return [bool(flag) for flag in value[:layers]] + [False] * (layers - len(value))
        every = value if _is_count(value) else 0
        return [bool(every and (place + 1) % every) for place in range(layers)]

    def counts(self, name: str, layers: int, default: int = 0) -> list[int]:
        """One count for each layer: the list in the file, or its single number repeated."""
        value = self._fields.get(f"{self.architecture}.{name}", default)
        counts = value if isinstance(value, list) else [value] * layers
        if not all(_is_count(count) for count in counts):
            raise Unreadable(f"{name} is {reprlib.repr(value)}")
        return counts


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_COUNT


class _Layers:
    """What llama.cpp keeps of each layer: a KV cache, a recurrent state, or both."""

    def __init__(self, settings: _Settings, tensors: int) -> None:
        predicting = settings.count("nextn_predict_layers")  # not used when writing
        count = max(settings.count("block_count") - predicting, 0)
        if count > tensors:
            raise Unreadable(f"block_count is {count:,}, and there are {tensors:,} tensors")
        heads = settings.counts("attention.head_count", count)
        per_layer = settings.counts("attention.head_count_kv", count, max(heads, default=0))
        every = settings.count("full_attention_interval")
        if not every and settings.architecture in _EVERY_FOURTH:
            every = 4
        self._settings, self._heads = settings, max(heads, default=0)
        self._key_value_heads = [
            heads if not every or (place + 1) % every == 0 else 0
            for place, heads in enumerate(per_layer[:count])
        ]
        known = _FULL_EVERY.get(settings.architecture, 0)
        window = settings.count("attention.sliding_window")
        slides = settings.flags("attention.sliding_window_pattern", len(per_layer[:count]), known)
        self._sliding = [bool(window and flag) for flag in slides]

    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values in f16, in layers that keep those of all tokens."""
        return self._bytes(sliding=False)

    def sliding_bytes_per_token(self) -> int:
        """The same in layers with a sliding window."""
        return self._bytes(sliding=True)

    def _bytes(self, *, sliding: bool) -> int:
        layers = zip(self._key_value_heads, self._sliding, strict=True)
        heads = sum(heads for heads, slides in layers if slides == sliding)
        return heads * (self._width("key", sliding) + self._width("value", sliding)) * 2

    def _width(self, kind: str, sliding: bool) -> int:
        """The size of a head's keys or values."""
        count, name = self._settings.count, f"attention.{kind}_length"
        own = count(f"{name}_swa") if sliding else 0
        return own or count(name) or count("embedding_length") // max(self._heads, 1)

    def state_bytes(self) -> int:
        """Bytes of the recurrent states and the last inputs of the convolutions, in float32.

        Layers without attention have them; if all have attention, all have both.
        """
        inner, state, groups, kernel = (
            self._settings.count(f"ssm.{name}")
            for name in ("inner_size", "state_size", "group_count", "conv_kernel")
        )
        recurrent = self._key_value_heads.count(0) or len(self._key_value_heads)
        inputs = max(kernel - 1, 0) * (inner + 2 * groups * state)
        return recurrent * (inner * state + inputs) * 4
