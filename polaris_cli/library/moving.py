"""Takes the stories that this process is writing out of a library whose file was moved or deleted.

SQLite keeps such a file open and writes to it, where nobody finds it. Knows the rows of a story.
Does not know when a file has moved (`store`).
"""

import os
import platform
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from polaris_cli.library.database import atomic

FileId = tuple[int, int]
Rows = list[tuple[Any, ...]]
Taken = tuple[tuple[Any, ...], Rows]  # the row of a story, and those of its parts

_STORY = (
    "id, created, title, premise, model, requested, written, state, host, pid, seen, record, text"
)
_PART = "story, kind, text, tokens, ids, log_probs"


def file_id(path: Path) -> FileId | None:
    """What tells the file from any other that comes to its path; None if there is none."""
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def take_out(db: sqlite3.Connection, state: str) -> list[Taken]:
    """The stories that this process is writing, those in `state`.

    All text in the WAL file is written to the library first, which may be at another path now:
    nothing else would, and SQLite would take it for text of the file that is at the old path.
    """
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    mine = f"SELECT {_STORY} FROM story WHERE state = ? AND host = ? AND pid = ? ORDER BY n"
    parts = f"SELECT {_PART} FROM part WHERE story = ? ORDER BY n"
    stories = db.execute(mine, [state, platform.node(), os.getpid()]).fetchall()
    return [(row, db.execute(parts, row[:1]).fetchall()) for row in stories]


def put_in(db: sqlite3.Connection, taken: Iterable[Taken]) -> None:
    """Add stories that were taken out of another file, unless they are there already."""
    with atomic(db):
        for row, parts in taken:
            if _insert(db, "INSERT OR IGNORE", "story", _STORY, [row]):
                _insert(db, "INSERT", "part", _PART, parts)


def _insert(db: sqlite3.Connection, how: str, table: str, columns: str, rows: Rows) -> int:
    """Insert rows; how many were."""
    places = ", ".join("?" * (columns.count(",") + 1))
    return db.executemany(f"{how} INTO {table} ({columns}) VALUES ({places})", rows).rowcount
