"""Says that a run which the user has ended is not over yet: `told_while_stopping`.

Knows events of threads, but not signals, nor what is being waited for.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from polaris_cli.screen.messages import note

SOON = 1.0  # seconds; most runs have ended by then

TOLD = "Waiting for the model's next text, to stop there; Ctrl-C again ends at once."


@contextmanager
def told_while_stopping(
    stop: threading.Event, err: TextIO, *, quiet: bool = False
) -> Iterator[None]:
    """Say once that the block goes on, if it does soon after `stop` was set: a server is silent."""
    if quiet:
        yield
        return
    over = threading.Event()

    def tell() -> None:
        while not over.wait(SOON):
            if stop.is_set():
                note(TOLD, err)
                return

    thread = threading.Thread(target=tell, name="polaris stopping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
