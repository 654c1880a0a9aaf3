"""Throughput of whole stories at several numbers of stories at once: `throughput`.

Writes the same stories each time, through all that `polaris batch` does but for saving them.
Returns figures; prints nothing.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import psutil

from polaris_cli.batch.cluster import Cluster, write_on_cluster
from polaris_cli.batch.premises import Row
from polaris_cli.batch.running import Written, write_all
from polaris_cli.batch.tasks import Grid, Options, Task, tasks_of
from polaris_cli.demo.unseen import UNSEEN
from polaris_cli.engines.base import Engine
from polaris_cli.story.job import Job
from polaris_cli.story.result import Story

Open = Callable[[Job, int], Engine]
"""Loads the engine for a job and a number of stories at once."""


@dataclass(frozen=True, slots=True)
class Stories:
    """What was written with `at_once` stories at a time; `seconds` without loading the model.

    `memory_mb` is the memory of this process at the end, in 10**6 bytes: of a server, without it.
    `reason` says why the first of the failed stories failed.
    """

    at_once: int
    stories: int
    failed: int
    words: int
    tokens: int
    seconds: float
    memory_mb: float
    reason: str = ""

    @property
    def stories_per_s(self) -> float:
        """Whole stories per second."""
        return self.stories / self.seconds

    @property
    def words_per_s(self) -> float:
        """Words per second, as `wc -w` counts them."""
        return self.words / self.seconds

    @property
    def tokens_per_s(self) -> float:
        """Tokens per second, thinking included."""
        return self.tokens / self.seconds


def stories_of(options: Options, count: int) -> list[Task]:
    """The stories to write: premises of the project's own, each with its own seed."""
    premises = [UNSEEN[number % len(UNSEEN)][1] for number in range(count)]
    rows = [
        Row(number, f"story {number}", "", premise, {"seed": number})
        for number, premise in enumerate(premises, 1)
    ]
    return list(tasks_of(rows, options, Grid()))


def throughput(tasks: Sequence[Task], at_once: int, opened: Open) -> Stories:
    """Write the stories, after one that is not counted, as it fills the caches.

    Raises PolarisError if the model cannot be loaded.
    """
    with closing(opened(tasks[0].job(), at_once)) as engine:
        _write(tasks[:1], engine, 1)
        start = time.perf_counter()
        done = _write(tasks, engine, at_once)
        return _figures(done, at_once, time.perf_counter() - start)  # has the memory of the model


def cluster_throughput(
    tasks: Sequence[Task], at_once: int, workers: int, notify: Callable[[str], None]
) -> Stories:
    """Write the stories on a Ray cluster of this machine; each worker writes `at_once` at a time.

    Counts from the end of the first story, so without the start of the cluster. `notify` is that of
    `write_on_cluster`. Raises UsageError if Ray is missing.
    """
    done, moments = list[Written[Task]](), list[float]()
    cluster = Cluster("local", workers, 0)
    for written in write_on_cluster(tasks, tasks[0], at_once, cluster, notify):
        done.append(written)
        moments.append(time.perf_counter())
    return _figures(done[1:], workers * at_once, moments[-1] - moments[0])


def _figures(done: Sequence[Written[Task]], at_once: int, seconds: float) -> Stories:
    stories = [each.story for each in done if each.story and not each.error]
    reasons = (each.error.message for each in done if each.error)
    memory = psutil.Process().memory_info().rss / 1e6
    return Stories(
        at_once,
        len(stories),
        len(done) - len(stories),
        sum(story.counted for story in stories),
        sum(map(_tokens, stories)),
        seconds,
        round(memory, 1),
        next(reasons, ""),
    )


def _write(tasks: Sequence[Task], engine: Engine, at_once: int) -> list[Written[Task]]:
    return list(write_all(tasks, engine, at_once=at_once, stop=threading.Event()))


def _tokens(story: Story) -> int:
    return story.tokens.thinking + story.tokens.plan + story.tokens.story
