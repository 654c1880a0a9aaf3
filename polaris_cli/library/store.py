"""The library: one SQLite file with every story, finished or running.

Knows the rows and the full-text search. Does not know how a story is written, when it is saved
(`recording`), or how it is shown or exported.
"""

import os
import platform
import re
import sqlite3
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from polaris_cli.characters import CJK, HANGUL, THAI_AND_SIMILAR
from polaris_cli.errors import LibraryError, UsageError
from polaris_cli.events import Chunk, Event, merged, text_of
from polaris_cli.library.database import (
    MEMORY,
    atomic,
    back_up,
    connect,
    connect_read_only,
    damaged,
    sqlite_errors,
)
from polaris_cli.library.moving import FileId, Taken, file_id, put_in, take_out
from polaris_cli.library.parts import from_row, to_row
from polaris_cli.library.votes import Vote
from polaris_cli.request.adherence import ratio
from polaris_cli.request.paths import expanded

if TYPE_CHECKING:  # listing does not need `Story`, and starts faster without the import
    from polaris_cli.story.result import Story

WRITING = "writing"  # the state of a story while it is written
KILLED = "killed"  # the state of a story whose process ended before its `Finish`
HELD = "held"  # the kind of a part with held text, which may still be set aside

MOST_ROWS = 2**63 - 1  # SQLite's largest number
STALE_AFTER = 10.0  # seconds without a heartbeat until the writer counts as killed

_DAMAGED = (ValueError, TypeError, KeyError, AttributeError)  # what a damaged record raises
_PART_OF_A_WORD = f"[{CJK}{HANGUL}{THAI_AND_SIMILAR}]"

_ENTRY = (
    "id, created, title, premise, model, requested, written, state, host, pid, seen, "
    "CASE WHEN json_valid(record) THEN json_extract(record, '$.batch') END"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One story in a listing. `state` is a finish reason, "writing" or "killed".

    The drafts of one request share a `group`; `draft` counts them, `chosen` marks the one that the
    user prefers.
    """

    id: str
    created: str
    title: str
    premise: str
    model: str
    requested: int
    written: int
    state: str
    group: str = ""
    draft: int | None = None
    chosen: bool = False

    @property
    def ratio(self) -> float:
        """Words written / words requested; 0 if a damaged row does not say how many."""
        return ratio(self.written, self.requested) if self.requested > 0 else 0.0


def library_path() -> Path:
    """The path of the library: POLARIS_LIBRARY if set, else in the user's data folder."""
    if chosen := os.environ.get("POLARIS_LIBRARY"):
        return _located(chosen)
    return _located(platformdirs.user_data_path("polaris", appauthor=False) / "library.db")


def _located(path: str | Path) -> Path:
    """The file itself, wherever the program goes: SQLite keeps others beside it, not beside a link.

    A link to itself stays.
    """
    return Path(os.path.realpath(expanded(path)))


def library_files() -> list[Path]:
    """The library and the files that SQLite keeps next to it, one with the newest text."""
    return [Path(f"{library_path()}{ending}") for ending in ("", "-wal", "-shm")]


class Library:
    """The stories in one file. Threads and processes may share it.

    The first story creates the file. Every method raises LibraryError if the file cannot be read or
    written. Methods with a `ref` (an id, the start of one, or "last") raise UsageError if it does
    not match exactly one story.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        """`path` is the library's file; without it, the user's own library."""
        self.path = _located(path) if path else library_path()
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: FileId | None = None  # of the connection
        self._taken: list[Taken] = []  # out of a file that was moved

    def start(self, story: "Story") -> bool:
        """Add the record of a story that is being written; False if it replaces the one there is.

        Called again when its plan is known, and after an error.
        """
        with self._transaction() as db:
            known = db.execute("SELECT 1 FROM story WHERE id = ?", [story.id]).fetchone()
            _upsert(db, story, WRITING)
            _heartbeat(db, story.id)
        return not known

    def append(self, id: str, events: Iterable[Event], held: Iterable[Chunk] = ()) -> None:
        """Append events to a started story; without events, this is only a heartbeat.

        `held` is the text held back at the end; the next call replaces it.
        """
        with self._transaction() as db:
            db.execute(f"DELETE FROM part WHERE story = ? AND kind = '{HELD}'", [id])
            db.executemany(
                "INSERT INTO part (story, kind, text, tokens, ids, log_probs)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [*_rows(id, events), *((id, HELD, *row[2:]) for row in _rows(id, held))],
            )
            _heartbeat(db, id)

    def finish(self, story: "Story") -> None:
        """Save the complete record of a story, whether or not it was started."""
        with self._transaction() as db:
            _upsert(db, story, story.finish)

    def entries(self, limit: int | None = None) -> list[Entry]:
        """The stories, newest first; at most `limit` of them."""
        with self._reading() as db:
            rows = db.execute(f"SELECT {_ENTRY} FROM story ORDER BY n DESC LIMIT ?", [_most(limit)])
            return [_to_entry(db, row) for row in rows.fetchall()]

    def search(self, words: str | Sequence[str], limit: int | None = None) -> list[Entry]:
        """The stories with all these words in title, premise or text, best match first."""
        words = [words] if isinstance(words, str) else words
        with self._reading() as db:
            with suppress(sqlite3.OperationalError):  # search works on a full disk, too
                _update_running(db)
            rows = db.execute(*_search(words, limit))
            return [_to_entry(db, row) for row in rows.fetchall()]

    def entry(self, ref: str) -> Entry:
        """The entry of one story."""
        with self._reading() as db:
            return _find(db, ref)

    def at_rest(self, ref: str) -> Entry:
        """The entry of one story that nobody is writing; "last" is the newest of these.

        Raises UsageError for a story that is being written, or if all are.
        """
        with self._reading() as db:
            entry = _find(db, ref)
            if entry.state == WRITING and _is_last(ref):
                rows = db.execute(f"SELECT {_ENTRY} FROM story ORDER BY n DESC")
                entries = (_to_entry(db, row) for row in rows)
                entry = next((each for each in entries if each.state != WRITING), entry)
        check_at_rest(entry)
        return entry

    def get(self, ref: str) -> "Story":
        """One story. If it is being written or its writer was killed, `finish` is "interrupted"."""
        with self._reading() as db:
            return _load(db, _find(db, ref).id)

    def text(self, ref: str) -> str:
        """The text of a story, also of one whose record cannot be read."""
        with self._reading() as db:
            return _text(db, _find(db, ref).id)

    def events(self, ref: str) -> list[Event]:
        """The events of a story's stream, in order, with their token ids."""
        with self._reading() as db:
            id = _find(db, ref).id
            row = db.execute("SELECT record FROM story WHERE id = ?", [id]).fetchone()
            with _readable(id):
                return list(_events(db, id, loads(row[0])))

    def speed_of(self, model: str, engine: str) -> float | None:
        """Tokens per second of the newest story by this model and engine on this machine; None if
        there is none."""
        with self._reading() as db:
            row = db.execute(
                "SELECT json_extract(record, '$.timing.tokens_per_s') AS speed FROM story "
                "WHERE json_valid(record) AND model = ? AND host = ? "
                "AND json_extract(record, '$.model.engine') = ? "
                "AND speed > 0 ORDER BY n DESC LIMIT 1",
                [model, platform.node(), engine],
            ).fetchone()
        return row[0] if row else None

    def choose(self, ref: str) -> None:
        """Mark a draft as chosen, and no other of its group.

        Raises UsageError for a story that is no draft, and while it is being written.
        """
        entry = self.entry(ref)
        if not entry.group:
            raise UsageError(
                f"Story {entry.id} is not one of several drafts.",
                hint="Drafts are written by: polaris write PREMISE --drafts 5",
            )
        check_at_rest(entry)
        with self._transaction() as db:
            db.execute(
                "UPDATE story SET record = json_set(record, '$.batch.chosen', "
                "json(CASE WHEN id = ? THEN 'true' ELSE 'false' END)) "
                "WHERE json_valid(record) AND json_extract(record, '$.batch.group') = ?",
                [entry.id, entry.group],
            )

    def add_vote(self, vote: Vote) -> None:
        """Save a reader's choice."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lists = [dumps(each) for each in (vote.stories, vote.models)]
        with self._transaction() as db:
            db.execute(
                "INSERT INTO vote (created, stories, models, chosen) VALUES (?, ?, ?, ?)",
                [now, *lists, vote.chosen],
            )

    def votes(self) -> list[Vote]:
        """The readers' choices, oldest first."""
        with self._reading() as db:
            # A library of an earlier version that cannot be written is not migrated.
            if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'vote'").fetchone():
                return []
            rows = db.execute("SELECT stories, models, chosen FROM vote ORDER BY n").fetchall()
        return [vote for vote in map(_to_vote, rows) if vote]

    def remove(self, ref: str) -> None:
        """Remove a story. Raises UsageError while it is being written."""
        entry = self.entry(ref)
        check_at_rest(entry)
        with self._transaction() as db:
            db.execute("DELETE FROM story WHERE id = ?", [entry.id])

    def back_up(self, target: Path) -> None:
        """Copy the library to a new file, with all stories so far, including running ones.

        Raises UsageError if there is no library.
        """
        if not self.path.exists():
            raise UsageError(
                f"There is no library {self.path} to copy.",
                hint="The first story creates it. To use another library: POLARIS_LIBRARY=FILE",
            )
        with self._reading() as db:
            if not back_up(db, target):
                raise damaged(self.path)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction. Creates the file if necessary."""
        with self._lock, sqlite_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(self._connected()) as db:
                yield db

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading. If there is no file, it is empty and no file is created."""
        with self._lock, sqlite_errors(self.path), ExitStack() as opened:
            if not self.path.exists():
                yield opened.enter_context(closing(connect(Path(MEMORY))))
            else:
                yield self._to_read(opened)

    def _to_read(self, opened: ExitStack) -> sqlite3.Connection:
        """The connection; one that `opened` closes, if the file can only be read."""
        try:
            return self._connected()
        except sqlite3.OperationalError as problem:
            return opened.enter_context(closing(connect_read_only(self.path, problem)))

    def _connected(self) -> sqlite3.Connection:
        """The connection to the file that is at the path now.

        If it was moved or deleted, the stories that this process is writing come with it.
        """
        if self._connection and self._file not in (None, file_id(self.path)):
            self._leave(self._connection)
        if not self._connection:
            self._connection = connect(self.path)
            self._file = file_id(self.path)
        if self._taken:
            put_in(self._connection, self._taken)
            self._taken = []
        return self._connection

    def _leave(self, gone: sqlite3.Connection) -> None:
        """Take what is being written out of a file that was moved or deleted, and close it.

        Raises LibraryError if it cannot be read, as on a disk that is gone; the next use opens the
        file that is at the path now.
        """
        try:
            self._taken += take_out(gone, WRITING)
        except sqlite3.Error as error:
            raise LibraryError(
                f"The library {self.path} was moved or deleted, and its file cannot be read.",
                hint="What is being written is saved again, in the file that is there now.",
            ) from error
        finally:
            self.close()


def _upsert(db: sqlite3.Connection, story: "Story", state: str) -> None:
    """Insert or update a story's row, without the columns of its writer (`host`, `pid`, `seen`).

    Raises LibraryError if the id is that of another story, which stays.
    """
    record = story.as_dict()
    del record["story"]  # it has its own column, for the search
    columns = "id, created, title, premise, model, requested, written, state, record, text"
    values = (story.id, story.created, story.title, story.premise, story.model.name)
    counts = (story.requested, story.counted)
    saved = db.execute(
        f"INSERT INTO story ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET title = excluded.title, requested = excluded.requested, "
        "written = excluded.written, state = excluded.state, record = excluded.record, "
        "text = excluded.text WHERE story.created = excluded.created",
        (*map(_storable, values), *counts, state, dumps(record), _storable(story.text)),
    )
    if not saved.rowcount:
        raise LibraryError(
            f"The library has another story with the id {story.id}.",
            hint="Write the story again: it then has another id.",
        )


def _heartbeat(db: sqlite3.Connection, id: str) -> None:
    """Record that this process is writing the story now."""
    db.execute(
        "UPDATE story SET state = ?, host = ?, pid = ?, seen = ? WHERE id = ?",
        [WRITING, platform.node(), os.getpid(), time.time(), id],
    )


def _to_entry(db: sqlite3.Connection, row: tuple[Any, ...]) -> Entry:
    """The entry of a row of `_ENTRY`; title and words of an unfinished story are from its parts."""
    *texts, requested, written, state, host, pid, seen, place = row
    id, created, title, premise, model = map(str, texts)
    counts = _number(requested), _number(written)
    entry = Entry(id, created, title, premise, model, *counts, str(state), **_drafted(place))
    if entry.state != WRITING:
        return entry
    state = WRITING if _alive(host, int(_number(pid)), _number(seen)) else KILLED
    with suppress(LibraryError):  # one unreadable record must not hide the others
        story = _load(db, entry.id)
        entry = replace(entry, title=story.title, written=story.counted)
    return replace(entry, state=state)


def _drafted(place: object) -> dict[str, Any]:
    """What an entry tells of a draft, from the record's "batch"; nothing for other stories."""
    with suppress(*_DAMAGED):
        found = loads(place)  # type: ignore[arg-type]
        named = {name: found[name] for name in ("group", "draft", "chosen")}
        if tuple(map(type, named.values())) == (str, int, bool):
            return named
    return {}


def _update_running(db: sqlite3.Connection) -> None:
    """Update the rows of unfinished stories from their parts, so that a search finds their text."""
    running = f"SELECT {_ENTRY} FROM story WHERE state = ?"
    if not db.execute(running, [WRITING]).fetchone():
        return
    with atomic(db):
        for row in db.execute(running, [WRITING]).fetchall():
            entry = _to_entry(db, row)
            with suppress(LibraryError), _readable(entry.id):
                _upsert(db, _load(db, entry.id), entry.state)


def _number(value: object) -> Any:
    """The value of a column of numbers; 0 for what a damaged row has there instead."""
    return value if isinstance(value, int | float) else 0


def _alive(host: str, pid: int, seen: float) -> bool:
    """Whether the writer that was last heard of at `seen` still exists, running or suspended.

    For a writer on another machine, only the time since then counts.
    """
    if host != platform.node():
        return time.time() - seen < STALE_AFTER
    import psutil  # only stories being written need it

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # A process that started later has only taken over the number. Clocks differ a little.
        return bool(process.create_time() < seen + STALE_AFTER)
    except psutil.AccessDenied:
        return time.time() - seen < STALE_AFTER
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False


def check_at_rest(entry: Entry) -> None:
    """Raise UsageError for a story that is being written: its writer would go on with it."""
    if entry.state == WRITING:
        raise UsageError(
            f"Story {entry.id} is being written right now.",
            hint="Wait for its end, or stop it with Ctrl-C (if it is suspended: fg, then Ctrl-C).",
        )


def _is_last(ref: str) -> bool:
    return ref.strip().lower() == "last"


def _find(db: sqlite3.Connection, ref: str) -> Entry:
    wanted = _storable(ref.strip().lower())
    if _is_last(ref):
        rows = db.execute(f"SELECT {_ENTRY} FROM story ORDER BY n DESC LIMIT 1")
    else:
        rows = db.execute(
            f"SELECT {_ENTRY} FROM story WHERE ?1 <> '' AND substr(id, 1, length(?1)) = ?1 "
            "ORDER BY id LIMIT 5",
            [wanted],
        )
    entries = [_to_entry(db, row) for row in rows.fetchall()]
    if not entries:
        raise UsageError(
            f"No story in the library has the id {ref!r}.", hint="polaris library lists them."
        )
    if len(entries) > 1 and entries[0].id != wanted:
        some = ", ".join(entry.id for entry in entries)
        raise UsageError(
            f"Several stories start with {ref!r}.", hint=f"Type more of one id: {some}"
        )
    return entries[0]


def _load(db: sqlite3.Connection, id: str) -> "Story":
    """A story from its row; the text of an unfinished one is from its parts."""
    from polaris_cli.story.result import Story

    columns = "SELECT record, text, state FROM story WHERE id = ?"
    with _readable(id):
        record, text, state = db.execute(columns, [id]).fetchone()
        story = Story.from_dict({**loads(record), "id": id, "story": text})
        return _from_parts(db, story, loads(record)) if state == WRITING else story


@contextmanager
def _readable(id: str) -> Iterator[None]:
    """Turn what a damaged record or part raises in the block into a LibraryError."""
    try:
        yield
    except (*_DAMAGED, struct.error, RecursionError) as error:
        raise LibraryError(
            f"The record of story {id} cannot be read.",
            hint="Another version of polaris may have written it. To print the text: "
            f"polaris library show {id}",
        ) from error


def _text(db: sqlite3.Connection, id: str) -> str:
    """The text of a story without its record: from its row, or from its parts."""
    with _readable(id):
        text, state = db.execute("SELECT text, state FROM story WHERE id = ?", [id]).fetchone()
    if state != WRITING:
        return str(text)
    rows = db.execute(
        "SELECT kind, text, tokens, x'', x'' FROM part WHERE story = ? ORDER BY n", [id]
    )
    return "".join(text_of(from_row(row)) for row in rows)


def _to_vote(row: tuple[Any, ...]) -> Vote | None:
    """The vote of a row; None for a damaged one."""
    with suppress(ValueError, TypeError):
        stories, models, chosen = loads(row[0]), loads(row[1]), row[2]
        if all(isinstance(one, str) for one in (*stories, *models, chosen)):
            return Vote(tuple(stories), tuple(models), chosen)
    return None


def _from_parts(db: sqlite3.Connection, story: "Story", record: dict[str, Any]) -> "Story":
    """The story with the text of its parts. Its timing does not change: the parts have no times."""
    from polaris_cli.story.accumulator import collect

    return replace(collect(_events(db, story.id, record), story), timing=story.timing)


def _events(db: sqlite3.Connection, id: str, record: dict[str, Any]) -> Iterator[Event]:
    from polaris_cli.story.old_records import is_older, upgrade_events

    columns = f"kind, text, tokens, ids, {_log_probs(db)}"
    rows = db.execute(f"SELECT {columns} FROM part WHERE story = ? ORDER BY n", [id])
    events = map(from_row, rows.fetchall())
    return upgrade_events(events, record) if is_older(record) else events


def _log_probs(db: sqlite3.Connection) -> str:
    """Their column; none in a library of an earlier version that cannot be written."""
    found = "SELECT 1 FROM pragma_table_info('part') WHERE name = 'log_probs'"
    return "log_probs" if db.execute(found).fetchone() else "x''"


def _rows(id: str, events: Iterable[Event]) -> Iterator[tuple[Any, ...]]:
    for kind, text, *more in filter(None, map(to_row, merged(events))):
        yield id, kind, _storable(text), *more


def _most(limit: int | None) -> int:
    return MOST_ROWS if limit is None else max(min(limit, MOST_ROWS), 0)


def _search(words: Sequence[str], limit: int | None) -> tuple[str, list[object]]:
    """A query for the stories with all of the words, and its parameters.

    FTS5 takes a text without spaces, as in Chinese or Thai, for one word, and so a Korean noun with
    its particle: there, a term is found anywhere in the text.
    """
    terms = [_storable(term) for term in " ".join(words).replace("\0", " ").split()]
    parts = [term for term in terms if re.search(_PART_OF_A_WORD, term)]
    rest = " ".join('"{}"'.format(term.replace('"', '""')) for term in terms if term not in parts)
    query, where = f"SELECT {_ENTRY} FROM story", ["n" if parts or rest else "0"]
    if rest:
        query += " JOIN (SELECT rowid AS n, rank FROM found WHERE found MATCH ?) USING (n)"
    whole = "lower(title || char(10) || premise || char(10) || text)"
    where += [f"instr({whole}, lower(?))"] * len(parts)
    order = "rank, n DESC" if rest else "n DESC"
    query += f" WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"
    return query, [*([rest] if rest else []), *parts, _most(limit)]


def _storable(text: str) -> str:
    """The text with "?" for lone surrogates, which some servers send and UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode("utf-8")
