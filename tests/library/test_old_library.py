"""A library that an earlier version wrote is listed, read, exported and resumed as before.

`written_by_0.1.0.db` was made by the commands of that version with the demo model: a single pass,
an extended story, one in two chapters, and one that Ctrl-C broke off.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from polaris_cli.events import text_of
from polaris_cli.library import database
from polaris_cli.library.store import Library
from polaris_cli.story.result import Story
from tests.cli import in_process, polaris_command, run

OLD = Path(__file__).with_name("written_by_0.1.0.db")
STATES = {
    "2c677c1b": ("interrupted", 20), "f1921925": ("stop", 94),
    "1f7abd34": ("stop", 56), "9c605157": ("stop", 46),
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copy(OLD, tmp_path / "library.db")
    return tmp_path


@pytest.mark.slow
def test_its_stories_are_listed_and_found(home: Path) -> None:
    listed = run(polaris_command("library", "--json"), home)
    found = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {one["id"]: (one["state"], one["written"]) for one in found} == STATES
    assert found[1]["title"] == "Beyond the Bakerc"
    searched = run(polaris_command("library", "search", "violin", "--json"), home)
    assert searched.returncode == 0, searched.stderr


@pytest.mark.slow
def test_a_record_is_whole_and_exported(home: Path) -> None:
    shown = run(polaris_command("library", "show", "f192", "--json"), home)
    record = json.loads(shown.stdout)
    assert record["length"]["mode"] == "chapters" and len(record["outline"]["chapters"]) == 2
    assert record["draft"] is None and record["sampling"]["seed"] == 3
    for suffix in ("md", "epub", "json"):
        file = home / f"story.{suffix}"
        assert (
            run(polaris_command("library", "export", "f192", "-o", str(file)), home).returncode == 0
        )
        assert file.stat().st_size > 300


@pytest.mark.slow
def test_its_stories_are_written_again_as_the_demo_has_another_vocabulary(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = in_process(["resume", "2c67"], home, monkeypatch)
    assert resumed.returncode == 2 and "polaris rerun 2c677c1b" in resumed.stderr
    for ref in ("9c60", "1f7a", "f192"):  # another processor may round its way to another text
        again = in_process(["rerun", ref], home, monkeypatch)
        assert again.returncode == 0 and again.stdout, again.stderr


@pytest.mark.parametrize("id", STATES)
def test_a_record_of_old_is_the_record_of_a_whole_request(home: Path, id: str) -> None:
    story = Library(home / "library.db").get(id)
    assert (story.request.device, story.request.model, story.request.plan) == ("auto", "demo", None)
    assert Story.from_dict(story.as_dict()) == story


def test_it_is_read_where_it_cannot_be_migrated(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "library.db"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE story SET state = 'writing' WHERE id = '2c677c1b'")  # it was killed
    library = Library(file)
    library._connection = database._read_only(file, "mode=ro&immutable=1")
    assert {one.id: one.written for one in library.entries()}["2c677c1b"] == 20
    assert "".join(map(text_of, library.events("2c677c1b"))) == library.get("2c677c1b").text
    assert library.votes() == []
