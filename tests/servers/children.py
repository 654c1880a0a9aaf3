"""A server in a child process of its own, which ends with the test run whatever happens.

Knows no server in particular: how one starts is its own module's business.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: its address, the model's name in requests, its key, its process id."""

    url: str
    model: str
    key: str | None
    pid: int

    def get(self, path: str) -> Any:
        """The JSON that it answers to GET; urllib's HTTPError for a status of 400 and above."""
        return self._ask(path, None)

    def post(self, path: str, body: object) -> Any:
        """The JSON that it answers to POST, errors as for `get`."""
        return self._ask(path, json.dumps(body).encode())

    def _ask(self, path: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)


@contextmanager
def running(
    module: str, *options: str, model: str, key: str | None = None, within: float = 180.0
) -> Iterator[Running]:
    """`python -m module --port PORT *options`, once its /health answers 200.

    Raises RuntimeError with the end of its log if it ends before that, or takes over `within`
    seconds.
    """
    port = free_port()
    command = [sys.executable, "-m", module, "--port", str(port), *options]
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_healthy(url, child, log, within)
            yield Running(url, model, key, child.pid)
        finally:
            child.kill()
            child.wait()


def end_with_parent() -> None:
    """In a child: ends this process soon after its parent has gone, even by `kill -9`."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def skip_if(missing: str) -> None:
    """Skips the test where something is missing: the command that installs it."""
    if missing:
        pytest.skip(f"needs: {missing}")


def _wait_until_healthy(
    url: str, child: subprocess.Popen[bytes], log: IO[bytes], within: float
) -> None:
    until = time.monotonic() + within
    while not _healthy(url):
        if child.poll() is not None or time.monotonic() > until:
            log.seek(0)
            said = log.read().decode("utf-8", "replace")[-2000:]
            raise RuntimeError(f"the server did not start (status {child.poll()}):\n{said}")
        time.sleep(0.1)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
