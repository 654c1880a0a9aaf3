"""Keeps the output of other libraries off stdout, and keeps them from reading stdin.

Knows file descriptors and streams, not what is printed. It guards a whole command;
`engines.local.quiet` guards the loading of a model in Python, where there is no command.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import TextIO

from polaris_cli.commands.standard_streams import Errors, LaterDescriptor, text_stream
from polaris_cli.errors import OutputError


@contextmanager
def reserved_stdio(*, later: Errors = ()) -> Iterator[TextIO]:
    """Yield the only stream that reaches standard output inside the block.

    Some libraries print notices to stdout or ask questions on stdin. Inside the block their output
    goes to /dev/null and their reads get the end of a file. This holds for Python's streams and for
    the file descriptors that C code uses.

    `later` are the errors of standard output, OutputError and BrokenPipeError, that are raised at
    the end of the block only.
    """
    out = sys.stdout
    with ExitStack() as undo:
        devnull = undo.enter_context(open(os.devnull, "r+"))  # noqa: PTH123
        undo.callback(setattr, sys, "stdin", sys.stdin)
        sys.stdin = devnull
        undo.enter_context(redirect_stdout(devnull))
        undo.enter_context(_redirected(devnull, 0))
        if _descriptor(out) == 1:
            out = undo.enter_context(_duplicated(out, later))
            undo.enter_context(_redirected(devnull, 1))
        yield out


@contextmanager
def reserved_stderr() -> Iterator[None]:
    """Let only `sys.stderr` reach standard error inside the block: no C code, no other process."""
    err = sys.stderr
    with ExitStack() as undo:
        if _descriptor(err) == 2:
            undo.callback(setattr, sys, "stderr", err)
            devnull = undo.enter_context(open(os.devnull, "r+"))  # noqa: PTH123
            sys.stderr = undo.enter_context(_duplicated(err, (OutputError,)))
            undo.enter_context(_redirected(devnull, 2))
        yield


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):  # not a real file, as in tests
        return None


@contextmanager
def _duplicated(stream: TextIO, later: Errors) -> Iterator[TextIO]:
    """A stream to the same place on a new descriptor, which no library uses."""
    stream.flush()
    moved = LaterDescriptor(os.dup(stream.fileno()), later, owned=True)
    out = text_stream(moved, stream.encoding, stream.errors or "strict")
    try:
        yield out
        out.flush()
    finally:
        with suppress(OSError):  # the write to a closed pipe has already failed
            out.close()
    if moved.problem:
        raise moved.problem


@contextmanager
def _redirected(place: TextIO, descriptor: int) -> Iterator[None]:
    """Redirect a file descriptor inside the block."""
    before = os.dup(descriptor)
    os.dup2(place.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(before, descriptor)
        os.close(before)
