"""Models on this machine: the files of a `ModelRef`, in a folder or in the hub's cache.

Reads the disk only, never the network, so that `polaris models` answers at once. Follows the
documented layout of the cache: models--OWNER--NAME holds refs/BRANCH, which names a commit, and
snapshots/COMMIT/FILES.
"""

import os
import shutil
from pathlib import Path

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.gguf_choice import choices, part_names
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.weights import missing_file_in
from polaris_cli.request.paths import expanded


def cache_folder() -> Path:
    """Where huggingface_hub keeps its downloads."""
    environ = os.environ
    direct = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    if direct:
        return expanded(os.path.expandvars(direct))
    caches = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = environ.get("HF_HOME") or f"{caches}/huggingface"
    return expanded(os.path.expandvars(home)) / "hub"


def free_bytes() -> int:
    """Free bytes on the disk of the cache, whether its folder exists yet or not."""
    folder = cache_folder()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(existing).free


def repository_folder(reference: ModelRef) -> Path:
    """The model's folder in the cache, whether it exists or not."""
    return cache_folder() / f"models--{reference.id.replace('/', '--')}"


def cached(reference: ModelRef) -> Path | None:
    """The folder with the model's files if all of them are on this machine, else None."""
    if reference.is_gguf:
        file = gguf_path(reference)
        return file.parent if file else None
    folder = reference.folder or snapshot(reference)
    return None if missing_file_in(folder) else folder


def gguf_path(reference: ModelRef) -> Path | None:
    """The model's GGUF file (its first part, if it is split) if all of it is on this machine."""
    file = reference.gguf
    if not file and reference.gguf_name:
        file = (reference.folder or snapshot(reference)) / reference.gguf_name
    here = file and all((file.parent / name).is_file() for name in part_names(file.name))
    return file if here else None


def gguf_sizes(folder: Path) -> dict[str, int]:
    """The GGUF files in a folder and its folders, by their path in it, with their sizes in bytes.

    No deeper, where repositories have none: the folder may be a whole disk, given by mistake.
    """
    found = (path for pattern in ("*.gguf", "*/*.gguf") for path in folder.glob(pattern))
    files = (path for path in found if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def gguf_downloads() -> list[ModelRef]:
    """The GGUF files in the hub's cache, each as a reference of its own."""
    found = []
    for folder in sorted(cache_folder().glob("models--*/snapshots/*")):
        id_ = folder.parents[1].name.removeprefix("models--").replace("--", "/", 1)
        for file in choices(gguf_sizes(folder)):
            path = folder / file.name
            found.append(ModelRef(id_, id_, folder.name, gguf=path, gguf_name=file.name))
    return found


def snapshot(reference: ModelRef) -> Path:
    """The folder in the cache for this revision of the model, whether it exists or not."""
    folder = repository_folder(reference)
    revision = reference.revision or "main"
    branch = folder / "refs" / revision
    commit = branch.read_text("utf-8", "replace").strip() if branch.is_file() else revision
    return folder / "snapshots" / commit


def stored_bytes(reference: ModelRef) -> int:
    """Bytes that the model takes on disk, unfinished downloads included."""
    if reference.gguf and reference.folder:
        parts = (reference.gguf.parent / name for name in part_names(reference.gguf.name))
        return sum(part.stat().st_size for part in parts if part.is_file())
    folder = reference.folder or repository_folder(reference)
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)


def remove(reference: ModelRef) -> int:
    """Delete every downloaded revision of the model; return the bytes freed.

    Raises ModelUnavailable when there is nothing to delete, the model was not downloaded, or it
    cannot be deleted, such as behind a link.
    """
    if reference.folder:
        raise ModelUnavailable(
            f"{reference.name} was not downloaded by polaris, so it is not removed.",
            hint=f"Its files are in {reference.folder}",
        )
    size = stored_bytes(reference)
    folder = repository_folder(reference)
    if not folder.exists():
        raise ModelUnavailable(
            f"{reference.name} is not on this machine.", hint="See what is: polaris models"
        )
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise ModelUnavailable(
            f"{reference.name} cannot be removed: {error.strerror or error}.",
            hint=f"Delete this folder yourself: {folder}",
        ) from error
    shutil.rmtree(folder.parent / ".locks" / folder.name, ignore_errors=True)
    return size


def offline() -> bool:
    """Whether HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids the network."""
    values = (os.environ.get(name, "") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in values)
