"""Keeping a story while it is written: a stage that passes events on and saves them beside it.

Knows when text is saved; not how a library keeps it, nor what the events are shown on.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from polaris_cli.errors import LibraryError
from polaris_cli.events import Chunk, Event, Finish, Held, Planned, closing, text_of
from polaris_cli.library.store import Library
from polaris_cli.story.accumulator import Accumulator
from polaris_cli.story.result import Story

SAVE_EVERY = 1.0  # seconds; a killed process loses no more text than this, and the time of a save


class Recorder:
    """Keeps a story in a library from its first event on, and its whole record at the end.

    `accumulator` holds the story so far. `warn` is told once, in one sentence, of trouble with the
    library: that never stops a story, and saving is tried again as the text grows. `kept` says
    whether the whole record is in the library.

    Saving happens in a thread of its own, which keeps the promise about lost text while no event
    comes, shows that the writer is alive, and is never broken off half-way by Ctrl-C, which only
    the main thread receives.
    """

    def __init__(
        self, library: Library, accumulator: Accumulator, warn: Callable[[str], None]
    ) -> None:
        self.kept = False
        self._library, self._accumulator, self._warn = library, accumulator, warn
        self._begun = accumulator.story()
        self._pending: list[Event] = []
        self._held: tuple[Chunk, ...] = ()
        self._started: Story | None = None  # what the row was last started with
        self._ended = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._trouble: str | None = None
        self._told = False
        self._thread = threading.Thread(target=self._run, name="library", daemon=True)

    def watch(self, events: Iterator[Event]) -> Iterator[Event]:
        """Pass the events on and keep the story; one that is closed or raises is kept as well."""
        try:
            with closing(events):
                for event in events:
                    self._take(event)
                    yield event
        finally:
            self._close()

    def _take(self, event: Event) -> None:
        """Take the next event; a line break or a plan has all saved at once, else it is in time."""
        with self._lock:
            match event:
                case Finish():  # what was held back is in the text by now, or was dropped
                    self._held = ()
                case Planned():
                    self._begun = replace(self._begun, plan=event.plan)
                case Held():
                    self._held = event.chunks
                case _:
                    self._pending.append(event)
        if not self._thread.ident and not isinstance(event, Finish):
            self._thread.start()
        if isinstance(event, Planned) or "\n" in text_of(event):
            self._wake.set()
        self._tell()

    def _close(self) -> None:
        """Save the rest and the whole record, and wait until that is done."""
        if not self._thread.ident:
            return  # there has been nothing to keep
        with self._lock:
            self._pending += self._held
            self._held = ()
        self._ended = True
        self._wake.set()
        self._thread.join()
        self._tell()

    def _tell(self) -> None:
        """Warn from the caller's thread, which owns the terminal."""
        if self._trouble and not self._told:
            self._told = True
            self._warn(f"The story is not being saved: {self._trouble}")

    def _run(self) -> None:
        ended = False
        while not ended:
            self._wake.clear()
            ended = self._ended  # looked at before saving, so that the last events are in
            try:
                self._save(ended=ended)
            except LibraryError as error:
                self._trouble = error.message
            if not ended:
                self._wake.wait(SAVE_EVERY)

    def _save(self, *, ended: bool) -> None:
        begun = self._begun
        if self._started is not begun:
            self._library.start(begun)
            self._started = begun
        with self._lock:
            events, held = self._pending[:], self._held
        self._library.append(begun.id, events, held)
        del self._pending[: len(events)]
        if ended:
            self._library.finish(self._accumulator.story())
            self.kept = True
