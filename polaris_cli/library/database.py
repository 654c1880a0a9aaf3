"""The SQLite file of the library: opening, tables and their versions, trouble in words.

Knows the tables; not what a story is or when one is saved.
"""

import os
import shlex
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

from polaris_cli.errors import LibraryError

BUSY_FOR = 5.0  # seconds to wait for another process that is saving

_ELSEWHERE = "Name another file with POLARIS_LIBRARY=FILE, or add --no-save."
_APPLICATION = 0x504F4C41  # "POLA": tells a library from any other SQLite file

# Each entry takes the file one version up (`PRAGMA user_version`). Published ones never change.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE story (
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created TEXT NOT NULL,
            title TEXT NOT NULL, premise TEXT NOT NULL, model TEXT NOT NULL,
            requested INTEGER NOT NULL, written INTEGER NOT NULL, state TEXT NOT NULL,
            host TEXT NOT NULL DEFAULT '', pid INTEGER NOT NULL DEFAULT 0,
            seen REAL NOT NULL DEFAULT 0, record TEXT NOT NULL, text TEXT NOT NULL)""",
        """CREATE TABLE part (
            n INTEGER PRIMARY KEY, story TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
            tokens INTEGER NOT NULL, ids BLOB NOT NULL)""",
        "CREATE INDEX part_of_story ON part (story)",
        """CREATE VIRTUAL TABLE found USING fts5 (title, premise, text, content='story',
            content_rowid='n', tokenize='porter unicode61 remove_diacritics 2')""",
        """CREATE TRIGGER story_added AFTER INSERT ON story BEGIN
            INSERT INTO found (rowid, title, premise, text)
            VALUES (new.n, new.title, new.premise, new.text); END""",
        """CREATE TRIGGER story_changed AFTER UPDATE OF title, premise, text ON story BEGIN
            INSERT INTO found (found, rowid, title, premise, text)
            VALUES ('delete', old.n, old.title, old.premise, old.text);
            INSERT INTO found (rowid, title, premise, text)
            VALUES (new.n, new.title, new.premise, new.text); END""",
        """CREATE TRIGGER story_removed AFTER DELETE ON story BEGIN
            INSERT INTO found (found, rowid, title, premise, text)
            VALUES ('delete', old.n, old.title, old.premise, old.text);
            DELETE FROM part WHERE story = old.id; END""",
    ),
    # So that the text held back is found without a look at all the text before it.
    ("CREATE INDEX part_held ON part (story) WHERE kind = 'held'",),
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, make or update its tables, and prefer many readers with one writer (WAL)."""
    db = _opened(path)
    try:
        _check_kind(db, path)
        _use_wal(db)
        db.execute("PRAGMA synchronous = NORMAL")  # safe from a killed process; no wait per save
        if _pragma(db, "user_version") < len(_MIGRATIONS):
            _migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """As `connect`, also where nothing can be written.

    SQLite reads a library in WAL mode only with two files beside it, which it makes if it can.
    Where it cannot, it has to be told that no other process changes the library.
    """
    try:
        return connect(path)
    except sqlite3.OperationalError:
        if os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
            raise
    with suppress(sqlite3.OperationalError):
        return _read_only(path, "mode=ro")
    return _read_only(path, "mode=ro&immutable=1")


def _read_only(path: Path, how: str) -> sqlite3.Connection:
    db = _opened(f"{path.absolute().as_uri()}?{how}", uri=True)
    try:
        _check_kind(db, path)
    except BaseException:
        db.close()
        raise
    return db


def back_up(db: sqlite3.Connection, target: Path) -> None:
    """Copy all that is in `db`, what only its WAL file holds too, into one file without a WAL."""
    copy = _opened(target)
    try:
        db.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()


def _opened(path: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_FOR, isolation_level=None, check_same_thread=False, uri=uri
    )


def _check_kind(db: sqlite3.Connection, path: Path) -> None:
    filled = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if filled and _pragma(db, "application_id") != _APPLICATION:
        raise LibraryError(
            f"{path} is an SQLite file of another program.",
            hint="Name another file: POLARIS_LIBRARY=FILE",
        )
    if _pragma(db, "user_version") > len(_MIGRATIONS):
        raise LibraryError(
            f"The library {path} was made by a newer polaris.",
            hint="Update polaris, or name another file: POLARIS_LIBRARY=FILE",
        )


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait by itself when two processes do so at once."""
    deadline = time.monotonic() + BUSY_FOR
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _migrate(db: sqlite3.Connection) -> None:
    with atomic(db):
        version = _pragma(db, "user_version")  # another process may have been faster
        for statement in chain.from_iterable(_MIGRATIONS[version:]):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def atomic(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One change, whole or not at all, which no other process can come between."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.commit()
    except BaseException:
        db.rollback()
        raise


@contextmanager
def empty() -> Iterator[sqlite3.Connection]:
    """A library without stories, in memory."""
    db = connect(Path(":memory:"))
    try:
        yield db
    finally:
        db.close()


@contextmanager
def worded(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system report into a LibraryError."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error
    except OSError as error:
        reason = error.strerror or error
        raise LibraryError(
            f"The library {path} cannot be opened: {reason}.", hint=_ELSEWHERE
        ) from error


def _explained(path: Path, error: sqlite3.Error) -> LibraryError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    if code == sqlite3.SQLITE_NOTADB:
        return LibraryError(
            f"{path} is no library, or is damaged from its first line on.",
            hint="Name another file with POLARIS_LIBRARY=FILE; if it was your library, move it "
            "away and a new one is made.",
        )
    if code == sqlite3.SQLITE_CORRUPT:
        old, new = shlex.quote(str(path)), shlex.quote(f"{path}.damaged")
        return LibraryError(
            f"The library {path} is damaged.",
            hint=f"Move it away and a new one is made: mv {old} {new}",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LibraryError(
            f"The library {path} is in use by another program.",
            hint="Try again when that one is done.",
        )
    return LibraryError(f"The library {path} cannot be used: {error}.", hint=_ELSEWHERE)
