"""A model that was asked for by name, resolved once: `ModelRef`.

Knows what the catalogue says of it; not how a name is resolved (`resolving`), nor where its files
are (`cache`).
"""

import importlib.util
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from polaris_cli.models import catalogue
from polaris_cli.models.catalogue import CatalogueEntry, ModelProfile
from polaris_cli.models.gguf_choice import GgufFile
from polaris_cli.models.servers import Server, choose_model

UNKNOWN = ModelProfile()
LARGE_UNKNOWN = ModelProfile(plans="full")
PLANS_FULLY = 2_800_000_000
"""Parameters from which an unknown model is asked for a full plan: those sold as 3B, and larger."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model that can be loaded or fetched.

    `name` is what to call it, `id` its hub id, folder or file. `folder` is set for models that need
    no hub, `server` for one that is on a server (`id` is then its id there). `note` says what was
    chosen and why, else it is empty.

    A model in GGUF files has `gguf`, the path of the file once it is on this machine. In a
    repository or folder of such files, `gguf_files` are those to choose from, and `gguf_name` is
    the chosen one's name there. `parameters` is their number where a model that the catalogue does
    not have needs it; None if unknown.
    """

    name: str
    id: str
    revision: str | None = None
    entry: CatalogueEntry | None = None
    folder: Path | None = None
    note: str = ""
    gguf: Path | None = None
    server: Server | None = None
    gguf_name: str | None = None
    gguf_files: tuple[GgufFile, ...] = ()
    parameters: int | None = None

    @property
    def is_gguf(self) -> bool:
        """Whether the model is a GGUF file, or one is to be chosen."""
        return bool(self.gguf or self.gguf_files)

    @property
    def without_revisions(self) -> str:
        """Why a revision cannot be chosen, "" if it can."""
        return f"{self.name} is not loaded from the hub" if self.folder else ""

    @property
    def page(self) -> str:
        """The model's page on the hub."""
        return f"https://huggingface.co/{self.id}"

    @property
    def profile(self) -> ModelProfile:
        """How the model writes: what the catalogue knows, else what suits an unknown model.

        The context is that of the server, where the model is on one that says it.
        """
        unknown = LARGE_UNKNOWN if (self.parameters or 0) >= PLANS_FULLY else UNKNOWN
        profile = self.entry.profile if self.entry else unknown
        context = self.server.context_of(self.id) if self.server else None
        return replace(profile, context=context) if context else profile


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


def on_server(model: str, server: Server) -> ModelRef:
    """The reference to a model on a server. Raises ModelUnavailable if it does not have it."""
    known = catalogue.find(model)
    id_ = choose_model(server, model, _hub_names(known), partial(_is_like, known))
    entry = known or catalogue.find(_catalogue_name(id_) or "")
    return ModelRef(entry.name if entry else _short_name(id_), id_, entry=entry, server=server)


def _hub_names(entry: CatalogueEntry | None) -> tuple[str, ...]:
    """The hub id of a model of the catalogue, and its name there; () if it is not on the hub."""
    hub_id = entry.hub_id if entry else ""
    return (hub_id, hub_id.rpartition("/")[2]) if hub_id else ()


def _is_like(entry: CatalogueEntry | None, id_: str) -> bool:
    return entry is not None and _catalogue_name(id_) == entry.name


def _catalogue_name(id_: str) -> str | None:
    """The catalogue's name of a model on a server, whose id may be a hub id, a file or a name."""
    if entry := catalogue.find(id_):
        return entry.name
    name = id_.rpartition("/")[2].casefold()
    hub_names = ((e.name, e.hub_id.rpartition("/")[2].casefold()) for e in catalogue.CATALOGUE)
    return next((own for own, hub in hub_names if hub and name.startswith(hub)), None)


def _short_name(id_: str) -> str:
    """The last part of an id that is a path; other ids stay whole."""
    return Path(id_).name if id_.startswith("/") else id_


def packaged_file(entry: CatalogueEntry) -> Path | None:
    """The model's file in an installed package, None where there is none; imports nothing."""
    if not entry.package:
        return None
    module, name = entry.package
    spec = importlib.util.find_spec(module)
    file = Path(spec.origin).parent / name if spec and spec.origin else None
    return file if file and file.is_file() else None
