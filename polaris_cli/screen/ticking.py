"""Does something again and again beside a block: `every`.

Knows threads, not what is done.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def every(seconds: float, act: Callable[[], bool]) -> Iterator[None]:
    """Call `act` every so many seconds while the block runs, in a thread, until it returns True."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds) and not act():
            pass

    thread = threading.Thread(target=run, name="polaris ticking", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
