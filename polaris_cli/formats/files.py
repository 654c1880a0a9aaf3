"""Files that are written whole or not at all, and the check that a place can be written to.

Knows paths and bytes; not what is in them.
"""

import io
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from polaris_cli.errors import PolarisError, UsageError

MOST_UNPACKED = 100 * 2**20
"""How many bytes are read out of an archive at most."""


def check_place(path: Path, *, force: bool) -> None:
    """Raise UsageError if a file cannot be written at `path`, or is there already.

    `force` allows a file that is there. The folder is tried with a temporary file.
    """
    _check_file(path, force=force)
    folder = _target(path).parent
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".polaris-"):
            pass
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"The folder {folder} does not exist.",
            hint="Make it first, or name a file in another folder.",
        ) from None
    except OSError as error:
        raise UsageError(
            f"No file can be written in the folder {folder}: {error.strerror}.",
            hint="Name a file in another folder.",
        ) from None


def check_distinct(outputs: Mapping[str, Path | None]) -> None:
    """Raise UsageError if two of these named places, or one and standard output, are one file."""
    given = [(name, path) for name, path in outputs.items() if path]
    for (name, path), (other, same) in combinations(given, 2):
        if _is_one_file(path, same):
            raise UsageError(
                f"{name} and {other} are the same file: {path}.",
                hint=f"Name another file for {name}.",
            )
    for name, path in given:
        if _is_stdout(path):
            raise UsageError(
                f"{name} is the file that standard output goes to: {path}.",
                hint=f"Leave out {name}, or the redirection.",
            )


def _is_one_file(path: Path, other: Path) -> bool:
    """Whether both name one file, through links and in whatever spelling; it need not exist."""
    with suppress(OSError, ValueError):
        return path.samefile(other)
    one, two = (os.path.normcase(_target(place.expanduser())) for place in (path, other))
    return one == two


def _is_stdout(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    return False


def write_atomic(path: Path, data: bytes, *, force: bool) -> None:
    """Write a file whole or not at all: to a temporary file beside it, then renamed.

    A link is followed, a file that is replaced keeps its permissions. Raises UsageError for a
    file that is there already without `force`, PolarisError when writing fails.
    """
    with whole_file(path, force=force) as temporary:
        _write(temporary, data)


@contextmanager
def whole_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Give the name of a temporary file to write, which becomes the file when the block ends.

    If the block raises, nothing is left of it. Follows links and raises as `write_atomic` does.
    """
    _check_file(path, force=force)
    target = _target(path)
    temporary = target.with_name(f".polaris-{os.urandom(8).hex()}.tmp")
    try:
        try:
            yield temporary
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise PolarisError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="Make room or name another place.",
        ) from error


def zipped(members: Iterable[tuple[str, str | bytes]]) -> bytes:
    """A zip archive of these names and contents, the same bytes each time. Texts are in UTF-8.

    The first member is stored as it is, which EPUB asks for; the rest are compressed.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (name, content) in enumerate(members):
            member = zipfile.ZipInfo(name)  # dated 1980-01-01
            member.create_system = 3  # as on Unix, on every system
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED if number else zipfile.ZIP_STORED
            archive.writestr(member, content)
    return buffer.getvalue()


def unpacked(archive: zipfile.ZipFile, names: Iterable[str]) -> list[bytes]:
    """The contents of these members of a zip archive.

    Raises ValueError if they are larger than `MOST_UNPACKED` together, and what zipfile raises.
    """
    contents, left = list[bytes](), MOST_UNPACKED
    for name in names:
        with archive.open(name) as member:
            contents.append(member.read(left + 1))  # the size that the archive states may be false
        left -= len(contents[-1])
        if left < 0:
            raise ValueError(f"more than {MOST_UNPACKED} bytes")
    return contents


def _check_file(path: Path, *, force: bool) -> None:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{path} cannot be written: {reason}.", hint="Name another file."
        ) from None
    if S_ISDIR(mode):
        raise UsageError(f"{path} is a folder.", hint=f"Name a file in it: {path / 'story.md'}")
    if not S_ISREG(mode):
        raise UsageError(f"{path} is no ordinary file.", hint="Name another file.")
    if not force:
        raise UsageError(f"{path} exists already.", hint="Add --force to replace it.")


def _target(path: Path) -> Path:
    """The file itself where `path` is a link to it."""
    return Path(os.path.realpath(path))


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
