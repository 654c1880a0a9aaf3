"""Trouble with the library's file: it is named, the file is left alone, no story is stopped."""

import resource
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from polaris_cli.errors import LibraryError
from polaris_cli.events import Chunk
from polaris_cli.library import database
from polaris_cli.library.store import Library
from tests.stories import a_story, a_stream, record


def sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()


def writes_on(library: Library, count: int = 3) -> list[str]:
    """Write a story with this library; what was warned of."""
    warnings: list[str] = []
    texts = ["word " * 400 + "\n"] * count
    events = 0
    for _ in record(a_stream(*texts), library, a_story(), warnings.append):
        events += 1
        time.sleep(0.02)  # so that saving fails more than once
    assert events == count + 2
    return warnings


def test_a_place_that_cannot_be_warns_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    [warning] = writes_on(Library(tmp_path / "file" / "library.db"))
    assert "not being saved" in warning and "cannot be opened" in warning
    assert "Errno" not in warning


def test_a_read_only_library_warns_once(library: Library) -> None:
    library.start(a_story("beef0000"))
    assert library._connection
    library._connection.execute("PRAGMA query_only = ON")
    [warning] = writes_on(library)
    assert "is read-only" in warning and "POLARIS_LIBRARY=FILE" in warning


def test_a_full_disk_warns_once_and_the_start_is_kept(library: Library) -> None:
    library.start(a_story())
    library.append("abcd1234", [Chunk("story", "The beginning. ")])
    db = library._connection
    assert db
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0] + 1}")
    [warning] = writes_on(library, count=8)
    assert "full" in warning
    assert library.get("last").text.startswith("The beginning.")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file gets longer than 4,000 bytes inside the block."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def killed(library: Library, copy: Path) -> Library:
    """A copy of the library as the kill of its writer leaves it: with text in the WAL file only."""
    library.path.parent.mkdir(exist_ok=True)
    library.finish(a_story("aaaa0000", text="First."))
    library.close()
    library.finish(a_story("bbbb0000", text="Second."))
    for ending in ("", "-wal"):
        shutil.copy(f"{library.path}{ending}", f"{copy}{ending}")
    return Library(copy)


def test_a_library_on_a_full_disk_is_read(library: Library, tmp_path: Path) -> None:
    copy = killed(library, tmp_path / "copy.db")
    with full_disk():
        assert [entry.id for entry in copy.entries()] == ["bbbb0000", "aaaa0000"]
        assert copy.get("bbbb").text == "Second." and len(copy.search("First")) == 1
        with pytest.raises(LibraryError, match="is full") as caught:
            copy.remove("aaaa")
    assert "Free some space" in caught.value.hint
    copy.remove("aaaa")  # there is room again, and the way of reading does not last
    assert [entry.id for entry in Library(copy.path).entries()] == ["bbbb0000"]


def test_saving_goes_on_when_there_is_room_again(library: Library) -> None:
    library.start(a_story())
    db = library._connection
    assert db
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    warnings: list[str] = []
    stream = record(a_stream("word " * 3000 + "\n", "end."), library, a_story(), warnings.append)
    next(stream), next(stream)
    time.sleep(0.1)
    db.execute("PRAGMA max_page_count = 1000000")
    list(stream)
    assert len(library.get("last").text.split()) == 3001


def test_a_library_that_is_held_by_another_is_told(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polaris_cli.library.database.BUSY_FOR", 0.05)
    library.start(a_story())
    library.close()
    with closing(sqlite3.connect(library.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        [warning] = writes_on(library)
        assert "in use" in warning
    writes_on(library)
    assert library.entry("last").state == "stop"


def held(path: Path) -> sqlite3.Connection:
    """A connection that is about to write, as while another process saves."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_new_library_waits_for_another_process_that_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    with closing(held(path)) as other:
        done = threading.Timer(0.1, other.rollback)
        done.start()
        with closing(database.connect(path)) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        done.join()


def test_a_new_library_that_another_process_keeps_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_FOR", 0.05)
    path = tmp_path / "library.db"
    with closing(held(path)), pytest.raises(sqlite3.OperationalError, match="locked"):
        database.connect(path)


def test_a_library_opens_at_once_while_another_process_saves(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.finish(a_story(text="Once."))
    library.close()
    monkeypatch.setattr(database, "BUSY_FOR", 0.05)
    with closing(held(library.path)):
        assert library.get("last").text == "Once."


def test_only_a_library_that_nobody_may_write_is_read_as_it_stands(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who may do anything would not be refused: the answers of the system are made up."""
    library.finish(a_story(text="Once."))
    library.close()
    writable = {library.path, library.path.parent}
    problem = sqlite3.OperationalError("attempt to write a readonly database")
    monkeypatch.setattr("os.access", lambda path, mode: path in writable)
    with pytest.raises(sqlite3.OperationalError):
        database.connect_read_only(library.path, problem)
    for refused in (library.path, library.path.parent):
        writable = {library.path, library.path.parent} - {refused}
        with closing(database.connect_read_only(library.path, problem)) as db:
            assert db.execute("SELECT text FROM story").fetchone() == ("Once.",)


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 4080]
)
def test_a_file_that_is_no_library_is_named_and_kept(library: Library, content: bytes) -> None:
    library.path.parent.mkdir()
    library.path.write_bytes(content)
    with pytest.raises(LibraryError, match="is not a library") as caught:
        library.entries()
    assert "POLARIS_LIBRARY" in caught.value.hint and "mv " not in caught.value.hint
    assert writes_on(library)
    assert library.path.read_bytes() == content


def test_a_damaged_library_is_named(library: Library) -> None:
    library.finish(a_story(text="word " * 3000))
    library.close()
    content = library.path.read_bytes()
    library.path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(LibraryError, match="damaged") as caught:
        library.entries()
    assert f"mv {library.path} " in caught.value.hint
    assert writes_on(library)


def test_a_damaged_library_is_moved_away_with_its_newest_text(
    library: Library, tmp_path: Path
) -> None:
    """SQLite deletes the WAL file of another library when it makes a new one."""
    copy = killed(library, tmp_path / "copy.db")
    newest = Path(f"{copy.path}-wal").read_bytes()
    subprocess.run(["sh", "-c", database.damaged(copy.path).hint.rpartition(": ")[2]], check=True)
    copy.finish(a_story())
    assert Path(f"{copy.path}.damaged-wal").read_bytes() == newest
    assert Library(f"{copy.path}.damaged").get("bbbb").text == "Second."


def test_a_damaged_library_behind_a_link_is_moved_away_with_its_newest_text(
    library: Library, tmp_path: Path
) -> None:
    copy = killed(library, tmp_path / "copy.db")
    content = copy.path.read_bytes()
    copy.path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    link = tmp_path / "links" / "link.db"
    link.parent.mkdir()
    link.symlink_to(copy.path)
    with pytest.raises(LibraryError, match="damaged") as caught:
        Library(link).search("First")
    assert f"mv {copy.path}-wal " in caught.value.hint


def test_a_newer_library_is_left_alone(library: Library) -> None:
    library.start(a_story())
    library.close()
    sql(library.path, "PRAGMA user_version = 99")
    with pytest.raises(LibraryError, match="newer"):
        library.entries()


def test_another_programs_file_is_left_alone(library: Library) -> None:
    library.path.parent.mkdir()
    sql(library.path, "CREATE TABLE photos (name TEXT)")
    with pytest.raises(LibraryError, match="another program"):
        library.finish(a_story())


def test_an_older_library_is_brought_up_to_date(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.finish(a_story(text="Old."))
    library.close()
    step = ("ALTER TABLE story ADD COLUMN stars INTEGER NOT NULL DEFAULT 0",)
    monkeypatch.setattr(database, "_MIGRATIONS", (*database._MIGRATIONS, step))
    assert library.get("last").text == "Old."
    library.close()
    assert library.get("last").text == "Old."  # the step is taken once
    sql(library.path, "UPDATE story SET stars = 5")
