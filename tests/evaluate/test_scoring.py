"""Many texts are scored by several processes, which a Ctrl-C of the terminal does not reach."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from polaris_cli.evaluate.scoring import processes
from tests.cli import environment, polaris_command

TEXT = "the fox ran over a hill " * 2000


@pytest.mark.parametrize(("cores", "taken"), [(None, 1), (4, 4), (200, 16)])
def test_no_more_processes_are_started_than_have_texts(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, taken: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert processes() == taken


def wait_for_a_child(process: "subprocess.Popen[bytes]") -> None:
    """Wait until a process that scores is being started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in children.read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                return
        time.sleep(0.005)
    raise AssertionError("no process was started")


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.1, 0.3])
def test_ctrl_c_while_processes_start_ends_at_once(tmp_path: Path, after: float) -> None:
    stories = tmp_path / "stories.jsonl"
    row = json.dumps({"output": TEXT, "length": 1500}) + "\n"
    stories.write_text(row * 150)
    with subprocess.Popen(
        polaris_command("eval", "score", str(stories)),
        env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        wait_for_a_child(process)
        time.sleep(after)
        os.killpg(process.pid, signal.SIGINT)
        try:
            out, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, told) == (130, b"", b"polaris: interrupted.\n")
