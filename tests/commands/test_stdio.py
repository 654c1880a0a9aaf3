"""Libraries cannot read standard input or print to standard output."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polaris_cli.commands.stdio import reserved_stdio
from tests.cli import environment

NOISY = """
import os, sys
from polaris_cli.commands.app import app; from polaris_cli.engines import opening
from polaris_cli.engines.base import ModelInfo
from polaris_cli.engines.scripted import ScriptedEngine

def noise():
    print("NOISE from Python")
    os.write(1, b"NOISE from C\\n")
    os.system("echo NOISE from a program")
    try:
        answer = input("Run this code? [y/N] ")
    except EOFError:
        answer = ""
    if answer or os.read(0, 100) or sys.stdin.read():
        os._exit(99)

class Noisy(ScriptedEngine):
    def stream(self, *args, **options):
        for piece in super().stream(*args, **options):
            noise()
            yield piece

def open_engine(*_, **__):
    noise()
    return Noisy(["A", " fox", " ran."], info=ModelInfo("demo", "built in", engine="scripted"))

opening.open_engine = open_engine
sys.argv = ["polaris", *sys.argv[1:]]
app(prog_name="polaris")
"""


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--json"], ["-o", "fox.txt"]])
def test_libraries_cannot_read_or_print(tmp_path: Path, more: list[str]) -> None:
    command = [sys.executable, "-c", NOISY, "write", "-w", "3", "-m", "demo", "--no-think", *more]
    ended = subprocess.run(
        command, input=b"a fox\n", capture_output=True, env=environment(tmp_path), cwd=tmp_path,
        timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr.decode()
    assert b"NOISE" not in ended.stdout and b"Run this" not in ended.stdout
    if more != ["--json"]:
        assert ended.stdout == b"A fox ran.\n"


def test_the_streams_are_restored_after_the_block(capfd: pytest.CaptureFixture[str]) -> None:
    before = (sys.stdin, sys.stdout, os.fstat(0).st_ino, os.fstat(1).st_ino)
    with reserved_stdio():
        pass
    assert (sys.stdin, sys.stdout, os.fstat(0).st_ino, os.fstat(1).st_ino) == before
    os.write(1, b"still here\n")
    assert capfd.readouterr().out == "still here\n"


def test_only_messages_reach_a_reserved_stderr(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from polaris_cli.commands.stdio import reserved_stderr\n"
        "with reserved_stderr():\n"
        "    os.write(2, b'NOISE')\n"
        "    os.system('echo NOISE >&2')\n"
        "    print('message', file=sys.stderr)\n"
        "print('after', file=sys.stderr); os.write(2, b'there')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment(tmp_path), timeout=60
    )
    assert ended.stderr == b"message\nafter\nthere"


def test_a_closed_pipe_is_reported_once(tmp_path: Path) -> None:
    program = (
        "from polaris_cli.commands.stdio import reserved_stdio\n"
        "try:\n"
        "    with reserved_stdio() as out:\n"
        "        for _ in range(100_000): print('a line of the story', file=out)\n"
        "except BrokenPipeError: raise SystemExit(7)"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=pipe) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert (process.wait(20), process.stderr.read()) == (7, b"")
