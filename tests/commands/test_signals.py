"""Signals before a command listens to them, and once it is over."""

import os
import signal
import subprocess
import sys
import time
from fcntl import ioctl
from pathlib import Path
from struct import unpack
from termios import FIONREAD

import pytest

from tests.cli import environment, polaris_command

OVER = """
import os, signal, sys
from polaris_cli.commands.signals import end_with

class Late:
    def __del__(self, kill=os.kill, own=os.getpid()):
        kill(own, {number})

end_with(7)
{what}
sys.exit(7)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_ends_a_command_that_does_not_write_yet_as_ctrl_c_does(
    number: int, tmp_path: Path
) -> None:
    waiting = subprocess.Popen(
        polaris_command("batch", "-", "-o", str(tmp_path / "out")),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(tmp_path),
    )
    assert waiting.stdin
    os.write(waiting.stdin.fileno(), b"a fox")
    _wait_until_read(waiting.stdin.fileno())
    waiting.send_signal(number)
    _, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, err.decode()) == (130, "polaris: interrupted.\n")


def _wait_until_read(pipe: int) -> None:
    """Wait until the other process has read what is in the pipe, and waits for more."""
    deadline = time.monotonic() + 60
    while unpack("i", ioctl(pipe, FIONREAD, bytes(4)))[0] and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("what", ["os.kill(os.getpid(), {number})", "late = Late()"])
def test_a_signal_once_a_command_is_over_changes_nothing(number: int, what: str) -> None:
    code = OVER.format(number=int(number), what=what.format(number=int(number)))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (7, b"")
