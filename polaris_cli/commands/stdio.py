"""Standard output for polaris alone, and standard input shut, while other people's code runs.

Knows file descriptors and streams; not what is printed on them.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import TextIO


@contextmanager
def reserved_stdio() -> Iterator[TextIO]:
    """Give the one stream that leads to standard output inside the block.

    Libraries print notices to stdout and ask questions on stdin, where the story goes out and the
    premise came in. Inside the block their output goes nowhere and their questions meet the end of
    a file, whether they go through Python's streams or through the descriptors, as C code does.
    """
    out = sys.stdout
    with ExitStack() as undo:
        nowhere = undo.enter_context(open(os.devnull, "r+"))  # noqa: PTH123
        undo.callback(setattr, sys, "stdin", sys.stdin)
        sys.stdin = nowhere
        undo.enter_context(redirect_stdout(nowhere))
        undo.enter_context(_pointed_at(nowhere, 0))
        if _descriptor(out) == 1:
            out = undo.enter_context(_moved(out))
            undo.enter_context(_pointed_at(nowhere, 1))
        yield out


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):  # a test's stream, or none at all
        return None


@contextmanager
def _moved(stream: TextIO) -> Iterator[TextIO]:
    """A stream like this one, on a descriptor that nobody else knows."""
    stream.flush()
    moved = open(  # noqa: PTH123, SIM115
        os.dup(stream.fileno()),
        "w",
        encoding=stream.encoding,
        errors=stream.errors,
        newline="" if os.name != "nt" else None,
    )
    try:
        yield moved
        moved.flush()
    finally:
        with suppress(OSError):  # a pipe that is closed has been reported when it was written to
            moved.close()


@contextmanager
def _pointed_at(place: TextIO, descriptor: int) -> Iterator[None]:
    """Let a descriptor lead elsewhere inside the block."""
    try:
        before = os.dup(descriptor)
    except OSError:  # closed by whoever started the process
        yield
        return
    os.dup2(place.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(before, descriptor)
        os.close(before)
