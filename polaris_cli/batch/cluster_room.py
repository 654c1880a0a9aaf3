"""How many workers a Ray cluster has room for now, and what is said where it has too little.

Ray waits for what a cluster lacks, without a word and without an end: another run may free it, or
a machine may join. Knows the numbers of Ray's resources, not what the workers do.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

PATIENCE = 5.0  # seconds without room for any worker, after which something is said
INTERVAL = 0.2  # seconds between two looks
ROUNDING = 1e-6

Needs = Mapping[str, float]
"""What each worker needs: Ray's names of resources ("CPU", "GPU"), and how much of each."""


def warn_if_too_small(
    ray: Any, needs: Needs, workers: int, notify: Callable[[str], None], patience: float = PATIENCE
) -> None:
    """Call `notify` with one sentence if the cluster has no room for all workers.

    Where it has room for none, waits up to `patience` seconds for some first.
    """
    deadline = time.monotonic() + patience
    while not (found := room(ray, needs)) and time.monotonic() < deadline:
        time.sleep(INTERVAL)
    if found < workers:
        notify(_lack(found, workers, needs))


def room(ray: Any, needs: Needs) -> int:
    """The workers for which something is free, as far as single machines can hold them."""
    machines = (node["Resources"] for node in ray.nodes() if node["Alive"])
    return min(
        _fitting(ray.available_resources(), needs),
        sum(_fitting(machine, needs) for machine in machines),
    )


def _fitting(there: Mapping[str, float], needs: Needs) -> int:
    return min(int(there.get(name, 0) / need + ROUNDING) for name, need in needs.items() if need)


def _lack(found: int, workers: int, needs: Needs) -> str:
    each = f"{needs['CPU']:g} CPU cores"
    if needs.get("GPU"):
        each += f" and {needs['GPU']:g} {'GPU' if needs['GPU'] <= 1 else 'GPUs'}"
    rest = "the run begins with those" if found else "the run waits"
    return f"The cluster has room for {found} of {workers} workers, and {rest}: each needs {each}."
