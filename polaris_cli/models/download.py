"""Resumable downloads of a model's weights into the hub's cache.

Own code, because huggingface_hub from 1.18 on restarts a partial file from zero. Weights are
gigabytes, so here each file resumes where it stopped, and its checksum is verified. Knows the hub's
protocol and the layout of its cache; `hub` chooses the files.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from polaris_cli.models.cache import cache_folder, repository_folder
from polaris_cli.models.hub_errors import is_network_error, wrong_checksum
from polaris_cli.models.reference import ModelRef

OnBytes = Callable[[int], None]
"""Called with the number of bytes just added."""

CHUNK_BYTES = 2**20
TRIES = 5
"""How many times in a row a connection may fail without delivering a byte."""

SHA256_LENGTH = 64


def download(reference: ModelRef, name: str, commit: str, on_bytes: OnBytes) -> None:
    """Download the file `name` of a commit into the cache, resuming a partial download.

    Raises what the hub's client raises, and ModelUnavailable if the checksum is wrong.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import WeakFileLock

    folder = repository_folder(reference)
    place = folder / "snapshots" / commit / name
    if place.is_file():
        return
    url = hf_hub_url(reference.id, name, revision=commit)
    there = get_hf_file_metadata(url, timeout=60)
    etag = there.etag
    if not etag:
        return  # the hub's client, which runs next, reports a server without ETags
    blob = folder / "blobs" / etag
    lock = cache_folder() / ".locks" / folder.name / f"{etag}.lock"
    for path in (blob, lock):
        path.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if not blob.exists():
            _complete(reference, url, blob, there.size or 0, on_bytes)
        _link(place, blob)


def _complete(reference: ModelRef, url: str, blob: Path, size: int, on_bytes: OnBytes) -> None:
    part = blob.with_name(f"{blob.name}.incomplete")
    with part.open("ab") as file:
        on_bytes(file.tell())
        for count in _received(url, file, size):
            on_bytes(count)
    if not _is_intact(part, blob.name):
        part.unlink()
        raise wrong_checksum(reference)
    part.replace(blob)


def _received(url: str, file: BinaryIO, size: int) -> Iterator[int]:
    """Append the rest of `url` to the file; yield the number of bytes of each chunk.

    Reconnects after a network error, where the hub is busy, or where an answer ends before the file
    has its `size`, up to `TRIES` times in a row without a byte.
    """
    tries = 0
    while True:
        try:
            for chunk in _chunks(url, file.tell()):
                file.write(chunk)
                tries = 0
                yield len(chunk)
            if file.tell() < size:  # it was another page, say: what is here must not be lost
                raise ConnectionError("the answer ended before the file did")
            return
        except Exception as error:
            tries += 1
            if tries > TRIES or not (is_network_error(error) or _is_busy(error)):
                raise
            logging.getLogger(__name__).info("Resuming %s after %r", url, error)
            time.sleep(min(2**tries / 4, 8))
        finally:
            file.flush()


def _is_busy(error: Exception) -> bool:
    """Whether the hub refuses now what it may give in a moment."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    return status in (408, 429) or status >= 500


def _chunks(url: str, start: int) -> Iterator[bytes]:
    """The bytes of `url` from offset `start` on."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    headers: dict[str, str] = build_hf_headers() | {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    session: Any = get_session()
    with session.stream("GET", url, headers=headers, follow_redirects=True, timeout=60) as answer:
        if start and answer.status_code == 416:  # the range starts at the end: it is complete
            return
        hf_raise_for_status(answer)
        skip = 0 if answer.status_code == 206 else start  # the server may ignore the range
        for chunk in answer.iter_bytes(CHUNK_BYTES):
            if skip < len(chunk):
                yield chunk[skip:]
            skip = max(0, skip - len(chunk))


def _is_intact(path: Path, etag: str) -> bool:
    """Whether the file matches its ETag, if that is a SHA-256; True for other ETags."""
    if len(etag) != SHA256_LENGTH:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == etag


def _link(place: Path, blob: Path) -> None:
    """Link the file's name to the blob, as the hub's client does; move it if links fail."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        place.symlink_to(os.path.relpath(blob, place.parent))
    except OSError:
        blob.replace(place)
