"""Shares the steps of a model among threads, each of which reads one answer: `SharedSteps`.

A step runs as soon as every reader waits for its next event, so that no row is ahead of its reader
and a reader that stops costs no further token. One thread runs all steps. Knows rows, not what they
say.
"""

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import torch

from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.lockstep import Lockstep, Row
from polaris_cli.events import AnswerEvent, Finish

Events = SimpleQueue[AnswerEvent | BaseException]


class SharedSteps:
    """The thread that runs the steps, and the readers' queues."""

    def __init__(self, lockstep: Lockstep) -> None:
        self._lockstep = lockstep
        self._queues: dict[Row, Events] = {}  # of the rows that are not finished
        self._waiting = set[Row]()  # those of them whose readers wait for an event
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="polaris steps", daemon=True)
        self._thread.start()

    def stream(self, request: TokenizedRequest) -> Iterator[AnswerEvent]:
        """Yield the events of an answer; closing the generator ends its row."""
        events: Events = SimpleQueue()
        row = self._submit(request, events)
        try:
            while True:
                event = self._next(row, events)
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            self._drop(row)

    def close(self) -> None:
        """End the thread; answers that still run are interrupted."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _submit(self, request: TokenizedRequest, events: Events) -> Row:
        with self._changed:
            row = self._lockstep.submit(request)
            self._queues[row] = events
            self._deliver(row)
            return row

    def _next(self, row: Row, events: Events) -> AnswerEvent | BaseException:
        try:
            return events.get_nowait()
        except Empty:
            with self._changed:
                if events.empty():  # the thread may have been quicker
                    self._waiting.add(row)
                    self._wake()
            return events.get()

    def _drop(self, row: Row) -> None:
        with self._changed:
            if self._queues.pop(row, None):
                self._waiting.discard(row)
                self._lockstep.drop(row)
                self._wake()

    def _wake(self) -> None:
        """Wake the thread, but only if it can run a step: in vain would cost time."""
        if self._can_step():
            self._changed.notify()

    def _can_step(self) -> bool:
        return 0 < len(self._queues) == len(self._waiting)

    def _run(self) -> None:
        torch.set_num_threads(self._lockstep.threads)  # of this thread: for sampling too
        with self._changed:
            while self._all_wait():
                try:
                    self._lockstep.step()
                except BaseException as problem:
                    self._end_all(problem)
                for row in [row for row in self._queues if row.events]:
                    self._deliver(row)
            self._end_all(Finish("interrupted"))

    def _all_wait(self) -> bool:
        """Wait until every reader waits; False if the thread is to end."""
        self._changed.wait_for(lambda: self._closed or self._can_step())
        return not self._closed

    def _deliver(self, row: Row) -> None:
        """Give a row's events to its reader."""
        events = self._queues[row]
        self._waiting.discard(row)
        if row.finished:
            del self._queues[row]
        while row.events:
            events.put(row.events.popleft())

    def _end_all(self, last: AnswerEvent | BaseException) -> None:
        for row, events in self._queues.items():
            self._lockstep.drop(row)
            events.put(last)
        self._queues.clear()
        self._waiting.clear()
