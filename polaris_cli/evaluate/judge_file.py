"""The file of a judge's records, a JSON object per line: `JudgeFile`.

A killed process leaves it whole. Knows lines, not what a record says.
"""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

from polaris_cli.batch.lines import Entry, Lines, explained, locked

TEXTS = ("key", "text", "model", "rubric")


class JudgeFile:
    """The records of this run and earlier ones. Only one process may write to a file.

    Raises UsageError if another one does, or if it is not such a file; OutputError if it cannot be
    written.
    """

    def __init__(self, path: Path) -> None:
        with ExitStack() as opened:
            with explained(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = locked(
                    path.with_name(f".{path.name}.lock"),
                    f"Another polaris eval judge writes to {path}.",
                    "Wait until it is done, or use another file with -o.",
                )
            opened.callback(lock.release)
            self._lines = opened.enter_context(closing(Lines(path, _is_record)))
            self._records = {record["key"]: record for _, record in self._lines.read()}
            self._opened = opened.pop_all()

    @property
    def records(self) -> Mapping[str, Entry]:
        """The records by their keys."""
        return self._records

    def add(self, record: Entry) -> None:
        """Save a record. It is on the disk on return."""
        self._lines.append(record)
        self._records[record["key"]] = record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()


def _is_record(record: Entry) -> bool:
    texts = all(isinstance(record.get(name), str) for name in TEXTS)
    return texts and isinstance(record.get("scores"), dict)
