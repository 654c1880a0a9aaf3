"""Writes are atomic, and invalid output paths are refused before."""

import os
import zipfile
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from polaris_cli.errors import OutputError, PolarisError, UsageError
from polaris_cli.formats.files import check_distinct, check_writable, write_atomic, zipped


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.txt", b"text", force=False)
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "a.txt").read_bytes() == b"text"
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert names(tmp_path) == ["a.txt", "plain"]


def test_a_file_is_replaced_only_with_force_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o600)
    for check in (check_writable, write_it):
        with pytest.raises(UsageError, match="already exists") as caught:
            check(path, force=False)
        assert "--force" in caught.value.hint
    assert path.read_text() == "old"
    check_writable(path, force=True)
    write_it(path, force=True)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def write_it(path: Path, *, force: bool) -> None:
    write_atomic(path, b"new", force=force)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("missing/a.txt", "does not exist"),
        ("file/a.txt", "does not exist"),
        ("folder.md", "is a folder"),
        ("n" * 300 + ".txt", "name too long"),
        ("nul\0.txt", "null"),
        ("loop.txt", "symbolic links"),
    ],
)
def test_invalid_paths_are_refused(tmp_path: Path, path: str, sentence: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    before = names(tmp_path)
    with pytest.raises(UsageError, match=sentence) as caught:
        check_writable(tmp_path / path, force=True)
    assert caught.value.hint
    with pytest.raises(PolarisError):
        write_it(tmp_path / path, force=True)
    assert names(tmp_path) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write in")
def test_a_read_only_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="Cannot write to the folder /proc/"):
        check_writable(Path("/proc/self/a.txt"), force=False)
    with pytest.raises(UsageError, match="Cannot write to the folder /proc: it takes no"):
        check_writable(Path("/proc/a.txt"), force=False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(UsageError, match="not a regular file"):
        write_it(tmp_path / "pipe.txt", force=True)


def test_two_outputs_cannot_be_one_file_even_before_it_exists(tmp_path: Path) -> None:
    story, other = tmp_path / "a.md", tmp_path / "b.md"
    check_distinct([("--output", story), ("--thinking-output", other)])
    check_distinct([("--output", story), ("--log", Path("~no such user/a.md"))])
    detour = tmp_path / "sub" / ".." / "a.md"
    with pytest.raises(UsageError, match="--output and --log are the same file"):
        check_distinct([("--output", story), ("--thinking-output", other), ("--log", detour)])


def test_standard_output_that_is_not_a_file_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", StringIO())
    check_distinct([("--output", Path(__file__))])


def test_the_file_of_standard_output_cannot_be_an_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    with path.open("w") as stdout, pytest.raises(UsageError, match="standard output"):
        monkeypatch.setattr("sys.stdout", stdout)
        check_distinct([("--output", path)])


def test_the_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.txt", force=False)
    assert names(tmp_path) == []


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real/a.txt")
    (tmp_path / "dangling.txt").symlink_to("real/b.txt")
    with pytest.raises(UsageError):
        check_writable(tmp_path / "link.txt", force=False)
    write_it(tmp_path / "link.txt", force=True)
    write_it(tmp_path / "dangling.txt", force=False)
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "new"
    assert (tmp_path / "real" / "b.txt").read_text() == "new"
    assert names(tmp_path / "real") == ["a.txt", "b.txt"]


REASON = "No space left on device"


@pytest.mark.parametrize("error", [OSError(28, REASON), OSError(REASON), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def failing(number: int) -> None:
        raise error

    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises((PolarisError, KeyboardInterrupt)) as caught:
        write_it(tmp_path / "a.txt", force=True)
    if isinstance(error, OSError):
        assert str(caught.value) == f"Cannot write {tmp_path / 'a.txt'}: {REASON}."
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_the_hint_speaks_of_space_only_where_it_lacks() -> None:
    hints = {
        28: "Free some space there, or use another file.",
        122: "Free some space there, or use another file.",
        30: "Use another file.",
    }
    for number, hint in hints.items():
        error = OutputError.of("a.txt", OSError(number, "no"), "Use another file.")
        assert (error.message, error.hint) == ("Cannot write a.txt: no.", hint)


def test_a_zip_is_the_same_each_time_and_its_first_member_is_stored() -> None:
    members = [("mimetype", "text"), ("b/c.xml", "é" * 1000)]
    assert zipped(members) == zipped(members)
    with zipfile.ZipFile(BytesIO(zipped(members))) as archive:
        first, second = archive.infolist()
        assert (first.compress_type, first.extra) == (zipfile.ZIP_STORED, b"")
        assert second.compress_type == zipfile.ZIP_DEFLATED
        assert archive.read("b/c.xml").decode() == "é" * 1000


def test_members_of_a_zip_are_readable_by_everyone() -> None:
    with zipfile.ZipFile(BytesIO(zipped([("a.txt", "text")]))) as archive:
        [member] = archive.infolist()
        assert (member.create_system, member.external_attr >> 16) == (3, 0o644)  # Unix, rw-r--r--
