"""torch's number of CPU threads, which is one for the whole process: `set_threads`.

Each engine sets it, and takes that back when it is closed. `models.threads` chooses the number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from polaris_cli.models.devices import Device
from polaris_cli.models.threads import choose_threads


def nothing() -> None:
    """Nothing to take back."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What was set: notes for the user, and the function that takes it back."""

    notes: tuple[str, ...] = ()
    restore: Callable[[], None] = nothing


class ProcessThreads:
    """The numbers that engines have set and not taken back; the last one counts."""

    def __init__(self) -> None:
        self._own = 0  # the number without engines
        self._numbers = dict[object, int]()

    def own(self) -> int:
        """The number without engines: that of OMP_NUM_THREADS, say, or what others set since."""
        now, *set_by_engines = torch.get_num_threads(), *self._numbers.values()
        return self._own if set_by_engines and now == set_by_engines[-1] else now

    def set(self, number: int) -> Callable[[], None]:
        """Set the number; returns the function that takes it back."""
        self._own, key = self.own(), object()
        self._numbers[key] = number
        torch.set_num_threads(number)
        return partial(self._take_back, key)

    def _take_back(self, key: object) -> None:
        if self._numbers.pop(key, None):
            torch.set_num_threads([self._own, *self._numbers.values()][-1])


PROCESS = ProcessThreads()


def set_threads(asked: int | None, device: Device) -> Setting:
    """Set torch's number of CPU threads, for a GPU only if `asked`.

    Without `asked`, a smaller number that the process has stays, such as that of OMP_NUM_THREADS.
    """
    if asked is None and device.kind != "cpu":
        return Setting()
    chosen = choose_threads(asked)
    most = chosen.number if asked else PROCESS.own()
    notes = (f"{chosen.reason}.",) if chosen.reason else ()
    return Setting(notes, PROCESS.set(min(chosen.number, most)))
