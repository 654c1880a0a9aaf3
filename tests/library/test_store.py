"""The library: nothing that was written is lost, whoever ends the writing and however."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.engines.base import ModelInfo
from polaris_cli.errors import LibraryError, UsageError
from polaris_cli.events import Chunk
from polaris_cli.library import store as module
from polaris_cli.library.database import connect
from polaris_cli.library.store import Library, library_files, library_path
from polaris_cli.story.accumulator import collect
from polaris_cli.story.result import Place, Story, Timing
from tests.stories import a_story, a_stream, chunks_in, no_warning, record


def sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()


# --- Where it is ---


def test_the_path_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "mine.db"))
    assert library_path() == tmp_path / "mine.db"
    monkeypatch.setenv("POLARIS_LIBRARY", "~/mine.db")
    assert library_path() == Path.home() / "mine.db"
    monkeypatch.setenv("POLARIS_LIBRARY", "")
    assert library_path().name == "library.db"
    assert Library("~/mine.db").path == Path.home() / "mine.db"


@pytest.mark.parametrize("path", ["mine.db", None])
def test_a_library_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    monkeypatch.setenv("POLARIS_LIBRARY", "mine.db")
    monkeypatch.chdir(tmp_path)
    library = Library(path)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir("other")
    assert library.path == tmp_path / "mine.db"


def test_a_link_stands_for_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite keeps its other files beside the library, not beside the link."""
    real, link = tmp_path / "real" / "mine.db", tmp_path / "link.db"
    link.symlink_to(real)
    monkeypatch.setenv("POLARIS_LIBRARY", str(link))
    with closing(Library()) as library, closing(Library(link)) as same:
        library.start(a_story())
        assert library.path == same.path == library_path() == real
        assert library_files() == [real, *sorted(real.parent.glob("mine.db-*"), reverse=True)]


def test_a_link_to_itself_is_told(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(link)
    with pytest.raises(LibraryError, match=r"link\.db"):
        Library(link).start(a_story())


def test_looking_makes_no_file(library: Library) -> None:
    assert library.entries() == library.search(["fog"]) == []
    with pytest.raises(UsageError):
        library.get("last")
    assert not library.path.parent.exists()


def test_at_most_as_many_entries_as_asked_for(library: Library) -> None:
    for number in range(3):
        library.finish(a_story(id=f"{number:08x}", text="the fog"))
    for limit, found in ((None, 3), (2, 2), (0, 0), (-1, 0), (2**70, 3)):
        assert len(library.entries(limit)) == len(library.search("fog", limit)) == found


def test_the_first_story_makes_the_folders(tmp_path: Path) -> None:
    library = Library(tmp_path / "share" / "polaris" / "library.db")
    library.finish(a_story(text="Once."))
    assert library.get("last").text == "Once."


# --- What is kept ---


def test_the_speed_of_the_newest_story_by_a_model_on_this_machine(library: Library) -> None:
    def write(id: str, speed: float | None, name: str = "demo", engine: str = "local") -> None:
        story = a_story(id, model=ModelInfo(name, name, engine=engine))
        library.start(story)
        library.finish(replace(story, timing=Timing(tokens_per_s=speed)))

    assert library.speed_of("demo", "local") is None
    write("aa00", 10.0)
    write("bb00", 20.5)
    write("cc00", None)  # it was interrupted at once
    write("dd00", 40.0, engine="gguf")
    write("ee00", 50.0, name="smollm2")
    assert library.speed_of("demo", "local") == 20.5
    assert library.speed_of("demo", "endpoint") is None
    sql(library.path, "UPDATE story SET host = 'another'")
    assert library.speed_of("demo", "local") is None


def test_finish_keeps_the_whole_record(library: Library) -> None:
    new = a_story()
    story = replace(collect(record(a_stream("One two."), library, new, no_warning), new))
    library.finish(story)
    assert library.get("last") == story
    library.finish(a_story("beef0000", "Never started."))  # the library was away until the end
    assert library.get("last").text == "Never started."
    assert len(library.entries()) == 2


def test_no_story_replaces_another_with_its_id(library: Library) -> None:
    first = a_story(text="Once.")
    library.finish(first)
    library.finish(replace(first, text="Once more."))
    other = a_story(first.id, "Another.", created="2027-01-31T12:00:00+00:00")
    for save in (library.start, library.finish):
        with pytest.raises(LibraryError, match="another story with the id"):
            save(other)
    assert library.get(first.id).text == "Once more."


def test_ids_come_back_in_order_with_their_kind(library: Library) -> None:
    list(record(a_stream("a", "b", "c\n", "d"), library, a_story(), no_warning))
    chunks = chunks_in(library, "last")
    assert [chunk.kind for chunk in chunks][:1] == ["thinking"]
    assert {chunk.kind for chunk in chunks[1:]} == {"story"}
    assert [id for chunk in chunks for id in chunk.ids] == [7, 248069, 0, 1, 2, 3]
    assert "".join(chunk.text for chunk in chunks) == "Plan.abc\nd"
    assert sum(chunk.tokens for chunk in chunks) == 6


IDS = st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple)
CHUNKS = st.lists(
    st.builds(
        Chunk,
        st.sampled_from(["thinking", "story"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        st.integers(0, 3),
        IDS,
    ),
    max_size=12,
)


def told(chunks: list[Chunk]) -> list[tuple[str, str | int]]:
    """Characters and ids, each with its kind, in the order they came."""
    texts = [(chunk.kind, letter) for chunk in chunks for letter in chunk.text]
    return texts + [(chunk.kind, id) for chunk in chunks for id in chunk.ids]


@settings(max_examples=50)
@given(chunks=CHUNKS, cut=st.integers(0, 12))
def test_however_they_are_saved_chunks_come_back_as_they_came(
    chunks: list[Chunk], cut: int
) -> None:
    library = Library(Path("/"))  # it exists, so it is read, through the connection given here
    library._connection = connect(Path(":memory:"))
    library.start(a_story())
    for part in (chunks[:cut], chunks[cut:]):
        library.append("abcd1234", part)
    assert told(chunks_in(library, "last")) == told(chunks)
    library.close()


def test_half_characters_do_not_stop_a_story(library: Library) -> None:
    list(record(a_stream("a\ud800b\0c"), library, a_story(premise="\udfff"), no_warning))
    assert library.get("last").text == "a?b\0c"
    assert library.search(["\ud800", '"', "\0"]) == []


def test_text_that_is_held_is_kept_until_it_is_decided(library: Library) -> None:
    library.start(a_story("abcd1234"))
    held = [Chunk("story", "Or does it?", 3, (7, 8, 9))]
    library.append("abcd1234", [Chunk("story", "It ends. ", 2, (1, 2))], held)
    assert library.get("last").text == "It ends. Or does it?"
    assert [chunk.ids for chunk in chunks_in(library, "last")] == [(1, 2), (7, 8, 9)]
    library.append("abcd1234", [Chunk("story", "It goes on.", 2, (3, 4))])
    assert library.get("last").text == "It ends. It goes on."


@pytest.fixture
def silent(library: Library) -> Library:
    """A library whose writer, this process, has saved nothing for a minute."""
    library.start(a_story())
    sql(library.path, f"UPDATE story SET seen = {time.time() - 60}")
    return library


def test_a_suspended_writer_lives(silent: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALE_AFTER", 1_000)  # this process may be younger than a minute
    assert silent.entry("last").state == "writing"
    with pytest.raises(UsageError, match="being written"):
        silent.remove("last")


def test_a_draft_that_is_being_written_cannot_be_chosen(library: Library) -> None:
    """Its writer saves the whole record at the end, and does not know of the choice."""
    library.start(a_story(place=Place(group="g", draft=1)))
    with pytest.raises(UsageError, match="being written"):
        library.choose("last")


def test_a_younger_process_with_the_number_is_another(silent: Library) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        sql(silent.path, f"UPDATE story SET pid = {other.pid}")
        assert silent.entry("last").state == "killed"
        other.communicate(b"\n")


def test_a_silent_writer_on_another_machine_counts_as_killed(silent: Library) -> None:
    sql(silent.path, "UPDATE story SET host = 'elsewhere'")
    assert silent.entry("last").state == "killed"
    silent.append("abcd1234", [])
    sql(silent.path, "UPDATE story SET host = 'elsewhere'")
    assert silent.entry("last").state == "writing"


def test_a_writer_on_another_machine_is_not_looked_for_here(library: Library) -> None:
    library.start(a_story())
    sql(library.path, "UPDATE story SET host = 'elsewhere', pid = 999999999")
    assert library.entry("last").state == "writing"


def test_a_writer_who_may_not_be_signalled_lives(library: Library) -> None:
    """As another user's: process 1 is the system's own."""
    library.start(a_story())
    sql(library.path, "UPDATE story SET pid = 1")
    assert library.entry("last").state == "writing"


@pytest.mark.skipif(os.name == "nt", reason="signal 0 asks on POSIX only")
def test_a_writer_that_is_no_more_counts_as_killed_at_once(library: Library) -> None:
    library.start(a_story())
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        pass
    sql(library.path, f"UPDATE story SET pid = {ended.pid}")
    assert library.entry("last").state == "killed"


# --- Finding ---


def test_one_odd_record_does_not_hide_the_others(library: Library) -> None:
    library.start(a_story("0dd00000"))
    library.finish(a_story(text="Fine."))
    sql(library.path, "UPDATE story SET record = '{}' WHERE id = '0dd00000'")
    assert len(library.entries()) == 2
    assert library.get("abcd").text == "Fine."
    with pytest.raises(LibraryError, match="cannot be read"):
        library.get("0dd")


@pytest.fixture
def three(library: Library) -> Library:
    texts = ["Lighthouses stand in the fog.", "A café by the sea.", "Fog, fog, FOG and a letter."]
    for number, text in enumerate(texts):
        library.finish(a_story(f"aa{number}0", text, premise=f"premise {number}"))
    return library


def test_the_newest_come_first(three: Library) -> None:
    listed = three.entries()
    assert [entry.id for entry in listed] == ["aa20", "aa10", "aa00"]
    assert all(entry.ratio >= 0 for entry in listed)
    assert [entry.id for entry in three.entries(2)] == ["aa20", "aa10"]
    assert three.entry("aa1").ratio == 5 / 8


@pytest.mark.parametrize("ref", ["aa1", "AA10", " aa10 "])
def test_a_story_is_found_by_the_beginning_of_its_id(three: Library, ref: str) -> None:
    assert three.get(ref).text == "A café by the sea."


@pytest.mark.parametrize("ref", ["x", "", "%", "_", "a%", "aa10x", "\ud800", "aa\0"])
def test_an_unknown_id_is_told(three: Library, ref: str) -> None:
    with pytest.raises(UsageError, match="No story in the library has the id") as caught:
        three.get(ref)
    assert caught.value.hint == "polaris library lists them."


def test_a_beginning_of_several_ids_is_told(three: Library) -> None:
    with pytest.raises(UsageError, match="Several") as caught:
        three.get("aa")
    assert "aa00, aa10, aa20" in caught.value.hint
    three.finish(a_story("aa2000", "Longer."))
    assert three.get("aa20").id == "aa20"  # a whole id names its story


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["fog"], ["aa20", "aa00"]),
        (["fog", "letter"], ["aa20"]),
        (["fog letter"], ["aa20"]),
        (["lighthouse"], ["aa00"]),
        (["CAFE"], ["aa10"]),
        (["premise", "1"], ["aa10"]),
        (["absent"], []),
        ([], []),
    ],
)
def test_search_finds_stories_with_all_the_words(
    three: Library, words: list[str], ids: list[str]
) -> None:
    assert [entry.id for entry in three.search(words)] == ids


@pytest.mark.parametrize(
    "words",
    ['fog"', '"fog', "fog*", "title:fog", "text : fog", "NEAR(fog sea)", "(fog)", "^fog", "-fog"],
)
def test_search_takes_signs_for_no_operators(three: Library, words: str) -> None:
    names = {"title", "text", "NEAR", "sea"} & set(re.findall(r"\w+", words))
    assert bool(three.search([words])) is not bool(names)


def test_a_path_and_words_may_be_texts(three: Library) -> None:
    assert Library(str(three.path)).search("fog") == three.search(["fog"]) != []
    assert three.search("fog sea") == three.search(["fog", "sea"])


@pytest.mark.parametrize("words", ["fog OR sea", "fog AND cafe", "fog NOT sea", "fo*", "fo"])
def test_search_takes_operators_for_words(three: Library, words: str) -> None:
    assert three.search([words]) == []


@pytest.mark.parametrize(
    "words",
    [["狐"], ["ภูเขา"], ["狐狸", "premise"], ["fog", "山"], ["ABC山"],
     ["등대"], ["바다", "fog"]],
)  # fmt: skip
def test_search_finds_words_that_no_space_divides(three: Library, words: list[str]) -> None:
    text = "A fog.\n\n那只狐狸在abc山上。\n\nแมวบนภูเขา\n\n등대는 바다를 보았다."
    three.finish(a_story("cc00", premise="premise 3", text=text))
    assert [entry.id for entry in three.search(words)] == ["cc00"]
    assert not three.search([*words, "虎"])


@given(st.text(max_size=20))
def test_no_search_breaks(words: str) -> None:
    with closing(connect(Path(":memory:"))) as db:
        db.execute(*module._search([words], None)).fetchall()


DAMAGES = [
    "title = CAST(x'ff41' AS TEXT)",
    "title = x'ff'",
    "requested = 'many'",
    "written = x'00'",
    "created = 'yesterday'",
    "record = '{'",
    "record = '[]'",
    "record = json_set(record, '$.batch', 5)",
    "record = json_set(record, '$.batch', 'a batch')",
    """record = json_set(record, '$.batch', json('{"draft": 1, "group": [5]}'))""",
    """record = json_set(record, '$.batch', json('{"draft": [1], "group": "g"}'))""",
    "state = 'writing', record = json_set(record, '$.id', 5)",
    "state = 'writing', record = json_set(record, '$.id', 'another')",
    "state = 'writing', record = json_set(record, '$.created', 5)",
    "state = 'writing', record = json_set(record, '$.model.name', 5)",
    "text = CAST(x'ff' AS TEXT)",
    "state = 7",
    "state = 'writing', record = '{', seen = 'x', pid = 'y'",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_row_hides_no_other(three: Library, damage: str) -> None:
    sql(three.path, f"UPDATE story SET {damage} WHERE id = 'aa10'")
    three.close()
    listed = three.entries()
    assert [entry.id for entry in listed] == ["aa20", "aa10", "aa00"]
    assert all(entry.ratio >= 0 for entry in listed)
    assert [entry.id for entry in three.search(["fog"])] == ["aa20", "aa00"]
    assert three.get("aa20").text and three.speed_of("demo", "local") is None
    three.remove("aa10")
    assert len(three.entries()) == 2


DEEP = "replace(hex(zeroblob(50000)), '0', '[')"


@pytest.mark.parametrize("state", ["stop", "writing"])
@pytest.mark.parametrize("record", ["'{bad'", "'[]'", "'null'", "'{}'", "''", "x'ff'", DEEP])
def test_a_damaged_record_is_told(three: Library, record: str, state: str) -> None:
    three.append("aa10", [Chunk("story", "A café")])
    sql(three.path, f"UPDATE story SET record = {record}, state = '{state}' WHERE id = 'aa10'")
    for read in (three.get, three.events):
        with pytest.raises(LibraryError, match="record of story aa10 cannot be read"):
            read("aa10")
    assert three.text("aa10") and len(three.search("fog")) == 2


def test_damaged_parts_are_told(three: Library) -> None:
    three.append("aa10", [Chunk("story", "A café", 1, (1,))])
    sql(three.path, "UPDATE part SET ids = x'ff'")
    for read in (three.get, three.events):
        with pytest.raises(LibraryError, match="record of story aa10 cannot be read"):
            read("aa10")


def test_a_story_that_is_removed_while_it_is_read_is_told(
    three: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = three.entry("aa10")
    three.remove("aa10")
    monkeypatch.setattr(module, "_find", lambda db, ref: entry)
    for read in (three.get, three.events, three.text):
        with pytest.raises(LibraryError, match="record of story aa10 cannot be read"):
            read("aa10")


def test_only_its_owner_may_read_a_library(tmp_path: Path) -> None:
    with closing(Library(tmp_path / "library.db")) as library:
        library.start(a_story())
        library.back_up(tmp_path / "copy.db")
        files = [*tmp_path.iterdir()]
        assert len(files) > 2  # SQLite's own beside it
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_what_is_removed_is_gone_everywhere(three: Library) -> None:
    three.start(a_story("bb00", premise="gone"))
    three.append("bb00", [Chunk("story", "gone")])
    three.finish(three.get("bb00"))
    assert three.search(["gone"])
    three.remove("bb")
    assert not three.search(["gone"])
    assert len(three.entries()) == 3
    with closing(sqlite3.connect(three.path)) as db:
        assert db.execute("SELECT count(*) FROM part").fetchone() == (0,)
        db.execute("INSERT INTO found (found) VALUES ('integrity-check')")


def test_the_index_follows_a_text_that_changes(three: Library) -> None:
    story: Story = three.get("aa0")
    three.finish(replace(story, text="Only sun."))
    assert not three.search(["lighthouse"])
    assert [entry.id for entry in three.search(["sun"])] == ["aa00"]


def test_open_library_takes_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "own.db"))
    Library().finish(a_story(text="Mine."))
    assert Library(tmp_path / "own.db").get("last").text == "Mine."
    assert json.loads(json.dumps(Library().get("last").as_dict()))["story"] == "Mine."


@pytest.mark.bench
def test_saving_is_linear(library: Library) -> None:
    def cost(id: str, count: int) -> float:
        start = time.perf_counter()
        library.start(a_story(id))
        for number in range(count):
            library.append(id, [Chunk("story", "word " * 100, 100, (number,) * 100)])
        return time.perf_counter() - start

    cost("warm", 10)
    assert cost("long", 2000) < 20 * cost("short", 200)


def test_a_library_that_everybody_could_read_is_closed(tmp_path: Path) -> None:
    old = tmp_path / "library.db"
    shutil.copyfile(Path(__file__).parent / "written_by_0.1.0.db", old)
    old.chmod(0o644)
    with closing(Library(old)) as library:
        library.start(a_story("cc00"))
    assert old.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("what", ["folder", "text", "database"])
def test_the_permissions_of_what_is_no_library_stay(tmp_path: Path, what: str) -> None:
    other = tmp_path / "other"
    if what == "folder":
        other.mkdir()
    elif what == "text":
        other.write_text("A letter.\n")
    else:
        with closing(sqlite3.connect(other)) as db:
            db.execute("CREATE TABLE letter (text)")
    other.chmod(0o755)
    with pytest.raises((LibraryError, sqlite3.Error)), closing(Library(other)) as library:
        library.start(a_story())
    assert other.stat().st_mode & 0o777 == 0o755
