"""`polaris resume` and `rerun`: which story they take, and which they leave to its writer."""

from pathlib import Path

import pytest

from polaris_cli.library.store import Library
from tests.cli import in_process
from tests.stories import a_story


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """A finished story, and one that this process, which lives, is writing."""
    library = Library(tmp_path / "library.db")
    library.finish(a_story("aaaa0000", "The fog came.", finish="error"))
    library.start(a_story("bbbb0000"))
    return library


@pytest.mark.parametrize("command", ["resume", "rerun"])
def test_a_story_that_is_being_written_is_left_to_its_writer(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    refused = in_process([command, "bbbb"], tmp_path, monkeypatch)
    assert refused.returncode == 2
    assert "Story bbbb0000 is being written right now." in refused.stderr
    library.remove("aaaa")
    refused = in_process([command], tmp_path, monkeypatch)  # there is no other
    assert "Story bbbb0000 is being written right now." in refused.stderr


def test_without_an_id_it_is_the_newest_that_nobody_writes(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = in_process(["resume"], tmp_path, monkeypatch)
    assert "bbbb0000 is being written right now; this is the one before, aaaa" in refused.stderr
    assert "Story aaaa0000 was written by an engine that does not record tokens." in refused.stderr
