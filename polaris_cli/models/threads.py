"""How many CPU threads to compute with: one for each core that is not busy.

Also notices when steps become slow because a core has become busy. Knows the operating system. Does
not know torch, engines or models.
"""

import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from polaris_cli.models.devices import CGROUP

INTERVAL = 0.1  # seconds over which the load is measured
USUAL = 64  # steps; the median of the last ones is what a step usually takes
SLOW_STEPS = 3  # in a row
SLOW_SECONDS = 1.0  # that they take together
FACTOR = 5.0


@dataclass(frozen=True, slots=True)
class Threads:
    """A number of threads; `reason` says why it is not simply the number of cores, else ""."""

    number: int
    reason: str = ""


def choose_threads(asked: int | None) -> Threads:
    """The number of threads asked for, or one for each core that others leave idle.

    Takes a tenth of a second to look at the load, unless a number is asked for or there is only one
    core.
    """
    cores = usable_cores()
    busy = busy_cpus(INTERVAL) if asked is None and cores > 1 else 0.0
    return decide(asked, cores, busy)


def decide(asked: int | None, cores: int, busy: float = 0.0) -> Threads:
    """The number of threads, when others keep so many of the cores busy.

    A thread that shares its core makes all others wait: on two cores beside one busy process, one
    thread writes 22 to 33 tokens/s with smollm2, and two write 0.7 to 7.5.
    """
    named = "1 core" if cores == 1 else f"{cores} cores"
    if asked is not None:
        slower = f"{asked} threads on {named} are usually slower than {cores}"
        return Threads(asked, slower if asked > cores else "")
    number = max(1, cores - round(busy))
    if number == cores:
        return Threads(cores)
    chosen = "1 thread" if number == 1 else f"{number} threads"
    return Threads(number, f"{chosen} on {named}, as others are busy; to choose: --threads N")


class SlowSteps:
    """Notices that decode steps have become far slower than before, as when a core is busy.

    A few slow steps are no sign, and a growing KV cache slows them only gradually.
    """

    def __init__(self) -> None:
        self._usual = deque[float](maxlen=USUAL)
        self._slow: list[float] = []

    def add(self, seconds: float) -> bool:
        """Count a step; return whether the steps have been `FACTOR` times as slow for a while."""
        if len(self._usual) < SLOW_STEPS or seconds < FACTOR * median(self._usual):
            self._usual.append(seconds)
            self._slow.clear()
            return False
        self._slow.append(seconds)
        if len(self._slow) < SLOW_STEPS or sum(self._slow) < SLOW_SECONDS:
            return False
        self._slow.clear()
        return True


def usable_cores() -> int:
    """The physical cores that this process may use: its affinity and a container's quota count."""
    import psutil

    cpus = len(usable_cpus())
    return min(cpus, psutil.cpu_count(logical=False) or cpus, quota() or cpus)


def usable_cpus() -> list[int]:
    """The numbers of the logical CPUs that this process may run on."""
    import psutil

    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return list(process.cpu_affinity())
    return list(range(os.cpu_count() or 1))


def quota(file: Path = CGROUP / "cpu.max") -> int | None:
    """The whole cores that a container's CPU quota (cgroup v2) is worth; None if it has none."""
    try:
        allowed, period = file.read_text().split()
        return max(1, int(allowed) // int(period))
    except (OSError, ValueError, ZeroDivisionError):  # "max 100000" means no quota
        return None


def busy_cpus(interval: float) -> float:
    """How many of the usable CPUs other processes keep busy, measured over `interval` seconds.

    On Linux and macOS, processes of low priority do not count: they give way.
    """
    cpus = usable_cpus()
    before, start = _used(cpus), time.perf_counter()
    time.sleep(interval)
    used = _used(cpus) - before
    return max(0.0, used / (time.perf_counter() - start))


def _used(cpus: Sequence[int]) -> float:
    """The CPU time used on these CPUs by other processes so far, in seconds."""
    import psutil

    times = psutil.cpu_times(percpu=True)
    own = psutil.Process().cpu_times()
    used = sum(times[cpu].user + times[cpu].system for cpu in cpus if cpu < len(times))
    return float(used - own.user - own.system)
