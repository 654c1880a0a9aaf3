"""The weight files in a model's folder: which ones are loaded, and what their headers hold.

Reads the documented headers of the formats, never the weights themselves. Does not import torch,
and does not know what a model's settings mean.
"""

import json
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

CONFIG = "config.json"
FORMATS = ("model.safetensors", "pytorch_model.bin")
"""Names of a single weight file, in the order in which transformers looks for them."""

PICKLED = b"\x80"  # first byte of a .bin file from before torch 1.6, which is not a zip archive

_BITS = {"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "BF16": 16, "F16": 16}
_TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tekken.json")


class Unreadable(ValueError):
    """A file of a model cannot be read, or two of them contradict each other.

    The text of the exception completes "The files of MODEL are damaged".
    """


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers loads: the single file, else the shards in an index."""
    for name in FORMATS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            return [folder / shard for shard in _shards(index)]
    return []


def _shards(index: Path) -> list[str]:
    """The file names in an index; none if it cannot be read."""
    try:
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return sorted(map(str, names))


def missing_file_in(folder: Path) -> str:
    """The file that a model's folder lacks, as the clause "config.json is missing"; "" if none.

    A model needs its configuration, a tokenizer and every shard of the weights.
    """
    tokenizers = [*folder.glob("*.model"), *(folder / name for name in _TOKENIZERS)]
    if not (folder / CONFIG).is_file():
        return f"{CONFIG} is missing"
    if not any(path.is_file() for path in tokenizers):
        return f"the tokenizer is missing: {_TOKENIZERS[0]}"
    weights = weight_files(folder)
    if not weights:
        return _without_weights(folder)
    gone = [path.name for path in weights if not path.is_file()]
    return f"{listed(gone)} missing" if gone else ""


def _without_weights(folder: Path) -> str:
    for index in (f"{name}.index.json" for name in FORMATS):
        if (folder / index).is_file():
            return f"{index} cannot be read"
        if any(folder.glob(f"*-of-*{Path(index.removesuffix('.index.json')).suffix}")):
            return f"{index} is missing"
    return f"the weights are missing: {FORMATS[0]}"


def listed(names: Sequence[str]) -> str:
    """The first name, how many more there are, and the verb: "a and 2 more are"."""
    more = len(names) - 1
    return f"{names[0]} and {more} more are" if more else f"{names[0]} is"


def file_bytes(folder: Path) -> int:
    """Bytes of the weight files on disk."""
    return sum(path.stat().st_size for path in weight_files(folder))


def tensor_shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the tensors in a safetensors file, from its header.

    The format is 8 bytes with the header's length, the header as JSON, then the data. Raises
    Unreadable if there is no valid header, or if it describes data that the file does not hold.
    """
    try:
        header, room = _header(path)
        for name, tensor in header.items():
            if name != "__metadata__":
                yield name, _shape(tensor, room)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{path.name} cannot be read") from error


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes of data follow it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        room = path.stat().st_size - 8 - length
        if length <= 0 or room < 0:
            raise ValueError("no header")
        return json.loads(file.read(length)), room


def _shape(tensor: Mapping[str, Any], room: int) -> tuple[int, ...]:
    """The shape of a tensor. Raises ValueError if its data is not within the file's `room` bytes,
    or has another size than the shape."""
    shape, (start, end) = tuple(tensor["shape"]), tensor["data_offsets"]
    bits = _BITS.get(tensor["dtype"])
    if not 0 <= start <= end <= room or min(shape, default=0) < 0:
        raise ValueError("outside the file")
    if bits and math.prod(shape) * bits != (end - start) * 8:
        raise ValueError("the shape and the data differ in size")
    return shape


def tensor_count(files: Sequence[Path]) -> int:
    """How many tensors the files hold; for .bin files a rough upper limit.

    Raises Unreadable if a file has no valid header.
    """
    return sum(map(_tensors, files))


def _tensors(path: Path) -> int:
    if path.suffix == ".safetensors":
        return sum(1 for _ in tensor_shapes(path))
    if zipfile.is_zipfile(path):
        return _entries(path)
    with path.open("rb") as file:
        if file.read(1) != PICKLED:
            raise Unreadable(f"{path.name} cannot be read")
    return min(path.stat().st_size // 1000, 10_000)


def _entries(path: Path) -> int:
    """How many files a zip archive holds. Raises Unreadable if its list of them is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return len(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Unreadable(f"{path.name} cannot be read") from error
