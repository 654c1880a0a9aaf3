"""Writes many jobs with one loaded engine, several at once: `write_all`.

Each story is written by a thread of its own, exactly as one alone; the engine decides what is
computed together. Does not know where the jobs come from or where the stories go.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from polaris_cli.api import run_job
from polaris_cli.batch.threads import in_threads
from polaris_cli.engines.base import Engine
from polaris_cli.errors import PolarisError, unexpected
from polaris_cli.events import Event, Finish
from polaris_cli.library.store import Library
from polaris_cli.story.job import Job
from polaris_cli.story.result import Story


class HasJob(Protocol):
    """Something to write."""

    def job(self) -> Job:
        """The job. Raises PolarisError if it is invalid."""


T = TypeVar("T", bound=HasJob)


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """A task that is done: its story, and the error if it failed. One of them may be missing.

    `unsaved` is a sentence that says why the library does not have the story, if it should.
    """

    task: T
    story: Story | None = None
    error: PolarisError | None = None
    unsaved: str = ""


Watch = Callable[[T, Job, Iterator[Event]], Iterator[Event]]
"""A stage that sees the events of each story while it is written, in the story's thread."""


def write_all(
    tasks: Iterable[T],
    engine: Engine,
    *,
    at_once: int,
    stop: threading.Event,
    library: Library | None = None,
    watch: Watch[T] | None = None,
) -> Generator[Written[T], None, None]:
    """Yield each task as it is done, at most `at_once` of them being written at any time.

    Setting `stop` ends the stories that are being written; they are yielded as interrupted, and
    what has not begun is not yielded. Closing the generator ends them too.
    """

    def work(task: T, stopped: Callable[[], bool]) -> Written[T] | None:
        written = write_one(task, engine, stopped=stopped, library=library, watch=watch)
        return written if written.story or written.error else None

    return in_threads(tasks, work, at_once=at_once, stop=stop)


def write_one(
    task: T,
    engine: Engine,
    *,
    stopped: Callable[[], bool] = lambda: False,
    library: Library | None = None,
    watch: Watch[T] | None = None,
) -> Written[T]:
    """Write a task; its story ends as interrupted once `stopped` is true. Raises nothing."""
    if stopped():
        return Written(task)

    def stage(events: Iterator[Event]) -> Iterator[Event]:
        watched = until(stopped, events)
        return watch(task, job, watched) if watch else watched

    problems = list[str]()
    try:
        job = task.job()
        outcome = run_job(job, engine, library=library, warn=problems.append, watch=stage)
    except PolarisError as error:
        return Written(task, error=None if stopped() else error)
    except Exception as problem:  # must not cost the other stories
        return Written(task, error=unexpected(problem))
    if outcome.error and stopped():  # a server that was silent, say: the user has ended it
        return Written(task, replace(outcome.story, finish="interrupted", error=""))
    return Written(task, outcome.story, outcome.error, "".join(problems))


def until(stopped: Callable[[], bool], events: Iterator[Event]) -> Iterator[Event]:
    """Yield the events until `stopped` is true, then an interrupted `Finish`."""
    for event in events:
        if stopped() and not isinstance(event, Finish):
            yield Finish("interrupted")
            return
        yield event
