"""Folders and files that cannot be read or made, devices that never end, and no home at all."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import environment, in_process, polaris_command, run

PR_CAPBSET_DROP, DAC_OVERRIDE, DAC_READ_SEARCH = 24, 1, 2


def obey_permissions() -> None:
    """Take root's right to read everything from this process and its children."""
    libc = ctypes.CDLL(None)
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


PROGRAM = """
import json, sys
from typer.testing import CliRunner
from polaris_cli.commands.app import app
for arguments, variables in json.loads(sys.argv[1]):
    ended = CliRunner().invoke(app, arguments, prog_name="polaris", env=variables)
    print(json.dumps([ended.exit_code, ended.stdout, ended.stderr]))
"""


def run_as_user(
    commands: list[tuple[list[str], dict[str, str]]], home: Path
) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each command, with the variables beside it."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, env=environment(home),
        preexec_fn=obey_permissions,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return [tuple(json.loads(line)) for line in ended.stdout.splitlines()]


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may enter, and beside it a file that nobody may read."""
    folder, file = tmp_path / "closed", tmp_path / "closed.toml"
    folder.mkdir()
    file.touch()
    folder.chmod(0)
    file.chmod(0)
    yield folder
    folder.chmod(0o700)


UNREADABLE = [
    (["write", "a fox", "-m", "demo", "--dry-run"], "XDG_CONFIG_HOME"),
    (["presets"], "XDG_CONFIG_HOME"),
    (["write", "a fox", "-m", "no-hri", "--dry-run"], "HF_HOME"),
    (["models", "show", "no-hri"], "HF_HOME"),
    (["library"], "POLARIS_LIBRARY"),
    (["write", "a fox", "-m", "demo", "-p", "{}.toml"], ""),
    (["write", "a fox", "-m", "demo", "-p", "{}/x.toml"], ""),
    (["write", "a fox", "-m", "demo", "--plan", "{}/x.toml"], ""),
    (["write", "--continue", "{}/x.md", "-m", "demo"], ""),
    (["write", "--continue", "{}/x.docx", "-m", "demo"], ""),
    (["write", "a fox", "-m", "{}"], ""),
    (["write", "a fox", "-m", "{}/x.gguf"], ""),
    (["write", "a fox", "-m", "demo", "-o", "{}/x.md"], ""),
    (["write", "a fox", "-m", "demo", "--thinking-output", "{}/x.md"], ""),
    (["bench", "length", "-m", "demo", "--premises", "{}/x"], ""),
    (["library", "backup", "{}/x"], ""),
]


@pytest.mark.slow
def test_what_may_not_be_read_is_named(tmp_path: Path, closed: Path) -> None:
    commands = [
        ([one.format(closed) for one in arguments], {variable or "UNUSED": str(closed)})
        for arguments, variable in UNREADABLE
    ]
    for (arguments, _), (code, out, err) in zip(
        commands, run_as_user(commands, tmp_path), strict=True
    ):
        said = err.splitlines()
        assert code in (1, 2, 3) and len(said) <= 2 and not out, (arguments, err)
        assert str(closed) in said[0] and "ermission denied" in said[0], arguments
        assert "Unexpected" not in said[0], arguments


@pytest.mark.slow
def test_overviews_work_without_a_folder(tmp_path: Path, closed: Path) -> None:
    variables = ({"HF_HOME": str(closed)}, {"XDG_CONFIG_HOME": str(closed)})
    commands = [([name], one) for name in ("models", "doctor") for one in variables]
    ended = run_as_user(commands, tmp_path)
    assert all(code == 0 and "no-hri" in out for code, out, _ in ended), ended
    assert "unreadable" in ended[0][1]
    assert all(f"Problem: Cannot read {closed}" in out for _, out, _ in ended[2:])


@pytest.mark.slow
def test_a_file_in_place_of_each_folder_costs_no_story(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    command = polaris_command("write", "a fox", "-w", "20", "-m", "demo")
    places = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HF_HOME"), str(file))
    ended = run(command, tmp_path, stdin=b"", **places)
    assert ended.returncode == 0 and ended.stdout, ended.stderr


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
@pytest.mark.parametrize("option", ["--plan", "--continue", "-p"])
def test_a_device_ends(
    tmp_path: Path, option: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "device.toml"
    link.symlink_to(device)
    command = ["write", "a fox", option, str(link), "-m", "demo"]
    ended = in_process(command, tmp_path, monkeypatch)
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) <= 2


@pytest.mark.slow
def test_an_endless_pipe_ends(tmp_path: Path) -> None:
    command = polaris_command("write", "-m", "demo")
    with open("/dev/zero", "rb") as zeros:  # noqa: PTH123
        ended = subprocess.run(
            command, stdin=zeros, capture_output=True, env=environment(tmp_path), timeout=60
        )
    assert ended.returncode == 2 and b"larger than 50 MB" in ended.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become a user without an entry")
def test_a_user_without_a_home() -> None:
    """Runs `ensure_home` alone: such a user may not even read the files of this project."""
    program = (Path(__file__).parents[2] / "polaris_cli" / "commands" / "home.py").read_text()
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    folder.chmod(0o777)
    ended = subprocess.run(
        ["/usr/bin/env", "python3", "-c", f"{program}\nprint(ensure_home(), Path.home())"],
        user=54321, capture_output=True, text=True, cwd="/", timeout=60,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder)},
    )  # fmt: skip
    made = folder / "polaris-54321"
    assert ended.stdout.endswith(f"Set HOME to change it. {made}\n"), ended.stderr
    assert made.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(folder)
