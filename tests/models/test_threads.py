"""The number of CPU threads: the decision, and the load of real processes."""

import subprocess
import sys
import time

import psutil
import pytest

from polaris_cli.models.threads import (
    SlowSteps,
    Threads,
    busy_cpus,
    choose_threads,
    decide,
    usable_cores,
    usable_cpus,
)

SPIN = "import time\nend = time.monotonic() + 5\nwhile time.monotonic() < end: pass"


def test_one_thread_for_each_core_or_as_many_as_asked_for() -> None:
    assert decide(None, 4) == Threads(4)
    assert decide(1, 4) == Threads(1)
    assert decide(4, 4) == Threads(4)


@pytest.mark.parametrize(
    ("cores", "busy", "number"),
    [(2, 0.2, 2), (2, 0.9, 1), (2, 3.0, 1), (8, 1.1, 7), (8, 7.9, 1), (1, 1.0, 1)],
)
def test_busy_cores_are_left_to_others(cores: int, busy: float, number: int) -> None:
    chosen = decide(None, cores, busy)
    assert chosen.number == number and bool(chosen.reason) == (number < cores)
    assert decide(cores, cores, busy) == Threads(cores)


def test_a_quota_counts_once_the_busy_cores_are_left_to_others() -> None:
    assert decide(None, 64, 30.0, quota=4) == Threads(4)
    assert decide(None, 8, 5.0, quota=4) == Threads(
        3, "3 threads on 4 cores, as others are busy; to choose: --threads N"
    )
    assert decide(6, 64, quota=4).reason == "6 threads on 4 cores are usually slower than 4"


def slow(steps: list[float]) -> list[int]:
    watch = SlowSteps()
    return [place for place, seconds in enumerate(steps) if watch.add(seconds)]


def test_steps_that_stay_slow_are_noticed_once_a_while() -> None:
    assert slow([0.02] * 200 + [0.5] * 20) == [207, 218]
    assert slow([0.02] * 200 + [0.08] * 45) == [222]
    assert slow([1.0] * 12 + [6.0] * 6) == [13, 17]
    # A thread that waits for another is slow at every second or third step.
    assert slow([0.02] * 200 + [0.02, 0.02, 0.2] * 10)


@pytest.mark.parametrize(
    "steps",
    [
        [0.02] * 200 + [3.0] * 3 + [0.02] * 200,
        [0.02] * 200 + [3.0, 0.02] * 3,
        [0.01 + 0.00001 * step for step in range(9000)],
        [0.02] * 200 + [0.05] * 200,
        [0.001] * 4000 + [0.01] * 50,
        [5.0] * 20,
    ],
    ids=["a few", "single", "growing", "twice", "shorter than two seconds", "always"],
)
def test_other_slow_steps_are_no_sign(steps: list[float]) -> None:
    assert slow(steps) == []


def test_more_threads_than_cores_are_taken_with_a_reason() -> None:
    assert decide(8, 2) == Threads(8, "8 threads on 2 cores are usually slower than 2")
    assert decide(2, 1) == Threads(2, "2 threads on 1 core are usually slower than 1")


def test_this_machine() -> None:
    assert 1 <= usable_cores() <= len(usable_cpus())
    assert 1 <= choose_threads(None).number <= usable_cores()
    assert choose_threads(1) == Threads(1)


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


@pytest.mark.slow
def test_the_load_of_others_without_our_own() -> None:
    # This process works for the whole interval, so that others get one CPU less.
    worker = subprocess.Popen([sys.executable, "-S", "-c", SPIN])
    try:
        time.sleep(0.1)
        assert 0.2 < busy_cpus(0.5) <= len(usable_cpus()) + 0.1
    finally:
        worker.kill()
        worker.wait()
