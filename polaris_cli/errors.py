"""The errors of polaris, one tree: each knows its sentence, the next step and its exit code.

Knows nothing of the terminal: the command line words an error once, in `__main__`.
"""

from typing import ClassVar

EXIT_INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended
EXIT_BROKEN_PIPE = 141  # the same for SIGPIPE
DEBUG_HINT = "Set POLARIS_DEBUG=1 and try again to see where it happened."


class PolarisError(Exception):
    """Anything that polaris can explain.

    `message` is one sentence saying what is wrong, `hint` the next thing to type or do ("" for
    none). `exit_code` is what the process ends with when the error reaches the command line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PolarisError):
    """The request itself cannot be right: an option, a preset, a file, a premise."""

    exit_code = 2


class ModelUnavailable(PolarisError):
    """The model cannot be had: unknown, gated, offline, corrupt, or its server is away."""

    exit_code = 3


class OutOfMemory(PolarisError):
    """The model or its cache does not fit the device."""

    exit_code = 4


class NoStory(PolarisError):
    """The model ended without writing anything after its thinking."""

    exit_code = 5


class OffTarget(PolarisError):
    """With --strict: the story was cut off, loops, or lies outside the band."""

    exit_code = 6


class LibraryError(PolarisError):
    """The library cannot be read or written; the story itself is never lost to this."""
