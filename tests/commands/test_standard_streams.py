"""Closed, full, non-blocking and oddly encoded standard streams, as a shell connects them."""

import fcntl
import json
import os
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from polaris_cli.library.store import Library
from tests.cli import (
    PLAN,
    TALE_TEXT,
    TALE_WORDS,
    environment,
    polaris_command,
    scripted_command,
)

CLOSED = [*product(("", "<&-"), ("", ">&-"), ("", "2>&-"))][1:]
FULL = [("", ">/dev/full", ""), ("", "", "2>/dev/full"), ("<&-", ">/dev/full", "2>/dev/full")]
COMMANDS = [
    ["--version"],
    ["--help"],
    ["presets", "show", "default"],
    ["help", "json"],
    ["models"],
]
STRANGE = "Naïve café: 狐 \udc80 “no” – …"


def shell(
    command: list[str], home: Path, *redirections: str, **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a shell that redirects its streams."""
    line = " ".join([shlex.join(command), *redirections])
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, env=environment(home, **more), timeout=60
    )


@pytest.mark.slow
@pytest.mark.parametrize("streams", CLOSED + FULL, ids=" ".join)
def test_a_story_reaches_its_file_and_the_library(tmp_path: Path, streams: tuple[str, ...]) -> None:
    file = tmp_path / "fox.txt"
    command = scripted_command("write", "a fox", "-w", "10", "-m", "demo", "-o", str(file))
    ended = shell(command, tmp_path, *streams)
    assert ended.returncode == (8 if ">/dev/full" in streams else 0), ended.stderr
    assert file.read_text() == TALE_TEXT + "\n"
    if not streams[1]:
        assert ended.stdout.decode() == TALE_TEXT + "\n"
    if not streams[2]:
        assert f"{TALE_WORDS} of 10 words".encode() in ended.stderr
        assert b"polaris: saved" in ended.stderr
    assert Library(tmp_path / "library.db").get("last").text == TALE_TEXT


@pytest.mark.slow
def test_without_a_file_and_library_a_full_disk_ends_the_story(tmp_path: Path) -> None:
    command = scripted_command("write", "a fox", "-w", "10", "-m", "demo", "--no-save")
    ended = shell(command, tmp_path, ">/dev/full")
    assert ended.returncode == 8 and b"words" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_bears_a_full_and_a_closed_output(tmp_path: Path, command: list[str]) -> None:
    full = shell(polaris_command(*command), tmp_path, ">/dev/full")
    assert full.returncode == 8
    assert full.stderr.decode().splitlines()[0] == (
        "polaris: error: Cannot write to standard output: No space left on device."
    )
    assert len(full.stderr.splitlines()) == 2
    closed = shell(polaris_command(*command), tmp_path, "<&-", ">&-")
    assert (closed.returncode, closed.stderr) == (0, b"")


def test_a_closed_pipe_during_the_options_is_silent(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        polaris_command("--help"), stdout=writing, stderr=subprocess.PIPE,
        env=environment(tmp_path), timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_a_pipe_that_does_not_block_gets_all_of_the_text(tmp_path: Path) -> None:
    program = (
        "from polaris_cli.commands.standard_streams import prepare_streams; import sys\n"
        "prepare_streams(); print('x' * 300_000); print('end')"
    )
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    with subprocess.Popen([sys.executable, "-c", program], stdout=writing) as process:
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert pipe.read().endswith("xxx\nend\n")
    assert process.returncode == 0


UTF_16 = pytest.param("utf-16", marks=pytest.mark.slow)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", UTF_16])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_an_encoding_that_lacks_characters_never_fails(
    tmp_path: Path, encoding: str, more: list[str]
) -> None:
    file = tmp_path / "fox.txt"
    command = scripted_command(
        "write",
        "le café",
        "-w",
        "9",
        "-m",
        "demo",
        "-o",
        str(file),
        *more,
        scripts=[[*PLAN, STRANGE]],
    )
    ended = shell(command, tmp_path, PYTHONIOENCODING=encoding)
    assert ended.returncode == 0, ended.stderr
    printed = ended.stdout.decode(encoding)
    seen = STRANGE.encode(encoding, "replace").decode(encoding)
    assert (json.loads(printed)["story"] if more else printed) == (STRANGE if more else seen + "\n")
    assert file.read_text() == STRANGE.replace("\udc80", "?") + "\n"
    told = f"printed in {encoding}, as PYTHONIOENCODING says"
    assert (told in ended.stderr.decode(encoding)) == (encoding != "utf-16")


DOCTOR = pytest.param(["doctor"], marks=pytest.mark.slow)


@pytest.mark.parametrize("command", [["models"], ["presets"], ["help", "lengths"], DOCTOR])
def test_tables_and_pages_degrade(tmp_path: Path, command: list[str]) -> None:
    ended = shell(polaris_command(*command), tmp_path, PYTHONIOENCODING="ascii")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.decode("ascii")
