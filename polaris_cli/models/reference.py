"""A model that was asked for by name, resolved once: `ModelRef`.

Knows what the catalogue says of it; not how a name is resolved (`hub`), nor where its files are
(`cache`).
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from polaris_cli.models.catalogue import CatalogueEntry, ModelProfile

UNKNOWN = ModelProfile()


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model that can be loaded or fetched.

    `name` is what to call it, `id` its hub id, folder or file. `folder` is set for models that need
    no hub, `gguf` for one that is a GGUF file in it. `note` says what `auto` chose and why, else it
    is empty.
    """

    name: str
    id: str
    revision: str | None = None
    entry: CatalogueEntry | None = None
    folder: Path | None = None
    note: str = ""
    gguf: Path | None = None

    @property
    def page(self) -> str:
        """The model's page on the hub."""
        return f"https://huggingface.co/{self.id}"

    @property
    def profile(self) -> ModelProfile:
        """How the model writes: what the catalogue knows, else what suits an unknown model."""
        return self.entry.profile if self.entry else UNKNOWN


def of_entry(entry: CatalogueEntry, revision: str | None = None) -> ModelRef:
    """The reference to a model of the catalogue, from an installed package where one carries it."""
    file = packaged_file(entry)
    if file:
        return of_gguf(entry.name, file, entry)
    if entry.hub_id:
        return ModelRef(entry.name, entry.hub_id, revision, entry)
    return ModelRef(entry.name, "built in", None, entry, entry.folder)


def of_gguf(name: str, file: Path, entry: CatalogueEntry | None = None) -> ModelRef:
    """The reference to a GGUF file."""
    return ModelRef(name, entry.hub_id if entry else str(file), None, entry, file.parent, gguf=file)


def packaged_file(entry: CatalogueEntry) -> Path | None:
    """The model's file in an installed package, None where there is none; imports nothing."""
    if not entry.package:
        return None
    module, name = entry.package
    spec = importlib.util.find_spec(module)
    file = Path(spec.origin).parent / name if spec and spec.origin else None
    return file if file and file.is_file() else None
