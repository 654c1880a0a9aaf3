"""Tasks are done in threads, a bounded number of them ahead, until the user stops."""

import threading
from collections.abc import Iterator

import pytest

from polaris_cli.batch.threads import AHEAD, Stopped, in_threads


def test_everything_is_done_and_none_is_left_out() -> None:
    def work(task: int, stopped: Stopped) -> int | None:
        return task * 2 if task % 3 else None

    done = in_threads(range(20), work, at_once=3, stop=threading.Event())
    assert sorted(done) == [2 * task for task in range(20) if task % 3]


def test_tasks_are_read_only_a_few_ahead() -> None:
    read = 0

    def tasks() -> Iterator[int]:
        nonlocal read
        for task in range(100):
            read += 1
            yield task

    done = in_threads(tasks(), lambda task, stopped: task, at_once=2, stop=threading.Event())
    next(done)
    assert read <= 2 * AHEAD
    done.close()


def test_closing_tells_the_work_to_stop() -> None:
    started, over, told = threading.Event(), threading.Event(), list[bool]()

    def work(task: int, stopped: Stopped) -> int:
        if task:
            started.set()
            over.wait(0.2)
            told.append(stopped())
        return task

    done = in_threads([0, 1], work, at_once=2, stop=threading.Event())
    assert next(done) == 0 and started.wait(5)
    done.close()
    assert told == [True]


def test_an_error_of_the_work_is_raised() -> None:
    def work(task: int, stopped: Stopped) -> int:
        raise ValueError(task)

    with pytest.raises(ValueError, match="7"):
        list(in_threads([7], work, at_once=1, stop=threading.Event()))
