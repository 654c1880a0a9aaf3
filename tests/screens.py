"""A terminal to look at: a pseudo-terminal whose output an emulator turns into a screen."""

import fcntl
import io
import os
import pty
import select
import struct
import termios
import threading
import time
from typing import TextIO

import pyte

MARK = b"\x1b]0;mark\x07"  # a window title: once it arrives, so has everything before it


class Tty:
    """A terminal of the given size; `stream` writes to it."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._reader, self._writer = pty.openpty()
        self.stream: TextIO = open(self._writer, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        self._raw = bytearray()
        self._gone = False
        self._marks = 0
        self._fed = 0
        self.screen = _screen(columns, rows)
        self._feeder = pyte.ByteStream(self.screen)
        self._set_size(columns, rows)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._gone:
            try:
                if select.select([self._reader], [], [], 0.05)[0]:
                    self._raw += os.read(self._reader, 65536)
            except OSError:  # nobody can write any more
                return

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._writer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def raw(self) -> str:
        """All that was written so far."""
        self.stream.flush()
        self._marks += 1
        os.write(self._writer, MARK)
        while self._raw.count(MARK) < self._marks:
            time.sleep(0.001)
        return bytes(self._raw).replace(MARK, b"").decode()

    def resize(self, columns: int, rows: int = 24) -> None:
        """Fold the lines anew, as today's terminals do, and keep the cursor on its character."""
        lines = self.lines()
        self.screen = _screen(columns, rows)
        self._feeder = pyte.ByteStream(self.screen)
        self._feeder.feed("\r\n".join(lines).encode())
        self._set_size(columns, rows)

    def lines(self) -> list[str]:
        """Everything on the screen and in its scrollback, without the empty rest."""
        self._catch_up()
        above = [
            "".join(line[column].data for column in range(self.screen.columns))
            for line in self.screen.history.top
        ]
        return "\n".join(line.rstrip() for line in above + self.screen.display).rstrip().split("\n")

    @property
    def cursor_shown(self) -> bool:
        self._catch_up()
        return not self.screen.cursor.hidden

    def _catch_up(self) -> None:
        raw = self.raw().encode()
        self._feeder.feed(raw[self._fed :])
        self._fed = len(raw)

    def hang_up(self) -> None:
        """What a closed window does to the programs in it."""
        self._gone = True
        self._thread.join()
        os.close(self._reader)

    def close(self) -> None:
        self.stream.close()
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)


def _screen(columns: int, rows: int) -> pyte.HistoryScreen:
    return pyte.HistoryScreen(columns, rows, history=100_000, ratio=0.5)


class Recorder(io.StringIO):
    """A pipe that notes what a reader has seen at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def flush(self) -> None:
        self.seen.append(self.getvalue())
