"""A server's process ends with the block, and with the test run that is killed."""

import subprocess
import sys
import time

import psutil
import pytest

from tests.servers.children import ROOT, free_port, running, skip_if
from tests.servers.llama_cpp import llama_cpp_server, missing

STARTS_AND_WAITS = """
from tests.servers.llama_cpp import llama_cpp_server
with llama_cpp_server() as server:
    print(server.pid, flush=True)
    input()
"""


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def gone_soon(pid: int) -> bool:
    until = time.monotonic() + 10
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not lives(pid)


def test_ports_are_free() -> None:
    assert free_port() > 0


def test_a_server_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(RuntimeError, match=r"No module named tests\.servers\.nothing"),
        running("tests.servers.nothing", model="x"),
    ):
        pass


@pytest.mark.slow
def test_it_ends_with_the_block() -> None:
    skip_if(missing())
    with pytest.raises(KeyboardInterrupt), llama_cpp_server() as server:
        assert lives(server.pid)
        raise KeyboardInterrupt
    assert not lives(server.pid)


@pytest.mark.slow
def test_it_ends_with_a_run_that_is_killed() -> None:
    skip_if(missing())
    command = [sys.executable, "-c", STARTS_AND_WAITS]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.kill()
    assert gone_soon(pid)
