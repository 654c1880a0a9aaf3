"""What a model's name means: `resolve` makes a `ModelRef` of a name, a path or a hub id.

Reads the disk, asks the hub whether a gated model may be downloaded, and asks a server which models
it has; downloads nothing.
"""

import re
from dataclasses import replace
from pathlib import Path

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models import catalogue
from polaris_cli.models.cache import cached, offline
from polaris_cli.models.hub import check_access, logged_in
from polaris_cli.models.hub_errors import unknown
from polaris_cli.models.model_files import adapter_alone, base_of_adapter
from polaris_cli.models.reference import ModelRef, of_entry, of_gguf, on_server
from polaris_cli.models.servers import probe
from polaris_cli.request.server_address import ServerAddress

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def resolve(
    model: str, revision: str | None = None, server: ServerAddress | None = None
) -> ModelRef:
    """The model that `auto`, a name in the catalogue, a folder or a hub id means.

    With `server`, it is a model there. Reads the disk; for `auto` it also asks the hub, for 2 s at
    most. Raises ModelUnavailable for any other name, EndpointError if the server does not answer.
    """
    if server:
        return on_server(model, probe(server))
    if model == "auto":
        return _auto(revision)
    entry = catalogue.find(model)
    if entry:
        return of_entry(entry, revision)
    path = Path(model).expanduser()
    if path.exists() or _looks_like_path(model):
        return _of_path(path)
    if HUB_ID.fullmatch(model):
        return ModelRef(model, model, revision)
    raise unknown(model)


def _auto(revision: str | None) -> ModelRef:
    """POLARIS-9B if you have access to it, else the public variant; never the demo model."""
    best, other = catalogue.POLARIS, catalogue.NO_HRI
    reference = of_entry(best, revision)
    if cached(reference):
        return _with_note(reference, "it is on this machine")
    if offline():
        return _with_note(
            of_entry(other, revision), f"{best.name} is not on this machine, and this is offline"
        )
    if not logged_in():
        note = f"{best.name} is gated and you are not logged in"
        return _with_note(of_entry(other, revision), note)
    try:
        check_access(reference)
    except ModelUnavailable as error:
        return _with_note(of_entry(other, revision), error.message.rstrip("."))
    return _with_note(reference, "your account has access to it")


def _with_note(reference: ModelRef, reason: str) -> ModelRef:
    return replace(reference, note=f"Model: {reference.name} ({reason}).")


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "/", "~")) or "\\" in model or model.count("/") > 1


def _of_path(path: Path) -> ModelRef:
    if (path / "config.json").is_file():
        return ModelRef(path.resolve().name, str(path.resolve()), folder=path.resolve())
    if path.suffix == ".gguf" and path.is_file():
        return of_gguf(path.stem, path.resolve())
    base = base_of_adapter(path)
    if base is not None:
        raise adapter_alone(str(path), base)
    missing = "is a file, not the folder of a model" if path.exists() else "does not exist"
    if path.is_dir():
        missing = "has no config.json, so it is not a model"
    raise ModelUnavailable(
        f"{path} {missing}.",
        hint="Use a folder with config.json, tokenizer and weights, or see: polaris models",
    )
