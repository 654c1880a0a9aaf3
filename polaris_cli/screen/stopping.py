"""Says that a run which the user has ended is not over yet: `told_while_stopping`.

Knows events of threads, but not signals, nor what is being waited for.
"""

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from polaris_cli.screen.messages import note
from polaris_cli.screen.ticking import every

SOON = 1.0  # seconds; most runs have ended by then

TOLD = "Stopping at the model's next text; press Ctrl-C again to stop now."


def told_while_stopping(
    stop: threading.Event, err: TextIO, *, quiet: bool = False
) -> AbstractContextManager[None]:
    """Say once that the block goes on, if it does soon after `stop` was set: a server is silent."""

    def tell() -> bool:
        if stop.is_set():
            note(TOLD, err)
        return stop.is_set()

    return nullcontext() if quiet else every(SOON, tell)
