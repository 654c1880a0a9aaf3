"""The file of a judge's records, a JSON object per line: `JudgeFile`.

A killed process leaves it whole. Knows lines, not what a record says.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from polaris_cli.batch.lines import Entry, Lines, explained, locked
from polaris_cli.errors import UsageError
from polaris_cli.evaluate.aggregates import AGGREGATIONS

TEXTS = ("key", "text", "model", "rubric", "rubric_key", "aggregation", "date")
COUNTS = ("asked", "repeat", "all_criteria")
OBJECTS = ("judge", "scores", "stated")


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


def read_records(path: Path) -> Iterator[Entry]:
    """The records in a file, which another process may be writing. Raises UsageError if it cannot
    be read; damaged lines are skipped."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with suppress(ValueError, RecursionError):
                    record = json.loads(line)
                    if isinstance(record, dict) and _is_record(record):
                        yield record
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error


def _is_record(record: Entry) -> bool:
    return (
        all(isinstance(record.get(name), str) for name in TEXTS)
        and all(type(record.get(name)) is int for name in COUNTS)
        and all(isinstance(record.get(name), dict) for name in OBJECTS)
        and all(isinstance(value, int | float) for value in record["scores"].values())
        and all(isinstance(value, int | float) for value in record["stated"].values())
        and isinstance(record["judge"].get("judge"), str)
        and record["aggregation"] in AGGREGATIONS
        and record["all_criteria"] > 0
    )
