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

    At most `at_once` tasks run at any time. Nothing is yielded while a task is read, and all that
    is done before the next one is: the caller's thread reads them. An error of the tasks is raised
    once those that were read are done. Setting `stop` ends the tasks that are running, if they look
    at what they are given; the others do not start. Closing the generator does the same.
    """
    closed = threading.Event()

    def stopped() -> bool:
        return stop.is_set() or closed.is_set()

    running, errors = set[Future[R | None]](), list[Exception]()
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="polaris work")
    try:
        for task in _until_error(tasks, errors):
            running.add(pool.submit(partial(work, task, stopped)))
            yield from _done(running, patient=len(running) >= AHEAD * at_once)
            if stopped():
                break
        while running:
            yield from _done(running)
        for error in errors:
            raise error
    finally:
        closed.set()
        pool.shutdown(cancel_futures=True)


def _until_error(tasks: Iterable[T], errors: list[Exception]) -> Iterator[T]:
    """Yield the tasks; an error in reading them is the end, and is added to `errors`."""
    try:
        yield from tasks
    except Exception as error:
        errors.append(error)


def _done(running: set[Future[R | None]], *, patient: bool = True) -> Iterator[R]:
    """Take those that are done out of `running`; if `patient`, wait until at least one is."""
    done, _ = wait(running, None if patient else 0, FIRST_COMPLETED)
    running -= done
    yield from (found for each in done if (found := each.result()) is not None)
