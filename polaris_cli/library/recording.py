"""Keeping a story while it is written: a stage that passes events on and saves them beside it.

Knows when text is saved; not how a library keeps it, nor what the events are shown on.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from polaris_cli.errors import LibraryError
from polaris_cli.events import Chunk, Event, Finish, Held, Outlined
from polaris_cli.library.store import Library
from polaris_cli.story.result import Story

SAVE_EVERY = 1.0  # seconds; a killed process loses no more text than this, and the time of a save


def record(
    events: Iterator[Event], library: Library, begun: Story, warn: Callable[[str], None]
) -> Iterator[Event]:
    """Pass the events on and keep the story in the library from its first chunk.

    A stream that is closed or raises is kept as interrupted. Trouble with the library never stops
    a story: `warn` is told once, in one sentence, and saving is tried again as the text grows.
    """
    saver: _Saver | None = None
    finish = Finish("interrupted")
    try:
        for event in events:
            if isinstance(event, Finish):
                finish = event
            else:
                saver = saver or _Saver(library, begun, warn)
                saver.take(event)
            yield event
    finally:
        if saver:
            saver.close(finish)


class _Saver:
    """Saves what it is given from a thread of its own.

    The thread keeps the promise about lost text while no event comes, shows that the writer is
    alive, and is never broken off half-way by Ctrl-C, which only the main thread receives.
    """

    def __init__(self, library: Library, begun: Story, warn: Callable[[str], None]) -> None:
        self._library = library
        self._begun = begun
        self._warn = warn
        self._pending: list[Chunk] = []
        self._held: tuple[Chunk, ...] = ()
        self._kept: Story | None = None  # what the row was last started with
        self._finish: Finish | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._trouble: str | None = None
        self._told = False
        self._thread = threading.Thread(target=self._run, name="library", daemon=True)

    def take(self, event: Chunk | Outlined | Held) -> None:
        """Take what came; a line break or outline has all saved at once, else it is in time."""
        with self._lock:
            match event:
                case Outlined():
                    self._begun = replace(self._begun, outline=event.outline)
                case Held():
                    self._held = event.chunks
                case Chunk():
                    self._pending.append(event)
        if not self._thread.ident:
            self._thread.start()
        if isinstance(event, Outlined) or (isinstance(event, Chunk) and "\n" in event.text):
            self._wake.set()
        self._tell()

    def close(self, finish: Finish) -> None:
        """Save the rest and the end of the story, and wait until that is done."""
        self._finish = finish
        self._wake.set()
        self._thread.join()
        self._tell()

    def _tell(self) -> None:
        """Warn from the caller's thread, which owns the terminal."""
        if self._trouble and not self._told:
            self._told = True
            self._warn(f"The story is not being saved: {self._trouble}")

    def _run(self) -> None:
        finish: Finish | None = None
        while finish is None:
            self._wake.clear()
            finish = self._finish  # looked at before saving, so that the last chunks are in
            try:
                self._save(finish)
            except LibraryError as error:
                self._trouble = error.message
            if finish is None:
                self._wake.wait(SAVE_EVERY)

    def _save(self, finish: Finish | None) -> None:
        begun = self._begun
        if self._kept is not begun:
            self._library.start(begun)
            self._kept = begun
        with self._lock:
            chunks, held = self._pending[:], () if finish else self._held
        self._library.append(self._begun.id, chunks, held)
        del self._pending[: len(chunks)]
        if finish:
            self._library.conclude(self._begun, finish)
