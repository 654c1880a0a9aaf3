"""A batch on a local Ray cluster: every story arrives once, also if a worker is lost."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from polaris_cli.batch.cluster import Cluster, _own_sigterm, write_on_cluster
from polaris_cli.batch.premises import Row
from polaris_cli.batch.tasks import Task
from tests.cli import environment, polaris_command, run

pytest.importorskip("ray", reason="needs the extra ray")

pytestmark = pytest.mark.slow


def command(home: Path, rows: int, *more: str) -> list[str]:
    (home / "p.txt").write_text("".join(f"a fox and bell number {n}\n" for n in range(rows)))
    asked = ["batch", str(home / "p.txt"), "-o", str(home / "out"), "-m", "demo", "--words", "40"]
    return polaris_command(*asked, "--cluster", "local", "--workers", "2", "--threads", "1", *more)


def keys(home: Path) -> list[str]:
    lines = (home / "out" / "stories.jsonl").read_text().splitlines()
    return sorted((json.loads(line)["batch"]["key"] for line in lines), key=int)


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "MapWorker" in child.name() + " ".join(child.cmdline())]


def test_every_story_arrives_once_although_a_worker_is_killed(tmp_path: Path) -> None:
    asked = command(tmp_path, 8, "--jobs", "4")
    stories = tmp_path / "out" / "stories.jsonl"
    pipe = subprocess.PIPE
    with subprocess.Popen(asked, stdout=pipe, stderr=pipe, env=environment(tmp_path)) as process:
        deadline = time.monotonic() + 120
        while not (stories.exists() and stories.read_bytes().count(b"\n") >= 2):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        lost = workers_of(process)
        assert lost
        lost[0].kill()
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err.decode()
    assert keys(tmp_path) == [str(n) for n in range(1, 9)]
    assert out == b"" and "8 stories written" in err.decode().splitlines()[-1]
    listed = run(polaris_command("library", "--limit", "99"), tmp_path).stdout
    assert len(listed.splitlines()) == 9


def test_sigterm_ends_it_as_ctrl_c_does(tmp_path: Path) -> None:
    asked, pipe = command(tmp_path, 200, "--jobs", "1"), subprocess.PIPE
    with subprocess.Popen(asked, stderr=pipe, env=environment(tmp_path)) as process:
        deadline = time.monotonic() + 120
        while not workers_of(process):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.terminate()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err.decode()
    assert "interrupted; to continue, run the same command again" in err.decode().splitlines()[-1]


@pytest.mark.parametrize("while_it_starts", [True, False])
def test_sigterm_is_not_left_to_ray(while_it_starts: bool) -> None:
    came = list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        with suppress(SystemExit), _own_sigterm():
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
            if while_it_starts:
                signal.raise_signal(signal.SIGTERM)
        if not while_it_starts:
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [signal.SIGTERM]


def test_a_row_that_fails_is_named_and_nothing_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"premise": "a fox"}\n{"premise": "b", "top_p": 9}\n')
    asked = ["batch", str(tmp_path / "rows.jsonl"), "-o", str(tmp_path / "out"), "-m", "demo"]
    done = run(polaris_command(*asked, "--words", "30", "--cluster", "local"), tmp_path)
    assert done.returncode == 7
    # On a slow machine, lines on the progress stand between.
    said = [line for line in done.stderr.splitlines() if " of 2 done" not in line]
    assert len(said) == 2, said
    assert "rows.jsonl, line 2" in said[0] and "1 story written" in said[1]


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    asked = command(tmp_path, 2)
    asked[asked.index("local")] = "127.0.0.1:9"
    done = run(asked, tmp_path)
    assert done.returncode == 2 and "no Ray cluster at '127.0.0.1:9'" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_to_write_needs_no_cluster() -> None:
    row = Row(1, "line 1", "", "a fox", {})
    nowhere = Cluster("127.0.0.1:9", 2, 0)
    assert [*write_on_cluster([], Task("1", row, {}), None, nowhere)] == []
