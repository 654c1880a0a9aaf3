"""Ctrl-C, SIGTERM and SIGHUP: the first stops the story and keeps the text, the second ends the
process.

Knows signals, and what to clean up before the process ends. While polaris waits for the next event,
a signal interrupts at once. Between events it takes effect at the next step, so that writes are
never cut in half.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

from polaris_cli.commands.signals import HANG_UP, handled_signals
from polaris_cli.errors import EXIT_INTERRUPTED
from polaris_cli.events import Finish
from polaris_cli.formats.files import remove_unfinished
from polaris_cli.screen.region import restore_terminal

T = TypeVar("T")


def clean_up() -> None:
    """Delete files that are half written, and restore the terminal, unless it is closed."""
    remove_unfinished()
    with suppress(OSError):
        restore_terminal()


class Interrupts:
    """Handles `SIGNALS` while `listen()` is active.

    `cleanup` runs before a second signal ends the process. `stop` is set by the first, for other
    threads.
    """

    def __init__(self, cleanup: Callable[[], None] = clean_up) -> None:
        self.stop = threading.Event()
        self._breakable = False
        self._raised = False  # whether KeyboardInterrupt has been raised already
        self._cleanup = cleanup

    @property
    def seen(self) -> bool:
        """Whether a signal has come."""
        return self.stop.is_set()

    @contextmanager
    def listen(self) -> Iterator["Interrupts"]:
        """Handle the signals inside the block; restore the old handlers after it.

        One that the caller ignores, as `nohup` does, stays ignored.
        """
        numbers = handled_signals()
        before = [signal.signal(number, self._handle) for number in numbers]
        hook, sys.unraisablehook = sys.unraisablehook, self._swallowed
        try:
            yield self
        finally:
            sys.unraisablehook = hook
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside the block, the first signal raises KeyboardInterrupt."""
        if self.seen:
            raise KeyboardInterrupt
        self._breakable = True
        try:
            yield
        finally:
            self._breakable = False

    def watch(self, source: Iterator[T]) -> Iterator[T | Finish]:
        """Yield the events; after a signal, end with `Finish("interrupted")`.

        Text that the source yields while it handles the KeyboardInterrupt is passed on too.
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
            with self.interruptible():
                return next(source)
        if self._raised:
            return next(source)
        self._raised = True
        if isinstance(source, Generator):
            event: T = source.throw(KeyboardInterrupt())
            return event
        raise KeyboardInterrupt

    def _swallowed(self, lost: "sys.UnraisableHookArgs") -> None:
        """Raise a KeyboardInterrupt that a finalizer has swallowed again, at the next event."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            self._raised = False
        else:
            sys.__unraisablehook__(lost)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == HANG_UP:
            signal.signal(number, signal.SIG_IGN)  # the shell may send another one
        if self.seen:
            self._cleanup()
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
        self.stop.set()
        if self._breakable:
            self._breakable = False
            self._raised = True
            raise KeyboardInterrupt
