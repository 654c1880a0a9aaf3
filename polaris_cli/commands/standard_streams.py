"""Makes standard input, output and error usable, whatever the caller connected them to.

A stream may be closed, full, in another encoding or non-blocking. Knows file descriptors and
encodings, not what is read or printed.
"""

import io
import os
import select
import sys
from contextlib import suppress
from typing import Any, TextIO

from polaris_cli.errors import OutputError

Errors = tuple[type[Exception], ...]


class Descriptor(io.FileIO):
    """A file descriptor to write to. The first failed write raises, later ones are dropped.

    They are dropped because Python writes again what is left when it ends. Raises
    BrokenPipeError if the reader of a pipe has closed it, OutputError for any other reason.
    """

    problem: Exception | None = None
    failed = False

    def __init__(self, descriptor: int, *, owned: bool = False) -> None:
        super().__init__(descriptor, "w", closefd=owned)

    def write(self, data: Any, /) -> int:
        """Write the bytes, waiting where a non-blocking descriptor has no room."""
        if self.failed:
            return memoryview(data).nbytes
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.failed = True
            self.report(error)
            return memoryview(data).nbytes
        return written

    def report(self, error: OSError) -> None:
        """Raise the error that says why the output is lost."""
        if isinstance(error, BrokenPipeError | ConnectionError):
            # Without an error number: typer turns EPIPE into an exit code of its own.
            raise BrokenPipeError("the reader closed the pipe") from error
        elsewhere = "Send the output to another place."
        raise OutputError.of("to standard output", error, elsewhere) from error


class LaterDescriptor(Descriptor):
    """As `Descriptor`, but keeps an error of the kinds `later` in `problem` instead of raising
    it."""

    def __init__(self, descriptor: int, later: Errors, *, owned: bool = False) -> None:
        super().__init__(descriptor, owned=owned)
        self._later = later

    def report(self, error: OSError) -> None:
        try:
            super().report(error)
        except self._later as problem:
            self.problem = problem


class QuietDescriptor(Descriptor):
    """As `Descriptor`, but drops what cannot be written: a lost message must not cost a story."""

    def report(self, error: OSError) -> None:
        pass


def prepare_streams() -> None:
    """Replace `sys.stdin`, `sys.stdout` and `sys.stderr` by streams that always work.

    A closed one becomes /dev/null, under its own number, which no other file can then take.
    Characters that the encoding lacks are printed as "?" (in messages: escaped).
    """
    for number in range(3):
        _open_if_closed(number)
    if sys.stdin is None or sys.stdin.closed:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _stream(sys.stdout, Descriptor(1), "replace")
    sys.stderr = _stream(sys.stderr, QuietDescriptor(2), "backslashreplace")


def text_stream(descriptor: Descriptor, encoding: str, errors: str) -> TextIO:
    """A text stream with these bytes; lines end as the system ends them.

    Messages, and all text on a terminal, come line by line.
    """
    by_line = descriptor.isatty() or isinstance(descriptor, QuietDescriptor)
    return io.TextIOWrapper(io.BufferedWriter(descriptor), encoding, errors, line_buffering=by_line)


def encoding_note(out: TextIO) -> str:
    """What to say about a stream whose encoding lacks most characters, "" for UTF-8 and the like.

    Names the variable that sets the encoding.
    """
    encoding = getattr(out, "encoding", None) or "utf-8"
    if encoding.lower().startswith("utf"):
        return ""
    names = ("PYTHONIOENCODING", "LC_ALL", "LC_CTYPE", "LANG")
    reason = next((name for name in names if os.environ.get(name)), "the locale")
    return (
        f"The text is printed in {encoding}, as {reason} says; characters that it lacks become ?. "
        "Files saved with -o are in UTF-8."
    )


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)


def _stream(stream: TextIO | None, descriptor: Descriptor, errors: str) -> TextIO:
    """A stream that writes to the descriptor, in the encoding that Python chose for `stream`."""
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.flush()
    return text_stream(descriptor, _encoding(stream), errors)


def _encoding(stream: TextIO | None) -> str:
    """The encoding that the user's locale or PYTHONIOENCODING sets; a pipe on Windows has UTF-8."""
    if stream is None:
        return "utf-8"
    by_default = os.name == "nt" and not os.environ.get("PYTHONIOENCODING")
    return "utf-8" if by_default and not stream.isatty() else stream.encoding
