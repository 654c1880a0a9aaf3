"""Two outputs cannot be the same file, however their paths are written."""

import os
import subprocess
from pathlib import Path

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.formats.files import check_distinct
from tests.cli import environment, in_process, polaris_command, run


def one_file(tmp_path: Path, kind: str) -> tuple[Path, Path]:
    """Two paths of one file, which exists only for a hard link."""
    (tmp_path / "sub").mkdir()
    file = tmp_path / "story.md"
    match kind:
        case "same":
            return file, file
        case "spelling":
            return file, tmp_path / "sub" / ".." / "." / "story.md"
        case "relative":
            return file, Path(os.path.relpath(file))
        case "link":
            (tmp_path / "other.md").symlink_to("story.md")
            return file, tmp_path / "other.md"
        case "folder link":
            (tmp_path / "here").symlink_to(tmp_path)
            return file, tmp_path / "here" / "story.md"
    file.touch()
    (tmp_path / "hard.md").hardlink_to(file)
    return file, tmp_path / "hard.md"


KINDS = ["same", "spelling", "relative", "link", "folder link", "hard link"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_file_with_two_names_is_refused(tmp_path: Path, kind: str) -> None:
    one, other = one_file(tmp_path, kind)
    with pytest.raises(UsageError, match="--output and --thinking-output are the same file"):
        check_distinct([("--output", one), ("--thinking-output", other)])


def test_different_files_and_missing_ones_pass(tmp_path: Path) -> None:
    check_distinct([(name, tmp_path / name) for name in ("a.md", "b.md", "A.txt")])


@pytest.mark.parametrize("command", [["write", "a fox"], ["resume"], ["rerun"]])
def test_every_command_that_writes_refuses_it(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.txt"
    more = ["-o", str(file), "--thinking-output", str(tmp_path / "x" / ".." / "a.txt"), "--force"]
    (tmp_path / "x").mkdir()
    refused = in_process([*command, *more], tmp_path, monkeypatch)
    assert refused.returncode == 2 and "same file" in refused.stderr
    assert not file.exists()


def test_the_library_cannot_be_an_output(tmp_path: Path) -> None:
    library = tmp_path / "library.db"
    more = ["--thinking-output", str(library), "--force"]
    refused = run(polaris_command("write", "a fox", *more), tmp_path)
    assert refused.returncode == 2 and "the library" in refused.stderr


def test_the_file_of_standard_output_cannot_be_an_output(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    command = polaris_command("write", "a fox", "-m", "demo", "-o", str(file), "--force")
    with file.open("w") as out:
        ended = subprocess.run(
            command, stdout=out, stderr=subprocess.PIPE, env=environment(tmp_path), timeout=60
        )
    assert ended.returncode == 2 and b"standard output" in ended.stderr
