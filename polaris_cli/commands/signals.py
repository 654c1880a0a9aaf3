"""Ctrl-C, SIGTERM and SIGHUP for the whole program: as it begins, and once it is over.

Knows signals. Does not know stories: `interrupt` keeps them while they are written.
"""

import atexit
import os
import signal

HANG_UP = getattr(signal, "SIGHUP", None)  # the terminal is closed; Windows has no such signal
SIGNALS = [signal.SIGINT, signal.SIGTERM, *([HANG_UP] if HANG_UP else [])]


def handled_signals() -> list[int]:
    """Those of `SIGNALS` that the caller does not ignore, as `nohup` does."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def interrupt_on_all() -> None:
    """From now on all of `SIGNALS` raise KeyboardInterrupt, as Ctrl-C does."""
    for number in handled_signals():
        signal.signal(number, signal.default_int_handler)


def end_with(code: int) -> None:
    """From now on a signal ends the process at once with `code`: there is nothing left to stop.

    While Python takes itself down, signals are ignored: it would end with that of the signal.
    """
    for number in handled_signals():
        signal.signal(number, lambda *_: os._exit(code))
    atexit.register(_ignore_all)


def _ignore_all() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
