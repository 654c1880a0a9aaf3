"""The hub: `ensure` downloads the files of a model that are not on this machine.

Knows access to gated models, which files of a repository are needed, and whether they fit on the
disk; not what a name means (`resolving`), nor how a model is loaded. Imports huggingface_hub only
when it is used.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.cache import (
    cache_folder,
    cached,
    free_bytes,
    repository_folder,
)
from polaris_cli.models.devices import size_text
from polaris_cli.models.download import download
from polaris_cli.models.gguf_choice import choices, part_names
from polaris_cli.models.hub_errors import corrupt, hub_errors, not_for_text
from polaris_cli.models.model_files import ADAPTER, adapter_alone, base_of_adapter, check_config
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.weights import CONFIG, missing_file_in

T = TypeVar("T")

TIMEOUT = 2.0
"""Seconds to wait for the hub's first answer, unless HF_HUB_ETAG_TIMEOUT is set."""

SPARE_BYTES = 500_000_000
"""Bytes that a download leaves free on the disk."""

OnProgress = Callable[[int, int], None]
"""Called with the bytes downloaded so far and the total."""

_WANTED = re.compile(r"[^/]+\.(safetensors|json|jinja|txt|model)")
_UNWANTED = re.compile(r"consolidated.*\.safetensors|README.*|.*\.bin\.index\.json")
_OLD_WEIGHTS = re.compile(r"pytorch_model[^/]*\.bin(\.index\.json)?")


def logged_in() -> bool:
    """Whether this machine has an access token for the hub."""
    from huggingface_hub import get_token

    return bool(get_token())


def check_access(reference: ModelRef) -> None:
    """Ask the hub whether you may download the model. Raises ModelUnavailable if not."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    with hub_errors(reference):
        name = reference.gguf_name or CONFIG
        url = hf_hub_url(reference.id, name, revision=reference.revision)
        try:
            _in_time(lambda: get_hf_file_metadata(url, token=None, timeout=_timeout()))
        except EntryNotFoundError:
            _refuse_adapter(reference)
            _refuse_gguf(reference)
            raise


def _refuse_adapter(reference: ModelRef) -> None:
    """Raise ModelUnavailable if the repository holds an adapter."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with suppress(EntryNotFoundError):
        path = Path(hf_hub_download(reference.id, ADAPTER, revision=reference.revision))
        raise adapter_alone(reference.id, base_of_adapter(path.parent) or "")


def _refuse_gguf(reference: ModelRef) -> None:
    """Raise ModelUnavailable if the repository holds GGUF files, and none was asked for."""
    files = choices(_listing(reference)[1])
    if files and not reference.gguf_name:
        raise ModelUnavailable(
            f"{reference.id} holds GGUF files, not a model for transformers.",
            hint=f"Choose one, for example: --gguf-file {files[-1].quantization}",
        )


def _timeout() -> float:
    return float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or TIMEOUT)


def _in_time(call: Callable[[], T]) -> T:
    """What `call` returns; raises TimeoutError if it takes longer than the timeout.

    The client's own timeout does not cover the DNS lookup, which can take far longer without a
    network.
    """
    answer = Future[T]()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()  # a pool would wait for it at the end
    if not wait([answer], _timeout()).done:
        raise TimeoutError(f"no answer within {_timeout():g} s")
    return answer.result()


def ensure(reference: ModelRef, on_progress: OnProgress | None = None) -> Path:
    """The folder with the model's files, downloaded first if they are not on this machine.

    For a model in GGUF files it is the folder of the chosen one, whose path is then
    `cache.gguf_path`. Raises ModelUnavailable as `fetch` does, or if a local folder is incomplete.
    """
    folder = cached(reference)
    if folder:
        return folder
    if reference.gguf and reference.folder:
        raise corrupt(reference, f"{reference.gguf.name} or a part of it is missing")
    if reference.folder:
        raise corrupt(reference, missing_file_in(reference.folder))
    return fetch(reference, on_progress)


def fetch(reference: ModelRef, on_progress: OnProgress | None = None) -> Path:
    """Download those of the model's weights, tokenizer and settings that are missing.

    Resumes an earlier download. Raises ModelUnavailable if the hub refuses, if it is not a text
    model, or if the disk is too small.
    """
    if reference.folder:
        return ensure(reference)
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    check_access(reference)
    with hub_errors(reference):
        commit, files = repository_files(reference)
        check_names(reference, files)
        if not reference.gguf_name:
            _check_settings(reference)
        here = repository_folder(reference) / "snapshots" / commit
        count = _ByteCount(_present(here, files), sum(files.values()), on_progress)
        check_disk(reference, count.missing - _unfinished(reference))
        _download_all(reference, commit, list(files), count)
    return (here / (reference.gguf_name or CONFIG)).parent


def _download_all(reference: ModelRef, commit: str, names: list[str], count: "_ByteCount") -> None:
    """Download the files, the weights last: a model that has them counts as complete, and would be
    used without its chat template."""
    from huggingface_hub import snapshot_download

    if small := [name for name in names if not is_weights(name)]:
        snapshot_download(reference.id, revision=reference.revision, allow_patterns=small)
    for name in filter(is_weights, names):
        download(reference, name, commit, count.add)
    snapshot_download(reference.id, revision=reference.revision, allow_patterns=names)
    count.add(count.missing)


def _check_settings(reference: ModelRef) -> None:
    from huggingface_hub import hf_hub_download

    config = Path(hf_hub_download(reference.id, CONFIG, revision=reference.revision))
    check_config(reference, json.loads(config.read_text("utf-8")))


class _ByteCount:
    """Counts the bytes downloaded, and reports them to `on_progress`."""

    def __init__(self, done: int, total: int, on_progress: OnProgress | None) -> None:
        self._done, self._total, self._on_progress = done, total, on_progress

    @property
    def missing(self) -> int:
        return self._total - self._done

    def add(self, more: int) -> None:
        self._done = min(self._total, self._done + more)
        if self._on_progress:
            self._on_progress(self._done, self._total)


def is_weights(name: str) -> bool:
    """Whether a file with that name holds weights."""
    return name.endswith((".safetensors", ".bin", ".gguf"))


def repository_files(reference: ModelRef) -> tuple[str, dict[str, int]]:
    """The commit of the model's revision, and the sizes in bytes of the files polaris needs.

    Asks the hub, and raises what its client raises.
    """
    commit, sizes = _listing(reference)
    if reference.gguf_name:
        parts = part_names(reference.gguf_name)
        return commit, {name: size for name, size in sizes.items() if name in parts}
    return commit, wanted_files(sizes)


def all_files(reference: ModelRef) -> dict[str, int]:
    """The names and sizes in bytes of all files of the model's repository.

    Raises ModelUnavailable if the hub refuses or does not answer in time.
    """
    with hub_errors(reference):
        return _in_time(lambda: _listing(reference)[1])


def _listing(reference: ModelRef) -> tuple[str, dict[str, int]]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(reference.id, revision=reference.revision, files_metadata=True)
    return str(info.sha), {file.rfilename: file.size or 0 for file in info.siblings or ()}


def wanted_files(sizes: Mapping[str, int]) -> dict[str, int]:
    """The files of a repository that a text model loads: no other formats, no sub-folders."""
    wanted = {
        name: size
        for name, size in sizes.items()
        if _WANTED.fullmatch(name) and not _UNWANTED.fullmatch(name)
    }
    if any(name.endswith(".safetensors") for name in wanted):
        return wanted
    return wanted | {name: s for name, s in sizes.items() if _OLD_WEIGHTS.fullmatch(name)}


def check_names(reference: ModelRef, files: Mapping[str, int]) -> None:
    """Raise ModelUnavailable if these files cannot be a text model."""
    if reference.gguf_name and not files:
        raise ModelUnavailable(
            f"{reference.id} has no file {reference.gguf_name} any more.",
            hint=f"See its files: {reference.page}/tree/main",
        )
    if reference.gguf_name:
        return
    if not any(map(is_weights, files)) or "config.json" not in files:
        raise not_for_text(reference, "it has no config.json or no weights for transformers")


def _present(folder: Path, files: Mapping[str, int]) -> int:
    return sum(size for name, size in files.items() if (folder / name).is_file())


def _unfinished(reference: ModelRef) -> int:
    parts = (repository_folder(reference) / "blobs").glob("*.incomplete")
    return sum(path.stat().st_size for path in parts)


def check_disk(reference: ModelRef, missing: int) -> None:
    """Raise ModelUnavailable if `missing` more bytes do not fit on the cache's disk."""
    folder, free = cache_folder(), free_bytes()
    if missing > 0 and missing + SPARE_BYTES > free:
        raise ModelUnavailable(
            f"{reference.name} needs {size_text(missing)} more on the disk of {folder}, where "
            f"{size_text(free)} is free.",
            hint="Free some space, or use another folder: HF_HOME=/path polaris models fetch "
            f"{reference.name}",
        )
