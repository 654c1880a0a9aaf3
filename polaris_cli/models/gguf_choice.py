"""Which of several GGUF files to use: by name, by quantization, or the largest that fits.

Works on names and sizes alone, so that it serves a repository that is not downloaded as well as a
folder. Reads no file and does not know the hub.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from polaris_cli.errors import OutOfMemory, UsageError
from polaris_cli.models.devices import Device, size_text

OVERHEAD = 300_000_000
"""Bytes that llama.cpp needs beside weights and cache.

Measured with smollm2: 77 MB with a context of 2,048 tokens, 82 MB with 8,192. It grows with the
vocabulary, which is five times larger in Qwen3.5.
"""

CACHE_GUESS = 131_072
"""Bytes of the cache for each token in a file that is not here: as in Llama 3 8B. Models of mixed
layers, such as Qwen3.5-9B, need a quarter."""

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
_OTHER = re.compile(r"mmproj|imatrix", re.IGNORECASE)
_QUANTIZATION = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q\d[A-Z0-9_]*|TQ\d_\d|BF16|F16|F32|MXFP4[A-Z_]*|NVFP4))(?=$|[-.])",
    re.IGNORECASE,
)
_MOST_PARTS = 1_000


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A GGUF file that can be chosen: its name (of the first part, if it is split) and its size.

    The name includes the folder within the repository. `size` is in bytes, of all parts.
    """

    name: str
    size: int

    @property
    def quantization(self) -> str:
        """The quantization that the name states, such as "Q4_K_M", else the name itself."""
        stem = self.name.rpartition("/")[2].removesuffix(".gguf")
        stated = _QUANTIZATION.findall(_without_part(stem))
        return stated[-1].upper() if stated else stem

    def __str__(self) -> str:
        return f"{self.quantization} ({size_text(self.size)})"


def _without_part(stem: str) -> str:
    split = _PART.fullmatch(f"{stem}.gguf")
    return split["stem"] if split else stem


def part_names(name: str) -> tuple[str, ...]:
    """The names of all parts of a split file, from the name of one; else the name alone."""
    split = _PART.fullmatch(name)
    count = int(split["count"]) if split else 0
    if not split or not 0 < count < _MOST_PARTS:
        return (name,)
    return tuple(f"{split['stem']}-{n:05}-of-{count:05}.gguf" for n in range(1, count + 1))


def choices(sizes: Mapping[str, int]) -> tuple[GgufFile, ...]:
    """The GGUF files among files with these sizes, the smallest first.

    Leaves out vision projectors, importance matrices, and split files of which a part is missing.
    """
    names = {
        part_names(name)
        for name in sizes
        if name.endswith(".gguf") and not _OTHER.search(name.rpartition("/")[2])
    }
    whole = (parts for parts in names if all(part in sizes for part in parts))
    found = (GgufFile(parts[0], sum(sizes[part] for part in parts)) for parts in whole)
    return tuple(sorted(found, key=lambda file: (file.size, file.name)))


def matching(files: Iterable[GgufFile], wanted: str) -> list[GgufFile]:
    """The files with that name, or else those with that quantization; case does not matter."""
    asked = wanted.strip().casefold()
    named = [file for file in files if asked in _names(file)]
    return named or [file for file in files if asked == file.quantization.casefold()]


def _names(file: GgufFile) -> set[str]:
    return {
        spelling
        for part in part_names(file.name)
        for spelling in (part.casefold(), part.rpartition("/")[2].casefold())
    }


def named(files: tuple[GgufFile, ...], wanted: str, model: str) -> GgufFile:
    """The one file with that name or quantization. Raises UsageError if there is not just one."""
    found = matching(files, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{model} has {len(found)} files of {wanted}.",
            hint=f"Choose one by its name: --gguf-file {found[0].name}",
        )
    known = {file.quantization.casefold(): file.quantization for file in files}
    known |= {file.name.casefold(): file.name for file in files}
    close = difflib.get_close_matches(wanted.strip().casefold(), known, n=1, cutoff=0.5)
    offer = f"Did you mean {known[close[0]]}? It has: " if close else "It has: "
    raise UsageError(
        f"{model} has no GGUF file {wanted!r}.",
        hint=offer + ", ".join(dict.fromkeys(file.quantization for file in files)),
    )


def largest_fitting(
    files: tuple[GgufFile, ...], cache: int, device: Device, model: str
) -> GgufFile:
    """The largest file that fits the device's free memory with a cache of so many bytes.

    Where none fits a GPU, as it would be fastest, it is the largest that fits the CPU's with it.
    Raises OutOfMemory, with the figures, if even the smallest does not fit.
    """
    beside = OVERHEAD + cache
    for free in (device.free_bytes, device.room_bytes):
        if fitting := [file for file in files if file.size + beside <= free]:
            return fitting[-1]
    smallest = files[0]
    raise OutOfMemory(
        f"No file of {model} fits: the smallest, {smallest}, needs about "
        f"{size_text(smallest.size + beside)} with the story's cache, and {device.free_text}.",
        hint=f"Use a smaller model, or this one anyway: --gguf-file {smallest.quantization}",
    )
