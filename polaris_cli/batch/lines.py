"""A file of JSON objects, one per line, that a killed process leaves whole.

Knows lines and bytes. Does not know what an object means.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from polaris_cli.errors import OutputError, UsageError
from polaris_cli.formats.files import atomic_file
from polaris_cli.quoting import json_text

STARTS = (b'{"schema": "polaris', b'{"key": "')  # of the lines of stories and failures
ELSEWHERE = "Use another folder with -o."

Entry = dict[str, Any]


class Lines:
    """Opens a file to append JSON objects; creates it if it does not exist.

    `valid` says whether an object belongs in the file; `elsewhere` is the hint of an error.
    `damaged` is the number of other lines, which stay in the file. Only one process and one thread
    may write. Raises UsageError if `path` is not a regular file, OutputError if it cannot be
    written.
    """

    def __init__(
        self, path: Path, valid: Callable[[Entry], bool], elsewhere: str = ELSEWHERE
    ) -> None:
        self.path, self.damaged = path, 0
        self._valid, self._elsewhere = valid, elsewhere
        with explained(path, elsewhere):
            if path.exists() and not path.is_file():
                raise UsageError(f"{path} is not a regular file.", hint=elsewhere)
            self._file = path.open("ab", buffering=0)

    def read(self) -> Iterator[tuple[int, Entry]]:
        """Yield each object and the position of its line in bytes, one line in memory at a time.

        Then repair the end: a last object gets its line break, and a torn one is cut away. Raises
        UsageError if there is text but no valid object: the file is from another program.
        """
        position = end = 0
        line = b""
        with explained(self.path, self._elsewhere), self.path.open("rb") as file:
            for line in file:
                entry = _parsed(line, self._valid)
                if entry is not None:
                    yield position, entry
                    end = position + len(line)
                self.damaged += entry is None and line.endswith(b"\n")
                position += len(line)
            if position and not end and not _is_start(line):
                raise UsageError(f"{self.path} is a file of another program.", hint=self._elsewhere)
            if line and not line.endswith(b"\n"):
                if end == position:
                    self._write(b"\n")
                else:
                    self._file.truncate(position - len(line))

    def at(self, position: int) -> Entry:
        """The object whose line is at a position that `read` or `append` has told."""
        with explained(self.path, self._elsewhere), self.path.open("rb") as file:
            file.seek(position)
            found: Entry = json.loads(file.readline())
            return found

    def append(self, entry: Entry) -> tuple[int, Entry]:
        """Append an object, and return the position and the object as `read` would yield them.

        The line is on the disk when this returns. Raises OutputError, and removes what was written
        of the line, if writing fails.
        """
        line = encoded(entry)
        with explained(self.path, self._elsewhere):
            position = os.fstat(self._file.fileno()).st_size
            try:
                self._write(line)
            except BaseException:
                self._file.truncate(position)
                raise
        return position, json.loads(line)

    def close(self) -> None:
        """Close the file, which may be closed already."""
        self._file.close()

    def remove(self, positions: Collection[int]) -> None:
        """Close the file and remove the lines at these positions from it, atomically.

        Raises OutputError, and leaves the file as it was, if writing fails.
        """
        self.close()
        with (
            atomic_file(self.path, force=True) as temporary,
            self.path.open("rb") as lines,
            temporary.open("xb") as kept,
        ):
            position = 0
            for line in lines:
                if position not in positions:
                    kept.write(line)
                position += len(line)
            kept.flush()
            os.fsync(kept.fileno())

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())


def entries_in(path: Path, valid: Callable[[Entry], bool]) -> Iterator[Entry]:
    """The objects in a file that another process may be writing; other lines are skipped.

    Raises OSError if it cannot be read.
    """
    with path.open("rb") as lines:
        yield from filter(None, (_parsed(line, valid) for line in lines))


def _parsed(line: bytes, valid: Callable[[Entry], bool]) -> Entry | None:
    """The object in a line, or None if the line is torn or damaged."""
    try:
        entry = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and valid(entry) else None


def locked(path: Path, told: str, hint: str) -> FileLock:
    """Lock the file at `path`, which stays. Raises UsageError, in these words, if another process
    has it."""
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(told, hint=hint) from None
    return lock


def _is_start(line: bytes) -> bool:
    """Whether a torn line can be the start of one of ours."""
    return any(line.startswith(start[: len(line)]) for start in STARTS)


def encoded(entry: Entry) -> bytes:
    """An object as a line of the file."""
    return json_text(entry).encode() + b"\n"


@contextmanager
def explained(path: Path, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Raise OutputError, with this hint, for an OSError in the block, which writes to `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError.of(str(path), error, elsewhere) from error
