"""A model that was asked for by name, resolved once: `ModelRef`.

Knows what the catalogue says of it; not how a name is resolved (`hub`), nor where its files are
(`cache`).
"""

from dataclasses import dataclass
from pathlib import Path

from polaris_cli.models.catalogue import CatalogueEntry, ModelProfile

UNKNOWN = ModelProfile()


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model that can be loaded or fetched.

    `name` is what to call it, `id` its hub id or folder. `folder` is set for models that need no
    hub. `note` says what `auto` chose and why, else it is empty.
    """

    name: str
    id: str
    revision: str | None = None
    entry: CatalogueEntry | None = None
    folder: Path | None = None
    note: str = ""

    @property
    def page(self) -> str:
        """The model's page on the hub."""
        return f"https://huggingface.co/{self.id}"

    @property
    def profile(self) -> ModelProfile:
        """How the model writes: what the catalogue knows, else what suits an unknown model."""
        return self.entry.profile if self.entry else UNKNOWN


def of_entry(entry: CatalogueEntry, revision: str | None = None) -> ModelRef:
    """The reference to a model of the catalogue."""
    if entry.hub_id:
        return ModelRef(entry.name, entry.hub_id, revision, entry)
    return ModelRef(entry.name, "built in", None, entry, entry.folder)
