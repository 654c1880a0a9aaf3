"""Ctrl-C and SIGTERM: the first stops the work and keeps the text, the second ends the process.

Knows signals only. While the next event is being awaited a signal breaks in at once; between
events it waits for the next step, so that no half-done write is torn.
"""

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from polaris_cli.errors import EXIT_INTERRUPTED
from polaris_cli.events import Finish

T = TypeVar("T")


class Interrupts:
    """Watches for SIGINT and SIGTERM from `listen()` on.

    `last_words` runs before a second signal ends the process, to leave the terminal in order.
    """

    def __init__(self, last_words: Callable[[], None] = lambda: None) -> None:
        self.seen = False
        self._breakable = False
        self._told = False  # whether the work has had its KeyboardInterrupt
        self._last_words = last_words

    @contextmanager
    def listen(self) -> Iterator["Interrupts"]:
        """Handle the signals inside the block, and put the old handlers back after it."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._handle) for number in numbers]
        try:
            yield self
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """A stretch of work in which the first signal raises KeyboardInterrupt."""
        if self.seen:
            raise KeyboardInterrupt
        self._breakable = True
        try:
            yield
        finally:
            self._breakable = False

    def watch(self, source: Iterator[T]) -> Iterator[T | Finish]:
        """Pass the events on; after a signal end them with `Finish("interrupted")`.

        Text that the source still holds, and gives out before it lets the interrupt through, is
        passed on too.
        """
        while True:
            try:
                event = self._next(source)
            except StopIteration:
                return
            except KeyboardInterrupt:
                yield Finish("interrupted")
                return
            yield event

    def _next(self, source: Iterator[T]) -> T:
        if not self.seen:
            with self.breakable():
                return next(source)
        if self._told:
            return next(source)
        self._told = True
        if isinstance(source, Generator):
            event: T = source.throw(KeyboardInterrupt())
            return event
        raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            self._last_words()
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
        self.seen = True
        if self._breakable:
            self._breakable = False
            self._told = True
            raise KeyboardInterrupt
