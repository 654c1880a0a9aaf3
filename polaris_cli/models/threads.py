"""How many CPU threads to compute with: one for each core that is not busy.

Also notices when steps become slow because a core has become busy. Knows the operating system. Does
not know torch, engines or models.
"""

import os
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from polaris_cli.models.cgroups import groups

INTERVAL = 0.1  # seconds over which the load is measured
USUAL = 64  # steps; their median is what a step usually takes
RECENT_STEPS, RECENT_SECONDS = 4, 2.0  # the least that are compared with the usual ones
FACTOR = 3.0
LONGEST = 10.0  # times the usual; a step that took longer was held up once, by something else


@dataclass(frozen=True, slots=True)
class Threads:
    """A number of threads; `reason` says why it is not simply the number of cores, else ""."""

    number: int
    reason: str = ""


def choose_threads(asked: int | None) -> Threads:
    """The number of threads asked for, or one for each core that others leave idle.

    Takes a tenth of a second to look at the load, unless a number is asked for or only one core may
    be used.
    """
    measured = asked is None and usable_cores() > 1
    return decide(asked, physical_cores(), busy_cpus(INTERVAL) if measured else 0.0, quota())


def decide(asked: int | None, cores: int, busy: float = 0.0, quota: int | None = None) -> Threads:
    """The number of threads, when others keep so many of the cores busy.

    A container or a job may use `quota` cores, whichever of them are idle. A thread that shares its
    core makes all others wait: on two cores beside one busy process, one thread writes 22 to 33
    tokens/s with smollm2, and two write 0.7 to 7.5.
    """
    most = min(cores, quota or cores)
    named = "1 core" if most == 1 else f"{most} cores"
    if asked is not None:
        slower = f"{asked} threads on {named} are usually slower than {most}"
        return Threads(asked, slower if asked > most else "")
    number = min(most, max(1, cores - round(busy)))
    if number == most:
        return Threads(most)
    chosen = "1 thread" if number == 1 else f"{number} threads"
    return Threads(number, f"{chosen} on {named}, as others are busy; to choose: --threads N")


class SlowSteps:
    """Notices that decode steps have become far slower than before, as when a core is busy.

    Measured on two cores beside a busy process (smollm2, tokens/s): two threads 20 with llama.cpp
    and 13 with torch, 80 and 47 before it; one thread 50 and 34. A few slow steps are no sign, and
    a growing KV cache slows them only gradually.
    """

    def __init__(self) -> None:
        self._usual = deque[float](maxlen=USUAL)
        self._recent = deque[float]()
        self._seconds = 0.0  # of the recent steps

    def add(self, seconds: float) -> bool:
        """Count a step; return whether the recent steps took `FACTOR` times as long as usual."""
        usual = median(self._usual) if len(self._usual) >= RECENT_STEPS else None
        self._recent.append(min(seconds, LONGEST * usual) if usual else seconds)
        self._seconds += self._recent[-1]
        while len(self._recent) > RECENT_STEPS and self._seconds - self._recent[0] > RECENT_SECONDS:
            self._seconds -= self._recent[0]
            self._usual.append(self._recent.popleft())
        enough = len(self._recent) >= RECENT_STEPS and self._seconds > RECENT_SECONDS
        if not usual or not enough or self._seconds < FACTOR * usual * len(self._recent):
            return False
        self._recent.clear()
        self._seconds = 0.0
        return True


def usable_cores() -> int:
    """How many cores this process may use at once: its affinity and a quota count."""
    return min(physical_cores(), quota() or physical_cores())


def physical_cores() -> int:
    """How many physical cores this process may run on: its affinity counts, but no quota."""
    import psutil

    cpus = len(usable_cpus())
    return min(cpus, psutil.cpu_count(logical=False) or cpus)


def usable_cpus() -> list[int]:
    """The numbers of the logical CPUs that this process may run on."""
    import psutil

    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return list(process.cpu_affinity())
    return list(range(os.cpu_count() or 1))


def quota() -> int | None:
    """The whole cores that the CPU quota of a container or a job is worth; None if it has none."""
    found = [cores for folder in groups("cpu") if (cores := _quota_of(folder))]
    return min(found, default=None)


def _quota_of(folder: Path) -> int | None:
    """The whole cores that the quota of a CPU group is worth; None if it has none."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with suppress(OSError, ValueError, ZeroDivisionError):  # "max 100000" means no quota
            allowed, period = " ".join((folder / name).read_text() for name in names).split()
            return max(1, int(allowed) // int(period)) if int(allowed) > 0 else None
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
