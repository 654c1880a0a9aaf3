"""A copy of the library holds every story; a library that cannot be written to can be read."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from polaris_cli.errors import LibraryError
from polaris_cli.events import Chunk
from polaris_cli.library.store import Library
from tests.cli import in_process, polaris_command, run
from tests.stories import a_story


def running(path: Path) -> Library:
    """A library with a finished story and one being written, nothing of which is checkpointed."""
    library = Library(path)
    library.finish(a_story("aaaa0000", "It ended.", finish="stop"))
    new = a_story("bbbb0000")
    library.start(new)
    library.append(new.id, [Chunk("story", "It began", 2, (1, 2))])
    return library


@pytest.mark.slow
def test_a_backup_holds_running_stories_and_needs_no_other_file(tmp_path: Path) -> None:
    library = running(tmp_path / "library.db")
    copy = tmp_path / "copies" / "b.db"
    copy.parent.mkdir()
    assert run(polaris_command("library", "backup", str(copy)), tmp_path).returncode == 0
    assert [path.name for path in copy.parent.iterdir()] == ["b.db"]
    library.close()
    copied = Library(copy)
    assert {entry.id for entry in copied.entries()} == {"aaaa0000", "bbbb0000"}
    assert copied.get("bbbb").text == "It began"
    assert [entry.id for entry in copied.search(["ended"])] == ["aaaa0000"]


@pytest.mark.slow
def test_a_backup_that_does_not_fit_is_no_fault_of_the_library(tmp_path: Path) -> None:
    running(tmp_path / "library.db")
    copy = tmp_path / "copies" / "b.db"
    copy.parent.mkdir()
    # A limit on the size of a file stands for a disk without space.
    limited = ["sh", "-c", 'ulimit -f 20; exec "$@"', "sh"]
    ended = run([*limited, *polaris_command("library", "backup", str(copy))], tmp_path)
    assert ended.returncode == 8 and "Cannot write the copy: " in ended.stderr
    assert not [*copy.parent.iterdir()]


@pytest.mark.slow
def test_a_backup_replaces_a_file_only_with_force(tmp_path: Path) -> None:
    running(tmp_path / "library.db")
    copy = tmp_path / "b.db"
    copy.write_text("mine")
    refused = run(polaris_command("library", "backup", str(copy)), tmp_path)
    assert refused.returncode == 2 and copy.read_text() == "mine"
    assert run(polaris_command("library", "backup", str(copy), "--force"), tmp_path).returncode == 0
    assert len(Library(copy).entries()) == 2


@pytest.mark.parametrize("copy_is_there", [True, False])
def test_the_newest_text_of_an_earlier_copy_is_not_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy_is_there: bool
) -> None:
    copy = tmp_path / "b.db"
    log = Path(f"{copy}-wal")
    earlier = running(copy)
    files = {file: file.read_bytes() for file in (copy, log)}
    earlier.close()
    for file, content in files.items():  # as a killed process leaves them
        file.write_bytes(content)
    if not copy_is_there:
        copy.unlink()
    Library(tmp_path / "library.db").finish(a_story("cccc0000", "It is new.", finish="stop"))
    done = in_process(["library", "backup", str(copy), "--force"], tmp_path, monkeypatch)
    assert done.returncode == 0, done.stderr
    assert not log.exists()
    assert [entry.id for entry in Library(copy).entries()] == ["cccc0000"]


def test_a_copy_in_use_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running(tmp_path / "library.db")
    used = running(tmp_path / "b.db")
    used.remove("aaaa")
    command = ["library", "backup", str(used.path), "--force"]
    refused = in_process(command, tmp_path, monkeypatch)
    assert refused.returncode == 8 and "in use by another program" in refused.stderr
    assert [entry.id for entry in used.entries()] == ["bbbb0000"]


@pytest.mark.parametrize("what", ["damaged", "missing"])
def test_a_backup_that_would_lack_stories_replaces_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path, copy = tmp_path / "library.db", tmp_path / "b.db"
    if what == "damaged":
        running(path).close()
        with path.open("r+b") as file:
            file.seek(3 * 4096)
            file.write(b"\xff" * 4096)
    copy.write_text("a good copy")
    command = ["library", "backup", str(copy), "--force"]
    refused = in_process(command, tmp_path, monkeypatch)
    assert refused.returncode and copy.read_text() == "a good copy"
    assert "is damaged" in refused.stderr or "There is no library" in refused.stderr
    assert "saved" not in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("link", [False, True])
def test_the_library_is_never_its_own_backup(tmp_path: Path, link: bool) -> None:
    running(tmp_path / "library.db")
    other = tmp_path / "sub" / ".." / "library.db"
    (tmp_path / "sub").mkdir()
    if link:
        other = tmp_path / "link.db"
        other.symlink_to("library.db")
    for command in (["backup", str(other)], ["export", "last", "-o", str(other)]):
        refused = run(polaris_command("library", *command, "--force"), tmp_path)
        assert refused.returncode == 2
    assert len(Library(tmp_path / "library.db").entries()) == 2


@pytest.mark.parametrize(
    "command",
    [
        ["library", "backup"],
        ["write", "a fox", "--no-save", "--thinking-output"],
        ["compare", "a fox", "-m", "demo,smollm2", "-o"],
    ],
)
def test_no_output_replaces_the_newest_text_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    library = running(tmp_path / "library.db")
    newest = Path(f"{library.path}-wal")
    before = newest.read_bytes()
    if "compare" in command:
        newest = newest.with_name("page.html")
        newest.symlink_to(f"{library.path}-wal")
    refused = in_process([*command, str(newest), "--force"], tmp_path, monkeypatch)
    assert refused.returncode == 2 and "the library are the same file" in refused.stderr
    assert before and newest.read_bytes() == before


def test_a_backup_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    running(tmp_path / "library.db")
    refused = run(polaris_command("library", "backup", str(tmp_path / "no" / "b.db")), tmp_path)
    assert refused.returncode == 2 and "does not exist" in refused.stderr


def unprivileged(*command: str) -> list[str]:
    """The command without root's power to write where permissions forbid it."""
    if os.geteuid() != 0:
        return [*command]
    if not shutil.which("setpriv"):
        pytest.skip("root can write everywhere, and setpriv is not here to take that away")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--", *command]


@pytest.mark.slow
@pytest.mark.parametrize("left", ["closed", "killed", "copied without its index"])
@pytest.mark.parametrize("command", [("--json",), ("show", "aaaa"), ("search", "ended")])
def test_a_library_on_a_read_only_place_is_read(
    tmp_path: Path, command: tuple[str, ...], left: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    library = running(home / "library.db")
    if left == "closed":
        library.close()
    elif left != "killed":
        Path(f"{library.path}-shm").unlink()
    home.chmod(0o500)
    (home / "library.db").chmod(0o400)
    try:
        shown = run(unprivileged(*polaris_command("library", *command)), home)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "aaaa0000" in shown.stdout or "It ended." in shown.stdout
        refused = run(unprivileged(*polaris_command("library", "rm", "aaaa", "--yes")), home)
        assert refused.returncode == 1 and "Traceback" not in refused.stderr
    finally:
        home.chmod(0o700)


def test_a_library_that_is_no_file_of_ours_is_refused_read_only_too(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE a (b)")
    program = (
        "import sys; from polaris_cli.library.store import Library; from pathlib import Path\n"
        "Library(Path(sys.argv[1])).entries()"
    )
    tmp_path.chmod(0o500)
    try:
        command = unprivileged(sys.executable, "-c", program, str(path))
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        tmp_path.chmod(0o700)
    assert LibraryError.__name__ in ended.stderr and "another program" in ended.stderr
