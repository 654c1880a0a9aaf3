"""Tasks are done in threads, a bounded number of them ahead, until the user stops."""

import threading
import time
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
        else:
            assert started.wait(5)
        return task

    done = in_threads([0, 1], work, at_once=2, stop=threading.Event())
    assert next(done) == 0
    done.close()
    assert told == [True]


def test_an_error_of_the_work_is_raised() -> None:
    def work(task: int, stopped: Stopped) -> int:
        raise ValueError(task)

    with pytest.raises(ValueError, match="7"):
        list(in_threads([7], work, at_once=1, stop=threading.Event()))


def test_what_is_done_does_not_wait_for_more_to_do() -> None:
    over = threading.Event()

    def tasks() -> Iterator[int]:
        yield 0
        assert over.wait(5)
        time.sleep(0.05)  # so that the thread has ended its work
        yield 1
        raise AssertionError("read too early")

    def work(task: int, stopped: Stopped) -> int:
        over.set()
        return task

    done = in_threads(tasks(), work, at_once=4, stop=threading.Event())
    assert next(done) == 0
    done.close()


def test_an_error_of_the_input_costs_nothing_that_was_begun() -> None:
    def tasks() -> Iterator[int]:
        yield from range(3)
        raise ValueError("torn")

    def work(task: int, stopped: Stopped) -> int:
        time.sleep(0.05)
        assert not stopped()
        return task

    done, found = in_threads(tasks(), work, at_once=2, stop=threading.Event()), list[int]()
    with pytest.raises(ValueError, match="torn"):
        for each in done:
            found.append(each)
    assert sorted(found) == [0, 1, 2]
