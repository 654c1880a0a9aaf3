"""The library: one SQLite file that keeps every story while it is being written.

Knows rows, the parts of a running story and word search; not how a story comes to be, when it is
saved (`recording`), how it is shown or how it is exported.
"""

import os
import platform
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from json import JSONDecodeError, dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from polaris_cli.errors import LibraryError, UsageError
from polaris_cli.events import Chunk, Event, merged
from polaris_cli.library.database import (
    atomic,
    back_up,
    connect,
    connect_for_reading,
    empty,
    worded,
)
from polaris_cli.library.parts import packed, unpacked
from polaris_cli.request.adherence import ratio

if TYPE_CHECKING:  # a list needs no whole story, and need not wait for it
    from polaris_cli.story.result import Story

WRITING = "writing"  # the state of a story whose writer is at work
KILLED = "killed"  # the state of a story whose writer ended without a word
HELD = "held"  # the kind of a part that stands at the end as long as it may yet be set aside

STALE_AFTER = 10.0  # seconds without a sign of life, after which a writer counts as killed

_ENTRY = "id, created, title, premise, model, requested, written, state, host, pid, seen"


@dataclass(frozen=True, slots=True)
class Entry:
    """One story in a listing. `state` is a finish reason, "writing" or "killed"."""

    id: str
    created: str
    title: str
    premise: str
    model: str
    requested: int
    written: int
    state: str

    @property
    def ratio(self) -> float:
        """Words written / words asked."""
        return ratio(self.written, self.requested)


def library_path() -> Path:
    """Where the library is: POLARIS_LIBRARY if set, else in the user's data folder."""
    if chosen := os.environ.get("POLARIS_LIBRARY"):
        return Path(chosen).expanduser()
    return platformdirs.user_data_path("polaris", appauthor=False) / "library.db"


def open_library(path: Path | None = None) -> "Library":
    """The library at `path`, or the user's own. Touches nothing before it is used."""
    return Library(path)


class Library:
    """The stories in one file. Threads and processes may share it.

    The file is made by the first story. Every method raises LibraryError when the file cannot
    be read or written; those that take a `ref` (an id, the beginning of one, or "last") raise
    UsageError when it does not name exactly one story.
    """

    def __init__(self, path: Path | None = None) -> None:
        """`path` is the library's file, without it the user's own."""
        self.path = path or library_path()
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def start(self, begun: "Story") -> None:
        """Add a story that is about to be written; once more when its plan is known."""
        with self._transaction() as db:
            _put(db, begun, WRITING)
            _sign(db, begun.id)

    def append(self, id: str, events: Iterable[Event], held: Iterable[Chunk] = ()) -> None:
        """Add to the text of a story that was started; no events are a mere sign of life.

        `held` ends the text until the next call, which replaces it.
        """
        with self._transaction() as db:
            db.execute(f"DELETE FROM part WHERE story = ? AND kind = '{HELD}'", [id])
            db.executemany(
                "INSERT INTO part (story, kind, text, tokens, ids) VALUES (?, ?, ?, ?, ?)",
                [*_rows(id, events), *((id, HELD, *row[2:]) for row in _rows(id, held))],
            )
            _sign(db, id)

    def finish(self, story: "Story") -> None:
        """Keep the whole record of a story, whether or not it was ever started."""
        with self._transaction() as db:
            _put(db, story, story.finish)

    def entries(self, limit: int | None = None) -> list[Entry]:
        """The stories, newest first; at most `limit` of them."""
        with self._reading() as db:
            rows = db.execute(f"SELECT {_ENTRY} FROM story ORDER BY n DESC LIMIT ?", [limit or -1])
            return [_listed(db, row) for row in rows.fetchall()]

    def search(self, words: Sequence[str], limit: int | None = None) -> list[Entry]:
        """The stories with all of these words in title, premise or text, best match first."""
        with self._reading() as db:
            with suppress(sqlite3.OperationalError):  # a full disk must not hide the stories
                _catch_up(db)
            rows = db.execute(
                f"SELECT {_ENTRY} FROM story JOIN (SELECT rowid AS n, rank FROM found "
                "WHERE found MATCH ?) USING (n) ORDER BY rank, n DESC LIMIT ?",
                [_query(words), limit or -1],
            )
            return [_listed(db, row) for row in rows.fetchall()]

    def entry(self, ref: str) -> Entry:
        """The listing of one story."""
        with self._reading() as db:
            return _find(db, ref)

    def get(self, ref: str) -> "Story":
        """One story; the finish of one that is being written or was killed is "interrupted"."""
        with self._reading() as db:
            return _load(db, _find(db, ref).id)

    def events(self, ref: str) -> list[Event]:
        """What a story's stream brought, in order, with the token ids it came with."""
        with self._reading() as db:
            id = _find(db, ref).id
            kept = db.execute("SELECT record FROM story WHERE id = ?", [id]).fetchone()
            return list(_events(db, id, loads(kept[0])))

    def remove(self, ref: str) -> None:
        """Remove a story. Raises UsageError while it is being written."""
        entry = self.entry(ref)
        if entry.state == WRITING:
            raise UsageError(
                f"Story {entry.id} is being written at this moment.",
                hint="Stop its writer with Ctrl-C first.",
            )
        with self._transaction() as db:
            db.execute("DELETE FROM story WHERE id = ?", [entry.id])

    def back_up(self, target: Path) -> None:
        """Copy the library to a new file, with all stories as they stand now, running ones too."""
        with self._reading() as db:
            back_up(db, target)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One change, whole or not at all."""
        with self._lock, worded(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._connection is None:
                self._connection = connect(self.path)
            with atomic(self._connection) as db:
                yield db

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The stories as they stand now; looking at a library that is not there makes no file."""
        with self._lock, worded(self.path):
            if not self.path.exists():
                with empty() as db:
                    yield db
                return
            if self._connection is None:
                self._connection = connect_for_reading(self.path)
            yield self._connection


def _put(db: sqlite3.Connection, story: "Story", state: str) -> None:
    """Write all that a row says of its story; who writes it is left as it is."""
    kept = story.as_dict()
    del kept["story"]  # has a column of its own, for the search
    columns = "id, created, title, premise, model, requested, written, state, record, text"
    values = (story.id, story.created, story.title, story.premise, story.model.name)
    counts = (story.requested, story.written)
    db.execute(
        f"INSERT INTO story ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET title = excluded.title, requested = excluded.requested, "
        "written = excluded.written, state = excluded.state, record = excluded.record, "
        "text = excluded.text",
        (*map(_storable, values), *counts, state, dumps(kept), _storable(story.text)),
    )


def _sign(db: sqlite3.Connection, id: str) -> None:
    """Note that this process writes the story, and lives."""
    db.execute(
        "UPDATE story SET state = ?, host = ?, pid = ?, seen = ? WHERE id = ?",
        [WRITING, platform.node(), os.getpid(), time.time(), id],
    )


def _listed(db: sqlite3.Connection, row: tuple[Any, ...]) -> Entry:
    """The entry of a row of `_ENTRY`; for a story still being written, or killed, as it is now."""
    *columns, host, pid, seen = row
    entry = Entry(*columns)
    if entry.state != WRITING:
        return entry
    state = WRITING if _alive(host, pid, seen) else KILLED
    with suppress(LibraryError):  # one odd record must not hide the others
        story = _load(db, entry.id)
        entry = replace(entry, title=story.title, written=story.written)
    return replace(entry, state=state)


def _catch_up(db: sqlite3.Connection) -> None:
    """Bring the rows of stories without an end up to date, so that a search sees their text."""
    running = f"SELECT {_ENTRY} FROM story WHERE state = ?"
    if not db.execute(running, [WRITING]).fetchone():
        return
    with atomic(db):
        for row in db.execute(running, [WRITING]).fetchall():
            entry = _listed(db, row)
            with suppress(LibraryError):
                _put(db, _load(db, entry.id), entry.state)


def _alive(host: str, pid: int, seen: float) -> bool:
    if time.time() - seen > STALE_AFTER:
        return False
    if host != platform.node() or os.name == "nt":  # signal 0 asks on POSIX only
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _find(db: sqlite3.Connection, ref: str) -> Entry:
    wanted = _storable(ref.strip().lower())
    if wanted == "last":
        rows = db.execute(f"SELECT {_ENTRY} FROM story ORDER BY n DESC LIMIT 1")
    else:
        rows = db.execute(
            f"SELECT {_ENTRY} FROM story WHERE ?1 <> '' AND substr(id, 1, length(?1)) = ?1 "
            "ORDER BY id LIMIT 5",
            [wanted],
        )
    entries = [_listed(db, row) for row in rows.fetchall()]
    if not entries:
        raise UsageError(
            f"No story in the library has the id {ref!r}.", hint="polaris library lists them."
        )
    if len(entries) > 1 and entries[0].id != wanted:
        some = ", ".join(entry.id for entry in entries)
        raise UsageError(f"Several stories begin with {ref!r}.", hint=f"Give more of one: {some}")
    return entries[0]


def _load(db: sqlite3.Connection, id: str) -> "Story":
    """A story as its row has it or, while there is no end, as its parts have it."""
    from polaris_cli.story.result import Story

    columns = "SELECT record, text, state FROM story WHERE id = ?"
    kept, text, state = db.execute(columns, [id]).fetchone()
    try:
        story = Story.from_dict({**loads(kept), "story": text})
    except (JSONDecodeError, KeyError, TypeError, UsageError) as error:
        raise LibraryError(
            f"The record of story {id} cannot be read.",
            hint=f"Another version of polaris may have written it; polaris library rm {id}",
        ) from error
    return _gathered(db, story, loads(kept)) if state == WRITING else story


def _gathered(db: sqlite3.Connection, begun: "Story", record: dict[str, Any]) -> "Story":
    """The story of the parts; the times of the writing are not known here."""
    from polaris_cli.story.accumulator import collect

    return replace(collect(_events(db, begun.id, record), begun), timing=begun.timing)


def _events(db: sqlite3.Connection, id: str, record: dict[str, Any]) -> Iterator[Event]:
    from polaris_cli.story.older import is_older, upgrade_events

    rows = db.execute("SELECT kind, text, tokens, ids FROM part WHERE story = ? ORDER BY n", [id])
    events = map(unpacked, rows.fetchall())
    return upgrade_events(events, record) if is_older(record) else events


def _rows(id: str, events: Iterable[Event]) -> Iterator[tuple[Any, ...]]:
    for kind, text, number, ids in filter(None, map(packed, merged(events))):
        yield id, kind, _storable(text), number, ids


def _query(words: Sequence[str]) -> str:
    """All of the words, each as a quoted string in which FTS5 knows no operators."""
    terms = " ".join(words).replace("\0", " ").split()
    quoted = (_storable(term).replace('"', '""') for term in terms)
    return " ".join(f'"{term}"' for term in quoted) or '""'


def _storable(text: str) -> str:
    """Half characters, which some servers send and UTF-8 cannot hold, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
