"""Writes a batch on a Ray cluster: `write_on_cluster`.

Ray Data hands the tasks to workers, each with an engine of its own that is loaded once; it holds
tasks back while all are busy, and starts a lost worker and its tasks again. Results come back to
the caller as from one machine. Ray is imported only here, when a cluster is asked for.
"""

import logging
import pickle
import signal
import socket
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from polaris_cli.api import engine_for
from polaris_cli.batch.at_once import stories_at_once
from polaris_cli.batch.cluster_room import warn_if_too_small
from polaris_cli.batch.running import Written, write_one
from polaris_cli.batch.tasks import Task
from polaris_cli.errors import ModelUnavailable, PolarisError, UsageError
from polaris_cli.request.conflicts import check_needed

# Of a core, for Ray's bookkeeping: workers that take all cores would leave none to read the tasks,
# and the run would stand still.
CORES_PER_WORKER = 0.5
WORKERS = 2
LEAST_OF_A_CARD = 0.001
ANSWERS = 5.0  # seconds in which a cluster must answer
IN_FLIGHT = 2  # tasks at a worker, for each that it writes: one is ready as one ends


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where and on what: `address` is "local", "auto" or a Ray address; each of the `workers` loads
    the model once, with `gpus` cards (a part of one, if it is below 1).

    Raises UsageError for parts that Ray does not give: of several cards, or below a thousandth.
    """

    address: str
    workers: int
    gpus: float

    def __post_init__(self) -> None:
        if not (float(self.gpus).is_integer() or LEAST_OF_A_CARD <= self.gpus < 1):
            raise UsageError(
                f"--gpus-per-worker: invalid value {self.gpus:g}.",
                hint="Give whole GPUs, such as 2, or a part of one, such as 0.5.",
            )

    @property
    def needs(self) -> dict[str, float]:
        """What Ray sets aside for each worker."""
        return {"CPU": CORES_PER_WORKER, "GPU": self.gpus}


def cluster_of(address: str | None, workers: int | None, gpus: float | None) -> Cluster | None:
    """The cluster that options name. Raises UsageError for options that need one without it."""
    if address:
        return Cluster(address, workers or WORKERS, gpus or 0)
    asked = {"--workers": workers, "--gpus-per-worker": gpus}
    check_needed("--cluster", "--cluster local", asked)
    return None


class NoCluster(UsageError):
    """Ray is missing, or the cluster is not there."""


def write_on_cluster(
    tasks: Iterable[Task],
    longest: Task,
    at_once: int | None,
    cluster: Cluster,
    notify: Callable[[str], None] = lambda text: None,
) -> Generator[Written[Task], None, None]:
    """Yield each task as it is done; every worker writes `at_once` of them at any time.

    None is what fits the memory of one of the machines that workers run on. `longest` is the task
    that an engine must have room for. `notify` is called with one sentence if the cluster has no
    room for the workers. Raises NoCluster, ModelUnavailable if the workers cannot load
    the model.
    """
    waiting = {task.key: task for task in tasks}
    if not waiting:  # Ray makes no data set of nothing
        return
    workers = min(cluster.workers, len(waiting))  # Ray warns of idle ones
    with _connected(cluster) as ray:
        warn_if_too_small(ray, cluster.needs, workers, notify)
        at_once = at_once or _fitting(ray, cluster, longest)
        rows = [{"task": pickle.dumps(task)} for task in waiting.values()]
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            Worker,
            fn_constructor_args=(pickle.dumps(longest), at_once),
            batch_size=1,
            num_cpus=CORES_PER_WORKER,
            num_gpus=cluster.gpus or None,
            compute=ray.data.ActorPoolStrategy(
                size=workers,
                max_tasks_in_flight_per_actor=IN_FLIGHT * at_once,
                max_concurrent_calls_per_actor=at_once,
                enable_true_multi_threading=True,
            ),
        )
        for result in results.iter_rows():
            # A worker that was lost may have sent a story before its task is run again.
            if task := waiting.pop(result["key"], None):
                yield replace(pickle.loads(result["result"]), task=task)


def _fitting(ray: Any, cluster: Cluster, longest: Task) -> int:
    """The stories at once that fit a machine with what a worker needs."""
    placed = ray.remote(num_cpus=CORES_PER_WORKER, num_gpus=cluster.gpus)(_stories_at_once)
    found: int = ray.get(placed.remote(pickle.dumps(longest)))
    return found


def _stories_at_once(longest: bytes) -> int:
    return stories_at_once(pickle.loads(longest).job())


class Worker:
    """An engine in a process of its own; Ray calls it in several threads at once."""

    def __init__(self, longest: bytes, at_once: int) -> None:
        job = pickle.loads(longest).job()
        self._engine = engine_for(job, parallel=at_once)
        self._model = job.reference

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """The pickled results of a batch of pickled tasks."""
        tasks: list[Task] = [pickle.loads(task) for task in batch["task"]]
        results = [write_one(task.for_model(self._model), self._engine) for task in tasks]
        return {"key": [task.key for task in tasks], "result": [*map(pickle.dumps, results)]}


@contextmanager
def _connected(cluster: Cluster) -> Generator[Any, None, None]:
    """Ray, connected to the cluster or with one started here; quiet, as stderr is polaris's."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise NoCluster(
            "--cluster needs Ray, which is not installed.",
            hint="pip install 'polaris-story[ray]'",
        ) from error
    _check_address(cluster.address)
    here = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    options = here if cluster.address == "local" else {"address": cluster.address}
    try:
        with _own_sigterm():
            ray.init(**options, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_cluster(cluster.address) from error
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        yield ray
    except ray.exceptions.RayError as error:
        raise _explained(error) from error
    finally:
        ray.shutdown()


@contextmanager
def _own_sigterm() -> Generator[None, None, None]:
    """Keep our handler of SIGTERM while Ray starts in the block: Ray's exits the process."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:  # it has come already
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_address(address: str) -> None:
    """Raise NoCluster at once for a host that does not answer: Ray would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address) from error


def _no_cluster(address: str) -> NoCluster:
    return NoCluster(
        f"There is no Ray cluster at {address!r}.",
        hint="Use --cluster local, or start a cluster with Ray, then: --cluster auto",
    )


def _explained(error: Exception) -> PolarisError:
    """The error of a worker, as far as it was polaris's own."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, PolarisError):
        return cause
    return ModelUnavailable(
        f"The workers of the cluster fail: {str(error).strip().splitlines()[-1]}",
        hint="See Ray's logs of its workers, or write without --cluster",
    )
