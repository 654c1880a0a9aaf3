"""How many parameters a model has that the catalogue does not know: `with_parameters`.

Reads the headers of files on this machine, else the model's name. Asks neither the hub nor a
server, and does not know what the number is used for.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePath

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.cache import cached, gguf_path
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.memory import parameters_in
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.weights import Unreadable

_BILLIONS = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)b(?![a-z0-9])", re.I)  # "Qwen3.5-9B"


def with_parameters(reference: ModelRef) -> ModelRef:
    """The reference with its number of parameters: the larger of what its files and its name say.

    Quantized weights are packed, so their files say too little.
    """
    if reference.entry:
        return reference
    return replace(reference, parameters=max(_counts(reference), default=None))


def _counts(reference: ModelRef) -> Iterator[int]:
    own = PurePath(reference.id).name  # a folder or owner above it says nothing of the model
    names = (own, *(file.name for file in reference.gguf_files))
    for match in (match for name in names for match in _BILLIONS.finditer(name)):
        yield round(float(match[1]) * 1e9)
    if not reference.server:
        with suppress(ModelUnavailable, Unreadable, OSError):  # loading it says what is wrong
            yield _in_files(reference)


def _in_files(reference: ModelRef) -> int:
    """The parameters in the files of the model on this machine; 0 if there are none."""
    if file := gguf_path(reference):
        return gguf_facts(file).parameters
    folder = cached(reference) if not reference.is_gguf else None
    return parameters_in(folder)[0] if folder else 0
