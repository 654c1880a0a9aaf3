"""Times work on a device: `timed`, and `fastest_run` for a step that is run again and again.

Does not know what is timed.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import torch

from polaris_cli.engines.kernels.cuda_graph import Step, capture

ROUNDS = 3


def recorded(step: Step, device: torch.device) -> Step:
    """The step after a first run; on CUDA as a recorded graph, if it can be captured."""
    step()  # compiles kernels
    if device.type == "cuda":
        with suppress(RuntimeError):
            return capture(step, device)
    return step


def fastest_run(step: Step, device: torch.device, runs: int = 1) -> float:
    """Seconds of a step, in the fastest of some rounds of so many runs.

    More than one, or launching a recorded graph takes a part of the time.
    """
    return min(timed(lambda: [step() for _ in range(runs)], device) for _ in range(ROUNDS)) / runs


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of `work`, until the device has done it all."""
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
