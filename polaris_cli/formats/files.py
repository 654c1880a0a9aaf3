"""Atomic writes, zip archives, and checks that an output path can be written.

Knows paths and bytes, not what is in them.
"""

import io
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path
from stat import S_ISREG

from polaris_cli.errors import OutputError, UsageError
from polaris_cli.request.paths import expanded

STDOUT = Path("-")
"""How a user names standard output."""

MAX_UNPACKED = 100 * 2**20
"""The most bytes to read from an archive."""

_unfinished: set[Path] = set()  # the temporary files that are being written


def check_writable(path: Path, *, force: bool) -> None:
    """Raise UsageError if a file cannot be written at `path`, or exists already.

    `force` allows an existing file. Tests the folder with a temporary file.
    """
    if path == STDOUT:
        raise UsageError("- is standard output, which only --output can name.", hint="Name a file.")
    _check_file(path, force=force)
    folder = _target(path).parent
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".polaris-"):
            pass
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> UsageError:
    """The error for a folder in which no file can be made."""
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    if missing and not folder.is_dir():
        return UsageError(
            f"The folder {folder} does not exist.", hint="Create the folder, or use another one."
        )
    reason = "it takes no new files" if missing else error.strerror  # such as /proc
    return UsageError(
        f"Cannot write to the folder {folder}: {reason}.", hint="Use a file in another folder."
    )


def check_distinct(outputs: Iterable[tuple[str, Path]]) -> None:
    """Raise UsageError if two of these named outputs, or one and stdout, are the same file."""
    given = list(outputs)
    for (name, path), (other, same) in combinations(given, 2):
        if _same_file(path, same):
            both = f"{name} and {other} are" if name != other else f"{name} is given twice for"
            raise UsageError(f"{both} the same file: {path}.", hint=f"Use another file for {name}.")
    for name, path in given:
        if _is_stdout(path):
            raise UsageError(
                f"{name} and standard output are the same file: {path}.",
                hint=f"Leave out {name} or the redirection.",
            )


def _same_file(path: Path, other: Path) -> bool:
    """Whether both paths lead to the same file, which may not exist yet. Follows links."""
    with suppress(OSError, ValueError):
        return path.samefile(other)
    one, two = (os.path.normcase(_target(expanded(place))) for place in (path, other))
    return one == two


def _is_stdout(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    return False


def write_atomic(path: Path, data: bytes, *, force: bool) -> None:
    """Write a file atomically: write a temporary file next to it, then rename that.

    Follows links; a replaced file keeps its permissions. Raises UsageError for an existing file
    without `force`, OutputError if writing fails.
    """
    write_pieces(path, (data,), force=force)


def write_pieces(path: Path, pieces: Iterable[bytes], *, force: bool) -> None:
    """Write a file as `write_atomic` does, from pieces that need not fit in memory together."""
    with atomic_file(path, force=force) as temporary:
        _write(temporary, pieces)


@contextmanager
def atomic_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield the path of a temporary file, which replaces `path` when the block ends.

    If the block raises, the temporary file is deleted. Links and errors are as in `write_atomic`.
    """
    _check_file(path, force=force)
    target = _target(path)
    temporary = target.with_name(f".polaris-{os.urandom(8).hex()}.tmp")
    _unfinished.add(temporary)
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
        raise OutputError.of(str(path), error, "Use another file.") from error
    finally:
        _unfinished.discard(temporary)


def remove_unfinished() -> None:
    """Delete the temporary files: for a process that is about to exit."""
    for temporary in [*_unfinished]:
        with suppress(OSError):
            temporary.unlink()


def zipped(members: Iterable[tuple[str, str | bytes]]) -> bytes:
    """A zip archive of these names and contents, the same bytes each time. Text is UTF-8.

    The first member is not compressed, as EPUB requires; the others are.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (name, content) in enumerate(members):
            member = zipfile.ZipInfo(name)  # its default date is 1980-01-01
            member.create_system = 3  # Unix, on every system
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED if number else zipfile.ZIP_STORED
            archive.writestr(member, content)
    return buffer.getvalue()


def unpacked(archive: zipfile.ZipFile, names: Iterable[str]) -> list[bytes]:
    """The contents of these members of a zip archive.

    Raises ValueError if they are larger than `MAX_UNPACKED` in total, and zipfile's errors.
    """
    contents, left = list[bytes](), MAX_UNPACKED
    for name in names:
        with archive.open(name) as member:
            contents.append(member.read(left + 1))  # do not trust the size that the archive states
        left -= len(contents[-1])
        if left < 0:
            raise ValueError(f"more than {MAX_UNPACKED} bytes")
    return contents


def check_no_folder(path: Path) -> None:
    """Raise UsageError if the path is a folder."""
    with suppress(OSError, ValueError):  # a name that no file can have
        if path.is_dir():
            raise UsageError(f"{path} is a folder.", hint=f"Use a file in it: {path / 'story.md'}")


def _check_file(path: Path, *, force: bool) -> None:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"Cannot write {path}: {reason}.", hint="Use another file.") from None
    check_no_folder(path)
    if not S_ISREG(mode):
        raise UsageError(f"{path} is not a regular file.", hint="Use another file.")
    if not force:
        raise UsageError(f"{path} already exists.", hint="Add --force to overwrite it.")


def _target(path: Path) -> Path:
    """The path with links resolved."""
    return Path(os.path.realpath(path))


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("xb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
