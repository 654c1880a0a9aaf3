"""A library whose file is moved or deleted while a story is written has the whole story."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from polaris_cli.errors import LibraryError
from polaris_cli.events import Chunk, Event
from polaris_cli.library import recording
from polaris_cli.library.store import Library
from tests.library.test_recording import until
from tests.stories import a_story, chunks_in, no_warning, record

Lose = Callable[[Path], object]


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    shutil.rmtree(path.parent)


def move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def replace(path: Path) -> None:
    """Put another library in its place, as a backup that is restored."""
    with closing(Library(path.with_name("other.db"))) as other:
        other.finish(a_story("beef0000", "Another."))
    other.path.replace(path)


GONE = [delete, delete_all, move, replace]


@pytest.mark.parametrize("lose", GONE)
def test_a_story_is_whole_in_the_library_that_is_there(library: Library, lose: Lose) -> None:
    library.start(a_story())
    library.append("abcd1234", [Chunk("thinking", "Plan.", 2, (7, 8))])
    library.append("abcd1234", [Chunk("story", "The fog", 2, (1, 2))], [Chunk("story", " held")])
    lose(library.path)
    library.append("abcd1234", [Chunk("story", " came.", 2, (3, 4))])
    assert [chunk.text for chunk in chunks_in(library, "abcd")] == ["Plan.", "The fog", " came."]
    assert [id for chunk in chunks_in(library, "abcd") for id in chunk.ids] == [7, 8, 1, 2, 3, 4]
    assert library.entry("abcd").state == "writing"
    library.finish(a_story(text="The fog came."))
    with closing(Library(library.path)) as again:
        assert again.get("abcd").text == "The fog came."
        assert len(again.entries()) == (2 if lose is replace else 1)


@pytest.mark.parametrize("lose", GONE)
def test_a_story_that_is_recorded_is_kept(library: Library, lose: Lose) -> None:
    def events() -> Iterator[Event]:
        yield Chunk("story", "One.\n", 1, (1,))
        until(lambda: chunks_in(library, "last"))
        lose(library.path)
        yield Chunk("story", "Two.\n", 1, (2,))

    list(record(events(), library, a_story(), no_warning))
    with closing(Library(library.path)) as again:
        assert again.get("abcd").text == "One.\nTwo."
        assert [id for chunk in chunks_in(again, "abcd") for id in chunk.ids] == [1, 2]


def break_file(library: Library) -> None:
    """Move the file away between two saves and overwrite it, so that nothing in it can be read."""
    with library._lock:
        moved = library.path.rename(library.path.with_name("moved.db"))
        moved.write_bytes(b"\0" * moved.stat().st_size)
        library.path.with_name(f"{library.path.name}-wal").write_bytes(b"")


def test_a_story_whose_file_cannot_be_read_any_more_is_saved_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SAVE_EVERY", 0.05)

    def events() -> Iterator[Event]:
        yield Chunk("story", "One.\n", 1, (1,))
        until(lambda: chunks_in(library, "last"))
        break_file(library)
        yield Chunk("story", "Two.\n", 1, (2,))
        until(lambda: library.path.exists() and library.entries())
        yield Chunk("story", "Three.", 1, (3,))

    warnings = list[str]()
    list(record(events(), library, a_story(), warnings.append))
    assert len(warnings) == 1 and "moved or deleted" in warnings[0]
    assert library.get("abcd").text == "One.\nTwo.\nThree."
    assert [id for chunk in chunks_in(library, "abcd") for id in chunk.ids] == [1, 2, 3]


def test_the_last_save_is_tried_twice(library: Library) -> None:
    def events() -> Iterator[Event]:
        yield Chunk("story", "One.\n", 1, (1,))
        until(lambda: library.path.exists() and chunks_in(library, "last"))
        break_file(library)

    list(record(events(), library, a_story(), no_warning))
    assert library.get("abcd").text == "One." and chunks_in(library, "abcd")[0].ids == (1,)


def test_stories_that_are_done_stay_deleted(library: Library) -> None:
    library.finish(a_story("beef0000", "Done."))
    library.start(a_story())
    library.path.unlink()
    library.append("abcd1234", [])
    assert [entry.id for entry in library.entries()] == ["abcd1234"]


def test_two_users_of_one_library_keep_each_part_once(library: Library) -> None:
    with closing(Library(library.path)) as other:
        for user, id in ((library, "aa00"), (other, "bb00")):
            user.start(a_story(id))
            user.append(id, [Chunk("story", "One.", 1, (1,))])
        library.path.unlink()
        for user, id in ((library, "aa00"), (other, "bb00"), (library, "aa00")):
            user.append(id, [Chunk("story", " More.", 1, (2,))])
        assert library.get("aa00").text == "One. More. More."
        assert other.get("bb00").text == "One. More."


def test_a_story_waits_until_there_can_be_a_library_again(library: Library) -> None:
    library.start(a_story())
    library.append("abcd1234", [Chunk("story", "One.", 1, (1,))])
    shutil.rmtree(library.path.parent)
    library.path.parent.write_text("in the way")
    with pytest.raises(LibraryError):
        library.append("abcd1234", [Chunk("story", " Two.", 1, (2,))])
    library.path.parent.unlink()
    library.append("abcd1234", [Chunk("story", " Three.", 1, (3,))])
    assert library.get("abcd").text == "One. Three."


def test_both_files_are_sound(library: Library) -> None:
    library.start(a_story())
    for number in range(50):
        library.append("abcd1234", [Chunk("story", "word " * 200, 200, (number,) * 200)])
    moved = library.path.rename(library.path.with_name("moved.db"))
    for number in range(50):
        library.append("abcd1234", [Chunk("story", "word " * 200, 200, (number,) * 200)])
    library.close()
    for path, parts in ((moved, 50), (library.path, 100)):
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("SELECT count(*) FROM part").fetchone() == (parts,)
