"""The file of a judge's records, a JSON object per line: `JudgeFile`.

A killed process leaves it whole. Knows lines, not what a record says.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from polaris_cli.batch.lines import Entry, Lines, entries_in, explained, locked
from polaris_cli.errors import UsageError
from polaris_cli.evaluate.aggregates import AGGREGATIONS

TEXTS = ("key", "text", "model", "rubric", "rubric_key", "aggregation", "date")
COUNTS = ("asked", "repeat", "all_criteria")
OBJECTS = ("judge", "scores", "stated")
ELSEWHERE = "Use another file with -o."
LARGEST = 1e9  # of a score that an answer can have


class JudgeFile:
    """The records of this run and earlier ones. Only one process may write to a file.

    Raises UsageError if another one does, or if it is not such a file; OutputError if it cannot be
    written.
    """

    def __init__(self, path: Path) -> None:
        with ExitStack() as opened:
            _check_kind(path)
            with explained(path, ELSEWHERE):
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = locked(
                    path.with_name(f".{path.name}.lock"),
                    f"Another polaris eval judge writes to {path}.",
                    "Wait until it is done, or use another file with -o.",
                )
            opened.callback(lock.release)
            self._lines = opened.enter_context(closing(Lines(path, _is_record, ELSEWHERE)))
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

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def _check_kind(path: Path) -> None:
    """Raise UsageError for a file that begins with something else than a record."""
    try:
        with path.open("rb") as file:
            first = file.readline()
        record = json.loads(first)
    except (OSError, ValueError, RecursionError):
        return  # `Lines` says what is wrong with it
    if not (isinstance(record, dict) and _is_record(record)):
        raise UsageError(f"{path} has no records of a judge, but something else.", hint=ELSEWHERE)


def read_records(path: Path) -> Iterator[Entry]:
    """The records in a file, which another process may be writing. Damaged lines are skipped.

    Raises UsageError if it cannot be read, or has other lines only.
    """
    found, size = 0, 0
    try:
        for record in entries_in(path, _is_record):
            found += 1
            yield record
        size = path.stat().st_size
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.") from error
    if size and not found:
        raise UsageError(
            f"{path} has no records of a judge.", hint="Give the file that polaris eval judge made."
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < LARGEST  # no NaN either


def _is_record(record: Entry) -> bool:
    return (
        all(isinstance(record.get(name), str) for name in TEXTS)
        and all(type(record.get(name)) is int for name in COUNTS)
        and all(isinstance(record.get(name), dict) for name in OBJECTS)
        and all(map(_is_number, record["scores"].values()))
        and all(map(_is_number, record["stated"].values()))
        and isinstance(record["judge"].get("judge"), str)
        and isinstance(record.get("checklist", {}), dict)
        and record["aggregation"] in AGGREGATIONS
        and record["all_criteria"] > 0
    )
