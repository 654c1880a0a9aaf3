"""How many CPU threads to compute with: one for each core that this process may use.

Also measures how busy the cores are. Knows the operating system. Does not know torch, engines or
models.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polaris_cli.models.devices import CGROUP


@dataclass(frozen=True, slots=True)
class Threads:
    """A number of threads; `reason` says why it is not simply the number of cores, else ""."""

    number: int
    reason: str = ""


def choose_threads(asked: int | None) -> Threads:
    """The number of threads asked for, or one for each core that this process may use.

    Busy cores count too: a thread that waits for another sleeps (OMP_WAIT_POLICY, see
    `polaris_cli`), and so leaves its core to the other.
    """
    return decide(asked, usable_cores())


def decide(asked: int | None, cores: int) -> Threads:
    """The number of threads for this number of cores."""
    if asked is None or asked <= cores:
        return Threads(asked or cores)
    few = "1 core" if cores == 1 else f"{cores} cores"
    return Threads(asked, f"{asked} threads on {few} are usually slower than {cores}")


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
