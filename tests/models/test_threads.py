"""The number of CPU threads: the decision, a container's quota, and the load of real processes."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import polaris_cli
from polaris_cli.models.threads import (
    Threads,
    busy_cpus,
    choose_threads,
    decide,
    quota,
    usable_cores,
    usable_cpus,
)

SPIN = "import time\nend = time.monotonic() + 5\nwhile time.monotonic() < end: pass"


def test_one_thread_for_each_core_or_as_many_as_asked_for() -> None:
    assert decide(None, 4) == Threads(4)
    assert decide(1, 4) == Threads(1)
    assert decide(4, 4) == Threads(4)


def test_more_threads_than_cores_are_taken_with_a_reason() -> None:
    assert decide(8, 2) == Threads(8, "8 threads on 2 cores are usually slower than 2")
    assert decide(2, 1) == Threads(2, "2 threads on 1 core are usually slower than 1")


def test_this_machine() -> None:
    assert 1 <= usable_cores() <= len(usable_cpus())
    assert choose_threads(None) == Threads(usable_cores())
    assert choose_threads(1) == Threads(1)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("", None),
        ("1 0\n", None),
    ],
)
def test_a_containers_quota(text: str, cores: int | None, tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    assert quota(file) is None
    file.write_text(text)
    assert quota(file) == cores


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="no affinity here")
def test_the_affinity_counts() -> None:
    program = (
        "import psutil\nfrom polaris_cli.models.threads import usable_cores, usable_cpus\n"
        f"psutil.Process().cpu_affinity([{usable_cpus()[-1]}])\n"
        "print(usable_cores(), *usable_cpus())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", str(usable_cpus()[-1])]


def test_the_load_of_others_without_our_own() -> None:
    # This process works for the whole interval, so that others get one CPU less.
    worker = subprocess.Popen([sys.executable, "-S", "-c", SPIN])
    try:
        time.sleep(0.1)
        assert 0.2 < busy_cpus(0.5) <= len(usable_cpus()) + 0.1
    finally:
        worker.kill()
        worker.wait()


def waits_passively(**variables: str) -> str:
    """OMP_WAIT_POLICY in a new process that has imported the package."""
    program = "import os, polaris_cli; print(os.environ['OMP_WAIT_POLICY'])"
    folder = str(Path(polaris_cli.__file__).parents[1])
    environment = {"PATH": "", "PYTHONPATH": folder, **variables}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_waiting_threads_sleep_unless_the_user_wants_otherwise() -> None:
    assert waits_passively() == "passive"
    assert waits_passively(OMP_WAIT_POLICY="active") == "active"
