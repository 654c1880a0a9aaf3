"""A few live lines at the end of a terminal, redrawn in place, with text growing above them.

Knows streams, widths and cursor movements, but not stories, models or the meaning of a line.
`rich.live` is not used, as after a resize it does not account for lines that have been rewrapped.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from polaris_cli.screen.capabilities import is_terminal, terminal_size

FRAME_S = 0.1  # seconds between two frames
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h\r\n"


def painter(stream: TextIO) -> Console:
    """A rich console on the terminal `stream`, without markup, emoji codes and highlighting. It
    respects NO_COLOR."""
    width, height = terminal_size(stream)
    return Console(
        file=stream,
        force_terminal=True,
        markup=False,
        emoji=False,
        highlight=False,
        width=width,
        height=height,
    )


class View(Protocol):
    """What a `Region` shows. For each frame it calls `settled`, then `moving`; both return lines of
    at most `width` cells."""

    def settled(self, width: int) -> list[Text]:
        """New lines that will not change any more; each is returned once, and stays visible."""

    def moving(self, width: int) -> list[Text]:
        """The lines to show below the settled ones in this frame."""


class Region:
    """A few moving lines at the end of a terminal, with settled lines growing above them.

    Draws when `refresh` is called and `FRAME_S` has passed, and from a thread of its own while the
    caller is busy, but not in the background. After a resize it erases all of its lines, on
    terminals that rewrap them. While Ctrl-Z has stopped the process, the cursor is shown.
    """

    def __init__(self, stream: TextIO, view: View) -> None:
        self._stream = stream
        self._view = view
        self._console = painter(stream)
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._due = threading.Event()
        self._above: list[Text] = []
        self._drawn: list[int] = []  # cells of each moving line on the screen
        self._began_in_front = not _in_background(stream)  # else, as under `timeout`, it draws
        self._ticker = threading.Thread(target=self._tick, name="polaris-live", daemon=True)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Show the lines inside the block; after it, only the settled ones remain."""
        self._console.show_cursor(False)
        _running.append(self)
        try:
            with _around_stop(restore_terminal, self._begin_again):
                self._draw()
                self._ticker.start()
                yield self
        finally:
            self._finish()

    def refresh(self) -> None:
        """Draw if a frame is due. Raises OSError if the terminal is gone."""
        if self._due.is_set():
            self._draw()

    def print_above(self, line: Text) -> None:
        """Print a line that is not the view's, such as a message, above the moving lines."""
        with self._lock:
            self._above.append(line)
            self._draw()

    def restore(self) -> None:
        """Show the cursor again. Takes no lock, so a signal handler may call it."""
        if not self._console.legacy_windows:
            os.write(self._stream.fileno(), SHOW_CURSOR)

    def _begin_again(self) -> None:
        """Draw below what the shell has printed while the process was stopped.

        A signal handler: the stream's buffer may be in use.
        """
        self._drawn = []
        os.write(self._stream.fileno(), HIDE_CURSOR)
        self._due.set()

    def _finish(self) -> None:
        self._stop.set()
        if self._ticker.ident is not None:
            self._ticker.join()
        try:
            self._draw(last=True)
        finally:
            _running.remove(self)
            self._console.show_cursor(True)

    def _tick(self) -> None:
        """Mark a frame as due every `FRAME_S`; draw it if no `refresh` did so in the next one."""
        try:
            while not self._stop.wait(FRAME_S):
                if self._due.is_set():
                    self._draw()
                self._due.set()
        except (OSError, ValueError):
            self._due.set()  # the caller gets the same error at its next refresh

    def _draw(self, *, last: bool = False) -> None:
        if self._began_in_front and not last and _in_background(self._stream):
            return
        columns, rows = terminal_size(self._stream)
        width = columns - 1  # some terminals start a new line after a full last column
        with self._lock, self._console as console:
            self._due.clear()
            settled = self._above + self._view.settled(width)
            self._above = []
            moving = [] if last else self._view.moving(width)[-rows:]
            console.control(self._erasure(columns))
            for line in settled:
                console.print(line, soft_wrap=True)
            console.print(Text("\n").join(moving), soft_wrap=True, end="")
            self._drawn = [line.cell_len for line in moving]

    def _erasure(self, columns: int) -> Control:
        """Erases the moving lines, from last to first, as the terminal wraps them now."""
        folded = sum(max(1, -(-cells // columns)) for cells in self._drawn)
        line = (ControlType.ERASE_IN_LINE, 2)
        up = ((ControlType.CURSOR_UP, 1), line) * max(0, folded - 1)
        return Control(ControlType.CARRIAGE_RETURN, line, *up)


_running: list[Region] = []


def region_on(stream: TextIO) -> Region | None:
    """The running region if `stream` is a terminal; assumes that there is only one terminal."""
    return _running[-1] if _running and is_terminal(stream) else None


@contextmanager
def _around_stop(before: Callable[[], None], after: Callable[[], None]) -> Iterator[None]:
    """Call `before` when Ctrl-Z stops the process inside the block, and `after` when it goes on."""
    number = getattr(signal, "SIGTSTP", None)  # not on Windows
    in_main = threading.current_thread() is threading.main_thread()
    if not (number and in_main and signal.getsignal(number) is signal.SIG_DFL):
        yield
        return

    def stop(*_: object) -> None:
        before()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # returns when the process goes on
        signal.signal(number, stop)
        after()

    signal.signal(number, stop)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def _in_background(stream: TextIO) -> bool:
    """Whether the shell has given the terminal to another program, as after Ctrl-Z and `bg`."""
    try:
        return os.tcgetpgrp(stream.fileno()) != os.getpgrp()
    except (AttributeError, OSError, ValueError):  # Windows; no terminal of this session
        return False


def restore_terminal() -> None:
    """Show the cursor if a region has hidden it: for a process that is about to exit."""
    for region in _running:
        region.restore()
