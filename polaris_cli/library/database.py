"""The SQLite file of the library: opens it, creates and migrates the tables, explains errors.

Knows the tables. Does not know what a story is or when one is saved.
"""

import os
import shlex
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path

from polaris_cli.errors import LibraryError, OutputError

PRIVATE = 0o600  # permissions: stories are their writer's
MEMORY = ":memory:"
BUSY_FOR = 5.0  # seconds to wait while another process writes

_ELSEWHERE = "Use another file: POLARIS_LIBRARY=FILE"
_APPLICATION = 0x504F4C41  # "POLA", the application id of a library

# Each entry migrates the file to the next version (`PRAGMA user_version`). A released entry must
# never change.
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
    # To find the held text without reading all rows of the story.
    ("CREATE INDEX part_held ON part (story) WHERE kind = 'held'",),
    # Lists as JSON; a vote stays when its stories are removed.
    (
        """CREATE TABLE vote (n INTEGER PRIMARY KEY, created TEXT NOT NULL, stories TEXT NOT NULL,
            models TEXT NOT NULL, chosen TEXT NOT NULL)""",
    ),
    # So that a story that is resumed has the surprise of all its tokens.
    ("ALTER TABLE part ADD COLUMN log_probs BLOB NOT NULL DEFAULT x''",),
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file in WAL mode (one writer, many readers), and create or migrate its tables."""
    _make_private(path)
    db = _open(path)
    try:
        _check_file(db, path)
        _use_wal(db)
        db.execute("PRAGMA synchronous = NORMAL")  # safe if the process is killed; no sync per save
        if _pragma(db, "user_version") < len(_MIGRATIONS):
            _migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def connect_read_only(path: Path, problem: sqlite3.OperationalError) -> sqlite3.Connection:
    """A connection for reading, where `connect` failed with `problem`; for one use only.

    To read in WAL mode, SQLite needs two more files, which it creates next to the library. On a
    full disk, it can do without them while no other process reads. Where nothing can be written,
    the file is opened as immutable, or copied together with its WAL file: no other process may
    change it meanwhile. Raises `problem` if the file and its folder can be written.
    """
    full = _is_full(problem)
    if not full and os.access(path.parent, os.W_OK) and os.access(path, os.W_OK):
        raise problem
    with suppress(sqlite3.OperationalError):
        return _read_only(path, "mode=ro")
    if full:
        return _read_only(path, "mode=rw", alone=True)
    return _in_memory(path) if _is_filled(_wal(path)) else _read_only(path, "mode=ro&immutable=1")


def _in_memory(path: Path) -> sqlite3.Connection:
    """A copy of the library with the text that is in its WAL file only."""
    memory = _open(MEMORY)
    with tempfile.TemporaryDirectory(prefix="polaris-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(_wal(path), _wal(copy))
        with closing(_read_only(copy, "mode=rw")) as whole:
            whole.backup(memory)
    memory.execute("PRAGMA query_only = ON")
    return memory


def _read_only(path: Path, how: str, *, alone: bool = False) -> sqlite3.Connection:
    db = _open(f"{path.absolute().as_uri()}?{how}", uri=True)
    try:
        db.execute("PRAGMA query_only = ON")
        if alone:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check_file(db, path)
    except BaseException:
        db.close()
        raise
    return db


def back_up(db: sqlite3.Connection, target: Path) -> bool:
    """Copy the database, including what is only in its WAL file, to one file without a WAL.

    Returns whether the copy is whole: of a damaged library it is not. Raises OutputError if the
    copy cannot be written.
    """
    _make_private(target)
    copy = _open(target)
    try:
        db.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        return bool(copy.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error as error:
        if error.sqlite_errorcode not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
            raise
        raise OutputError(
            f"Cannot write the copy: {error}.", hint="Free some space, or use another disk."
        ) from error
    finally:
        copy.close()


def remove_logs(path: Path) -> None:
    """Delete the files that SQLite keeps next to a file that is about to be replaced.

    SQLite would take what is in them for text of the new file. Raises OutputError if another
    program has the file open.
    """
    path = path.resolve()
    if path.exists():
        _check_unused(path)
    for ending in ("-wal", "-shm", "-journal"):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _check_unused(path: Path) -> None:
    """Raise OutputError if another program has the file open; it need not be one of SQLite."""
    with closing(_open(path)) as db:
        try:
            db.execute("PRAGMA journal_mode = DELETE")  # a connection in WAL mode forbids this
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY:
                raise OutputError(
                    f"{path} is in use by another program.",
                    hint="End that program, or use another file.",
                ) from error


def _open(path: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    db = sqlite3.connect(
        path, timeout=BUSY_FOR, isolation_level=None, check_same_thread=False, uri=uri
    )
    db.text_factory = lambda data: data.decode("utf-8", "replace")  # a damaged text hides no other
    return db


def _make_private(path: Path) -> None:
    """Make the file one that only its owner may read; SQLite's other files get its permissions.

    Earlier releases made libraries that everybody could read. A path that is no library, which may
    be a folder or a device, stays as it is.
    """
    if str(path) == MEMORY:
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
    except FileExistsError:
        with suppress(OSError):  # it is somebody else's, or on a disk without permissions
            if path.stat().st_mode & 0o077 and _is_library(path):
                path.chmod(PRIVATE)


def _is_library(path: Path) -> bool:
    """Whether the header of the file has the id of a library; the file is not opened by SQLite."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(68)  # where https://www.sqlite.org/fileformat.html has it
        return file.read(4) == _APPLICATION.to_bytes(4)


def _check_file(db: sqlite3.Connection, path: Path) -> None:
    filled = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if filled and _pragma(db, "application_id") != _APPLICATION:
        raise LibraryError(
            f"{path} is an SQLite file of another program.",
            hint=_ELSEWHERE,
        )
    if _pragma(db, "user_version") > len(_MIGRATIONS):
        raise LibraryError(
            f"The library {path} was made by a newer version of polaris.",
            hint="Update polaris, or use another file: POLARIS_LIBRARY=FILE",
        )


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL mode, with retries: SQLite does not wait if two processes do this at once."""
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
        version = _pragma(db, "user_version")  # another process may have migrated it by now
        for statement in chain.from_iterable(_MIGRATIONS[version:]):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def atomic(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: commit at the end, roll back after an exception."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.commit()
    except BaseException:
        db.rollback()
        raise


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn exceptions of SQLite and the file system into a LibraryError."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explain(path, error) from error
    except OSError as error:
        reason = error.strerror or error
        raise LibraryError(
            f"The library {path} cannot be opened: {reason}.", hint=_ELSEWHERE
        ) from error


def _explain(path: Path, error: sqlite3.Error) -> LibraryError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary result code
    if code == sqlite3.SQLITE_NOTADB:
        return LibraryError(
            f"{path} is not a library, or its header is damaged.",
            hint="Use another file with POLARIS_LIBRARY=FILE. If it was your library, move it "
            "away, and polaris makes a new one.",
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path)
    if _is_full(error):
        return LibraryError(
            f"The disk of the library {path} is full.",
            hint="Free some space there, or use another file: POLARIS_LIBRARY=FILE",
        )
    if code == sqlite3.SQLITE_READONLY or _is_shut(path, code):
        return LibraryError(
            f"The library {path} is read-only: its file or folder cannot be written.",
            hint=_ELSEWHERE,
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LibraryError(
            f"The library {path} is in use by another program.",
            hint="Try again when that program is done.",
        )
    return LibraryError(
        f"The library {path} cannot be used: {_reason(path) or error}.", hint=_ELSEWHERE
    )


def damaged(path: Path) -> LibraryError:
    """The error for a library that cannot be read. Its newest text may be in the WAL file, which
    SQLite deletes next to a new library."""
    endings = ["", *(["-wal"] if _is_filled(_wal(path)) else [])]
    moves = (shlex.join(["mv", f"{path}{each}", f"{path}.damaged{each}"]) for each in endings)
    return LibraryError(
        f"The library {path} is damaged.",
        hint=f"Move it away, and polaris makes a new one: {'; '.join(moves)}",
    )


def _wal(path: Path) -> Path:
    """The file next to a library that has its newest text."""
    return Path(f"{path}-wal")


def _is_filled(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _is_full(error: sqlite3.Error) -> bool:
    """Whether there is no room for the library, or for the index of its WAL file."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def _is_shut(path: Path, code: int) -> bool:
    """Whether SQLite cannot create its files, because the folder of the library is read-only."""
    return code == sqlite3.SQLITE_CANTOPEN and path.exists() and not os.access(path.parent, os.W_OK)


def _reason(path: Path) -> str | None:
    """Why the system does not open the file, which SQLite does not say."""
    try:
        path.open("rb").close()
    except OSError as error:
        return error.strerror
    return None
