"""Text and a few moving lines on a terminal: drawing them, and drawing them anew in place.

Knows streams, widths and cursor movements; nothing of stories, models or what a line says.
`rich.live` is not used because it forgets that lines drawn before a resize have been folded anew.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from polaris_cli.screen.capabilities import is_terminal, terminal_size

FRAME_S = 0.1  # between two drawings
SHOW_CURSOR = b"\x1b[?25h\r\n"


def painter(stream: TextIO) -> Console:
    """A console that writes to the terminal `stream` what it is given, and takes nothing for
    markup, emoji names or things to highlight. It heeds NO_COLOR."""
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
    """What a `Region` shows. Both are asked for lines of at most `width` cells, in this order."""

    def settled(self, width: int) -> list[Text]:
        """Lines that will not change any more; each is handed over once and stays for ever."""

    def moving(self, width: int) -> list[Text]:
        """The lines to see below them at this moment, drawn anew each time."""


class Region:
    """A few moving lines at the end of a terminal, with settled lines growing above them.

    Draws when `refresh` is called and `FRAME_S` has passed, and by itself while the caller is
    busy. Lines that a resize has folded are erased whole on terminals that fold them anew.
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
        self._ticker = threading.Thread(target=self._tick, name="polaris-live", daemon=True)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Show the lines inside the block; at its end the settled ones alone remain."""
        self._console.show_cursor(False)
        _running.append(self)
        try:
            self._draw()
            self._ticker.start()
            yield self
        finally:
            self._finish()

    def refresh(self) -> None:
        """Draw if it is time to. Raises OSError when the terminal has gone."""
        if self._due.is_set():
            self._draw()

    def print_above(self, line: Text) -> None:
        """Settle a line that is none of the view's, a message for instance."""
        with self._lock:
            self._above.append(line)
            self._draw()

    def restore(self) -> None:
        """Show the cursor in a hurry: takes no lock, so a signal handler may call it."""
        if not self._console.legacy_windows:
            os.write(self._stream.fileno(), SHOW_CURSOR)

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
        """One frame for `refresh`, and a drawing where no refresh came in the next."""
        try:
            while not self._stop.wait(FRAME_S):
                if self._due.is_set():
                    self._draw()
                self._due.set()
        except (OSError, ValueError):
            self._due.set()  # the caller meets the same error at its next drawing

    def _draw(self, *, last: bool = False) -> None:
        columns, rows = terminal_size(self._stream)
        width = columns - 1  # a full last column makes some terminals begin a new line
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
        """From the end of the moving lines to their beginning, as the terminal folds them now."""
        folded = sum(max(1, -(-cells // columns)) for cells in self._drawn)
        line = (ControlType.ERASE_IN_LINE, 2)
        up = ((ControlType.CURSOR_UP, 1), line) * max(0, folded - 1)
        return Control(ControlType.CARRIAGE_RETURN, line, *up)


_running: list[Region] = []


def region_on(stream: TextIO) -> Region | None:
    """The region that moves on the terminal of `stream`; all terminals are taken for one."""
    return _running[-1] if _running and is_terminal(stream) else None


def restore_terminal() -> None:
    """Show the cursor where a region hid it: for a process that is about to end at once."""
    for region in _running:
        region.restore()
