"""Progress of many stories: `BatchProgress`, live on a terminal, a line now and then elsewhere.

Knows counts, words and seconds. Does not know how the stories are written.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.text import Text

from polaris_cli.events import Chunk, Event, Finish
from polaris_cli.screen.capabilities import can_redraw, encodable, harmless, terminal_size
from polaris_cli.screen.messages import print_line
from polaris_cli.screen.meter import bar_line, duration, glyphs_of
from polaris_cli.screen.region import Region
from polaris_cli.screen.stopping import told_while_stopping
from polaris_cli.screen.ticking import every
from polaris_cli.words import WordCounter

EVERY = 30.0  # seconds between two lines where nothing can be redrawn
_TITLE = 40  # cells of a premise


class BatchProgress:
    """What is done, what is being written, and the time left. Threads may report at once."""

    def __init__(
        self,
        total: int,
        before: int,
        err: TextIO,
        stop: threading.Event | None = None,
        failed: int = 0,
    ) -> None:
        """`total` stories in all; `before` of them were done earlier, and `failed` could not be.
        `stop` is set when the user ends the run."""
        self._stop = stop or threading.Event()
        self._total, self._before = total, before
        self._err, self._glyphs = err, glyphs_of(err)
        self._began = time.monotonic()
        self._done = self._words = 0
        self._failed = self._failed_before = failed
        self._rows: dict[str, _Row] = {}
        self._lock = threading.Lock()

    def watch(self, key: str, premise: str, asked: int, events: Iterator[Event]) -> Iterator[Event]:
        """Yield a story's events, and count its words meanwhile."""
        row = _Row(key, premise, asked)
        with self._lock:
            self._rows[key] = row
        try:
            for event in events:
                if isinstance(event, Chunk) and event.kind == "story":
                    row.words.add(event.text)
                yield event
                if isinstance(event, Finish):
                    return
        finally:
            with self._lock:
                self._rows.pop(key, None)

    def add(self, words: int | None) -> None:
        """Count a story that is done, with its words; None for one that failed."""
        with self._lock:
            self._done += words is not None
            self._failed += words is None
            self._words += words or 0

    @contextmanager
    def shown(self, *, quiet: bool) -> Iterator[None]:
        """Show the progress inside the block."""
        if quiet:
            yield
        elif can_redraw(self._err):
            with Region(self._err, self).running():
                yield
        else:
            with every(EVERY, self._tell), told_while_stopping(self._stop, self._err):
                yield

    def _tell(self) -> bool:
        print_line(["polaris: ", ", ".join(self._facts())], self._err)
        return False

    def settled(self, width: int) -> list[Text]:
        return []

    def moving(self, width: int) -> list[Text]:
        rows = terminal_size(self._err)[1] - 2
        with self._lock:
            shown = list(self._rows.values())[: max(rows, 0)]
        lines = [Text(harmless(encodable(row.line(), self._err)), "dim") for row in shown]
        for line in lines:
            line.truncate(width, overflow="crop")
        share = (self._before + self._done + self._failed) / max(self._total, 1)
        return [*lines, bar_line(share, self._facts(), width, self._glyphs)]

    def _facts(self) -> list[str]:
        with self._lock:
            running = sum(row.words.count for row in self._rows.values())
            done, failed, words = self._done, self._failed, self._words + running
        seconds = time.monotonic() - self._began
        over = done + failed - self._failed_before
        rest = self._total - self._before - done - failed
        left = seconds / over * rest if over else None
        facts = [
            f"{self._before + done} of {self._total} done",
            f"{failed} failed" if failed else "",
            f"{words / seconds:.0f} words/s" if words else "",
            f"{duration(left)} left" if left else "",
        ]
        if self._stop.is_set():
            facts = [facts[0], "stopping; Ctrl-C again ends at once"]
        return [fact for fact in facts if fact]


class _Row:
    """A story that is being written."""

    def __init__(self, key: str, premise: str, asked: int) -> None:
        self._key, self._asked = key, asked
        self._premise = " ".join(premise.split())[:_TITLE]
        self.words = WordCounter()

    def line(self) -> str:
        return f"{self._key}  {self.words.count:,} of {self._asked:,} words  {self._premise}"
