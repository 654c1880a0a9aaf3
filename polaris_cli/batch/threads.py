"""Runs work in threads, as much at once as is asked for: `in_threads`.

Reads its input only as far as it is needed. Knows nothing of the work.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

AHEAD = 2  # tasks handed to the threads, for each that is running: one is ready as one ends

T = TypeVar("T")
R = TypeVar("R")
Stopped = Callable[[], bool]
"""Whether the work is to end early."""


def in_threads(
    tasks: Iterable[T],
    work: Callable[[T, Stopped], R | None],
    *,
    at_once: int,
    stop: threading.Event,
) -> Generator[R, None, None]:
    """Yield what `work` makes of each task as it is done, except None.

    At most `at_once` tasks run at any time. Setting `stop` ends those that are running, if they
    look at what they are given; the others do not start. Closing the generator does the same.
    """
    closed = threading.Event()

    def stopped() -> bool:
        return stop.is_set() or closed.is_set()

    running = set[Future[R | None]]()
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="polaris work")
    try:
        for task in tasks:
            running.add(pool.submit(partial(work, task, stopped)))
            if len(running) >= AHEAD * at_once:
                yield from _done(running)
            if stopped():
                break
        while running:
            yield from _done(running)
    finally:
        closed.set()
        pool.shutdown(cancel_futures=True)


def _done(running: set[Future[R | None]]) -> Iterator[R]:
    """Wait until at least one is done; take those out of `running`."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    running -= done
    yield from (found for each in done if (found := each.result()) is not None)
