"""Saves a story while it is written: `Recorder`, a stage between the engine and the output.

Decides when text is saved. Does not know how the library stores it or how events are shown.
"""

import threading
from collections.abc import Callable, Iterator

from polaris_cli.errors import LibraryError, unexpected
from polaris_cli.events import (
    Again,
    Event,
    Finish,
    Held,
    HeldText,
    Planned,
    closing,
    merged,
    text_of,
)
from polaris_cli.library.store import Library
from polaris_cli.story.accumulator import Accumulator
from polaris_cli.story.result import Story

SAVE_EVERY = 1.0  # seconds; a killed process loses the text of this time, plus that of one save


class Recorder:
    """Saves a story to a library from its first event on, and the complete record at the end.

    `accumulator` has the story so far. If saving fails, `warn` is called once with one sentence;
    the story continues, and saving is tried again. `saved` says whether the complete record is in
    the library.

    A separate thread saves at regular intervals even if no event arrives, which also shows that the
    writer is alive. Ctrl-C cannot interrupt a save, as only the main thread receives it.
    """

    def __init__(
        self, library: Library, accumulator: Accumulator, warn: Callable[[str], None]
    ) -> None:
        self.saved = False
        self._library, self._accumulator, self._warn = library, accumulator, warn
        self._record = accumulator.story()
        self._pending: list[Event] = []
        self._appended: list[Event] = []  # what the library has
        self._held = HeldText()
        self._started: Story | None = None  # the record that the library has
        self._ended = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._problem: str | None = None
        self._warned = False
        self._thread = threading.Thread(target=self._run, name="library", daemon=True)

    def watch(self, events: Iterator[Event]) -> Iterator[Event]:
        """Yield the events and save the story, even if the stream is closed or raises."""
        try:
            with closing(events):
                for event in events:
                    self._queue(event)
                    yield event
        finally:
            self._close()

    def _queue(self, event: Event) -> None:
        """Queue an event for the next save; a plan or a line break starts a save at once."""
        with self._lock:
            self._held.add(event)
            if isinstance(event, Planned | Again):
                self._record = self._record.after(event)
            elif not isinstance(event, Held | Finish):
                self._pending.append(event)
        if not self._thread.ident and not isinstance(event, Finish):
            self._start_thread()
        if isinstance(event, Planned) or "\n" in text_of(event):
            self._wake.set()
        self._warn_once()

    def _start_thread(self) -> None:
        """Start saving; where the system allows no more threads, the next event tries again."""
        try:
            self._thread.start()
        except RuntimeError as problem:
            self._problem = unexpected(problem).whole

    def _close(self) -> None:
        """Save the remaining events and the complete record, and wait until that is done."""
        if not self._thread.ident:
            return  # there were no events to save
        with self._lock:
            self._pending += self._held.chunks
            self._held = HeldText()
        self._ended = True
        self._wake.set()
        self._thread.join()
        if not self.saved:
            self._warn_once()

    def _warn_once(self) -> None:
        """Warn of a failed save. Called in the caller's thread, which owns the terminal."""
        if self._problem and not self._warned:
            self._warned = True
            self._warn(f"The story is not being saved: {self._problem}")

    def _run(self) -> None:
        ended = False
        while not ended:
            self._wake.clear()
            ended = self._ended  # read before saving, so that the last save has all events
            if not self._try_to_save(ended=ended) and ended:
                self._try_to_save(ended=True)  # there is no later time
            if not ended:
                self._wake.wait(SAVE_EVERY)

    def _try_to_save(self, *, ended: bool) -> bool:
        """Save what there is; False if that fails, whatever the reason."""
        try:
            self._save(ended=ended)
        except Exception as problem:
            error = problem if isinstance(problem, LibraryError) else unexpected(problem)
            self._problem = error.whole
            self._started = None  # another file may be the library by now
            return False
        return True

    def _save(self, *, ended: bool) -> None:
        with self._lock:  # so that the record has what the events say of it
            record, events, held = self._record, self._pending[:], [*self._held.chunks]
        if self._started is not record:
            events = [*self._start(record), *events]
            self._started = record
        self._library.append(record.id, events, held)
        del self._pending[: len(events)]
        self._appended += merged(events)
        if ended:
            self._library.finish(self._accumulator.story())
            self.saved = True

    def _start(self, record: Story) -> list[Event]:
        """Save the record; the events to append again, if another file is the library by now."""
        if not self._library.start(record):
            return []
        again, self._appended = self._appended, []
        with self._lock:
            self._pending[:0] = again
        return again
