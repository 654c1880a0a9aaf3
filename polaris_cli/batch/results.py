"""The results of a batch in its folder: stories.jsonl, failed.jsonl, and a lock.

Knows keys and fingerprints, and whether a story is of a row. Does not know what is asked for, nor
how a story is written.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from polaris_cli.batch.lines import ELSEWHERE, Entry, Lines, encoded, entries_in, explained, locked
from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.formats.files import write_atomic
from polaris_cli.request.text_files import unreadable

STORIES = "stories.jsonl"
FAILED = "failed.jsonl"
LOCK = ".lock"  # stays in the folder: removing it would let two processes lock different files

Moved = Callable[[Entry, Entry], None]
"""Is told the place of a story before and after it gets another key, before that is written."""


class Results:
    """The stories and failures of a batch in its folder, which is created if it does not exist.

    `stories.jsonl` has one story per line, the last line of a key and of a story counts;
    `failed.jsonl` has one failure per line. Whenever the process is killed, what `add` and `fail`
    wrote before stays. `damaged` is the number of lines of `stories.jsonl` that are not stories, or
    that `is_whole` refuses; they stay there. `moved` is told of stories that get another key.

    Threads may share this object. Raises UsageError if another process uses the folder, or if a
    file is in the way, and OutputError if something cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        is_whole: Callable[[Entry], bool] = lambda record: True,
        moved: Moved = lambda before, after: None,
    ) -> None:
        self._mutex, self._moved = threading.Lock(), moved
        self._finished: dict[str, tuple[int, str]] = {}  # position and fingerprint
        self._keys: dict[tuple[str, str], str] = {}  # by id and fingerprint
        self._alike: dict[str, dict[str, None]] = {}  # keys by fingerprint
        self._superseded: set[int] = set()  # positions in stories.jsonl
        self._failed: dict[str, Entry] = {}
        with ExitStack() as opened:
            self._lock = _locked(folder)
            opened.callback(self._lock.release)
            stories = Lines(folder / STORIES, lambda each: _is_story(each) and is_whole(each))
            self._stories = opened.enter_context(closing(stories))
            self._failures = opened.enter_context(closing(Lines(folder / FAILED, _is_failure)))
            for position, record in self._stories.read():
                self._note_story(position, record)
            for _, failure in self._failures.read():
                self._note_failure(failure)
            self._opened = opened.pop_all()
        self.damaged = self._stories.damaged

    def fingerprint(self, key: str) -> str | None:
        """The fingerprint of the finished story with this key, None if there is none."""
        return self._finished.get(_as_read(key), (0, None))[1]

    def keys_of(self, fingerprint: str) -> list[str]:
        """The keys of the finished stories with this fingerprint."""
        return [*self._alike.get(fingerprint, ())]

    def is_of(self, key: str, row_id: str, premise: object) -> bool:
        """Whether the finished story with this key is of a row: of its id, or of its premise.

        The key of a row without an id is its number, which may be that of another row by now.
        """
        record = self._record(key)
        own_id = record["batch"].get("input_id")
        return bool(row_id and own_id == row_id) or record.get("premise") == premise

    def rename(self, key: str, place: dict[str, Any]) -> None:
        """Give the finished story with this key the `key`, and more, of another place.

        A story that has that key gets another one. Raises OutputError if it cannot be written; the
        story then stays where it is.
        """
        with self._mutex:
            if place["key"] != key:
                self._set_aside(place["key"])
            self._move(key, place)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the finished stories from the disk, one in memory at a time."""
        current = {position for position, _ in self._finished.values()}
        return (record for position, record in self._stories.read() if position in current)

    def __len__(self) -> int:
        """The number of finished stories."""
        return len(self._finished)

    @property
    def failed(self) -> Mapping[str, dict[str, Any]]:
        """The failures, by key, of this run and earlier ones that no story followed."""
        with self._mutex:
            return dict(self._failed)

    def add(self, record: dict[str, Any]) -> None:
        """Save a story, which replaces an earlier one with its key. It is on the disk on return.

        An earlier one of another row gets another key. Raises OutputError if it cannot be written;
        the earlier story then stays.
        """
        batch = record["batch"]
        with self._mutex:
            held = _as_read(batch["key"])
            if held in self._finished and not self.is_of(
                held, batch.get("input_id", ""), record.get("premise")
            ):
                self._set_aside(held)
            self._append_story(record)

    def fail(self, key: str, where: str, error: PolarisError) -> None:
        """Save that a row failed, and where it is for the user, such as a file and a line.

        Raises OutputError if that cannot be written.
        """
        failure = {"key": key, "where": where, "error": error.message, "hint": error.hint}
        with self._mutex:
            self._append_failure(failure)

    def forget(self, key: str) -> None:
        """Take back a failure, if there is one: the row is no longer wrong."""
        with self._mutex:
            if failure := self._failed.get(_as_read(key)):
                self._append_failure({**failure, "finished": True})

    def close(self) -> None:
        """Remove what is superseded from the files, and allow other processes to use the folder.

        Does nothing if it is closed. Raises OutputError if a file cannot be written; all stories
        are kept then too.
        """
        with self._mutex:
            if not self._lock.is_locked:
                return
            with self._opened:
                self._rewrite_failures()
                if self._superseded:
                    self._stories.remove(self._superseded)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _record(self, key: str) -> Entry:
        return self._stories.at(self._finished[_as_read(key)][0])

    def _set_aside(self, key: str) -> None:
        """Give the story with this key, if there is one, a key that no row has."""
        key = _as_read(key)
        if key in self._finished:
            self._move(key, {"key": f"{key}, {self._record(key)['id']}"})

    def _move(self, key: str, place: dict[str, Any]) -> None:
        record = self._record(key)
        before, after = record["batch"], {**record["batch"], **place}
        self._moved(before, after)
        self._append_story({**record, "batch": after})

    def _append_story(self, record: Entry) -> None:
        key = _as_read(record["batch"]["key"])
        if key in self._failed:
            # Before the story: a kill in between loses the failure of a row to write again.
            self._append_failure({**self._failed[key], "finished": True})
        self._note_story(*self._stories.append(record))

    def _note_story(self, position: int, record: Entry) -> None:
        """Note a line, which supersedes that of its key, and that of the same story."""
        batch = record["batch"]
        key, fingerprint = batch["key"], batch["fingerprint"]
        story = str(record.get("id", key)), fingerprint
        for old in {key, self._keys.get(story, key)} & self._finished.keys():
            superseded, before = self._finished.pop(old)
            self._superseded.add(superseded)
            del self._alike[before][old]
        self._finished[key] = position, fingerprint
        self._keys[story] = key
        self._alike.setdefault(fingerprint, {})[key] = None

    def _append_failure(self, failure: Entry) -> None:
        self._note_failure(self._failures.append(failure)[1])

    def _note_failure(self, failure: Entry) -> None:
        if failure.get("finished"):
            self._failed.pop(failure["key"], None)
        else:
            self._failed[failure["key"]] = failure

    def _rewrite_failures(self) -> None:
        self._failures.close()
        path = self._failures.path
        if self._failed:
            write_atomic(path, b"".join(map(encoded, self._failed.values())), force=True)
            return
        with explained(path):
            path.unlink(missing_ok=True)


def failures_in(folder: Path) -> int:
    """How many failures a folder has, while another process may write to it.

    Raises UsageError if they cannot be read.
    """
    path = folder / FAILED
    try:
        found = entries_in(path, _is_failure)
        failed = {entry["key"]: not entry.get("finished") for entry in found}
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise unreadable(path, error) from error
    return sum(failed.values())


def _locked(folder: Path) -> FileLock:
    """Create the folder and lock it. Raises UsageError and OutputError."""
    if folder.suffix == Path(STORIES).suffix and not folder.exists():
        raise UsageError(
            f"-o {folder} looks like a file, but the stories need a folder.",
            hint=f"Try -o {folder.with_suffix('')}: they will be in its {STORIES}.",
        )
    with explained(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UsageError(f"{folder} is not a folder.", hint=ELSEWHERE) from None
        return locked(
            folder / LOCK,
            f"Another polaris batch writes to {folder}.",
            "Wait until it is done, or use another folder with -o.",
        )


def _is_story(record: Entry) -> bool:
    batch = record.get("batch")
    return isinstance(batch, dict) and _has_texts(batch, "key", "fingerprint")


def _is_failure(entry: Entry) -> bool:
    return _has_texts(entry, "key", "where", "error", "hint")


def _has_texts(entry: Entry, *names: str) -> bool:
    return all(isinstance(entry.get(name), str) for name in names)


def _as_read(key: str) -> str:
    """The key as a file returns it: JSON joins two halves of a surrogate pair to a character."""
    joined: str = json.loads(json.dumps(key))
    return joined
