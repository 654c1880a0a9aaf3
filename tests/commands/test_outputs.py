"""Where a story goes: several files, standard output, and never two outputs in one file."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from polaris_cli.commands.delivery import deliver
from polaris_cli.commands.outputs import Outputs
from polaris_cli.errors import UsageError
from polaris_cli.formats.files import check_distinct
from polaris_cli.library.store import Library
from polaris_cli.models.devices import size_text
from tests.books import png
from tests.cli import (
    TALE_TEXT,
    environment,
    in_process,
    polaris_command,
    run,
    scripted_command,
    wait_for_text,
)
from tests.stories import a_story


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


@pytest.mark.slow
def test_the_library_cannot_be_an_output(tmp_path: Path) -> None:
    library = tmp_path / "library.db"
    more = ["--thinking-output", str(library), "--force"]
    refused = run(polaris_command("write", "a fox", *more), tmp_path)
    assert refused.returncode == 2 and "the library" in refused.stderr


@pytest.mark.slow
def test_the_file_of_standard_output_cannot_be_an_output(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    command = polaris_command("write", "a fox", "-m", "demo", "-o", str(file), "--force")
    with file.open("w") as out:
        ended = subprocess.run(
            command, stdout=out, stderr=subprocess.PIPE, env=environment(tmp_path), timeout=60
        )
    assert ended.returncode == 2 and b"standard output" in ended.stderr


@pytest.mark.slow
def test_several_files_and_standard_output_get_the_story(tmp_path: Path) -> None:
    files = [tmp_path / f"fox.{suffix}" for suffix in ("txt", "epub", "json")]
    given = [argument for file in files for argument in ("-o", str(file))]
    command = scripted_command("write", "a fox", "-w", "10", "-m", "demo", *given, "-o", "-")
    ended = run(command, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, TALE_TEXT + "\n")
    assert files[0].read_text() == TALE_TEXT + "\n"
    assert json.loads(files[2].read_text())["story"] == TALE_TEXT
    saved = [line for line in ended.stderr.splitlines() if "saved" in line]
    assert saved == [f"polaris: saved {f} ({size_text(f.stat().st_size)})" for f in files]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or not os.geteuid(), reason="root reads all files")
def test_a_file_that_may_not_be_read_can_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "fox.txt"
    file.touch(mode=0)
    command = scripted_command("write", "a fox", "-w", "10", "-m", "demo", "-o", str(file))
    assert "already exists" in run(command, tmp_path).stderr
    assert run([*command, "--force"], tmp_path).returncode == 0


@pytest.mark.slow
def test_files_say_what_was_given_and_a_later_export_too(tmp_path: Path) -> None:
    image, page, later = png(tmp_path), tmp_path / "fox.html", tmp_path / "later.html"
    said = ("--title", "The Fog", "--author", "Jane", "--cover", image)
    command = scripted_command("write", "a fox", "-w", "10", "-m", "demo", "-o", str(page), *said)
    assert run(command, tmp_path).returncode == 0
    export = polaris_command("library", "export", "last", "-o", str(later))
    assert run(export, tmp_path).returncode == 0
    assert page.read_text() == later.read_text()
    assert "<title>The Fog</title>" in page.read_text() and "data:image/png" in page.read_text()
    Path(image).unlink()
    ended = run([*export, "--force"], tmp_path)
    assert "cannot be read, so the files have none" in ended.stderr
    assert "data:image" not in later.read_text() and 'content="Jane"' in later.read_text()


@pytest.mark.slow
def test_a_bad_cover_is_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "fox.png").write_text("no image")
    command = scripted_command("write", "a fox", "-m", "demo", "--cover", str(tmp_path / "fox.png"))
    ended = run(command, tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "is not an image in JPEG or PNG" in ended.stderr


@pytest.mark.slow
def test_a_file_that_cannot_be_written_does_not_keep_the_others_back(tmp_path: Path) -> None:
    """Its folder is removed while the story is written."""
    (tmp_path / "gone").mkdir()
    lost, kept = tmp_path / "gone" / "a.md", tmp_path / "b.txt"
    command = scripted_command(
        "write", "a fox", "-w", "10", "-m", "demo", "-o", str(lost), "-o", str(kept), delay=0.2
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment(tmp_path)) as process:
        wait_for_text(tmp_path, "Once")
        (tmp_path / "gone").rmdir()
        out, err = process.communicate()
    assert process.returncode == 8 and out.decode() == TALE_TEXT + "\n"
    assert kept.read_text() == TALE_TEXT + "\n"
    assert b"Cannot write" in err and b"The story is in the library" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-o", "a.md", "-o", "./a.md"], "--output is given twice for the same file"),
        (["-o", "a.md", "-o", "b"], "Cannot choose a format for b"),
        (["--thinking-output", "-"], "- is standard output"),
    ],
)
def test_outputs_that_cannot_work_are_refused(
    tmp_path: Path, options: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = in_process(["write", "a fox", "-m", "demo", *options], tmp_path, monkeypatch)
    assert refused.returncode == 2 and told in refused.stderr
    assert not [*tmp_path.glob("*.md")]


def test_an_export_goes_to_several_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Library(tmp_path / "library.db").finish(a_story(text="It came."))
    files = [tmp_path / "a.md", tmp_path / "a.html"]
    outputs = ["-o", str(files[0]), "-o", "-", "-o", str(files[1])]
    ended = in_process(["library", "export", "last", *outputs], tmp_path, monkeypatch)
    assert (ended.returncode, ended.stdout) == (0, "It came.\n"), ended.stderr
    assert all(file.stat().st_size for file in files)


def test_a_story_without_thinking_says_that_there_is_none_to_save(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "thinking.txt"
    for quiet in (False, True):
        deliver(replace(a_story(), thinking=""), Outputs(thinking=file, quiet=quiet), sys.stdout)
        told = capsys.readouterr().err
        assert not file.exists() and ("There is no thinking to save in" in told) is not quiet
