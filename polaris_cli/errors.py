"""The exceptions of polaris, in one tree: each has a message, a hint and an exit code.

Does not know about the terminal; `commands.app` prints an error.
"""

import difflib
import errno
import os
from collections.abc import Callable, Iterable
from typing import ClassVar, Self

EXIT_FAILED_ROWS = 7  # of a batch
EXIT_INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended
EXIT_BROKEN_PIPE = 141  # the same for SIGPIPE
DEBUG_HINT = "Set POLARIS_DEBUG=1 and try again to see where it happened."
COMMAND = r"polaris [^;,)]*"
"""A regular expression for a command in a hint, which has options of its own."""


def debugging() -> bool:
    """Whether tracebacks are to be printed: POLARIS_DEBUG is set, and not to 0."""
    return os.environ.get("POLARIS_DEBUG", "0") not in ("", "0")


class PolarisError(Exception):
    """Any error that polaris can explain.

    `message` is one sentence on what is wrong, `hint` what to type or do next ("" for none).
    `exit_code` is the exit code of the process if the error reaches the command line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def whole(self) -> str:
        """The message, and the hint if there is one."""
        return f"{self.message} {self.hint}".strip()

    def reword(self, change: Callable[[str], str]) -> None:
        """Apply `change` to the message and to the hint."""
        self.message, self.hint = change(self.message), change(self.hint)
        self.args = (self.message,)

    def __reduce__(self) -> tuple[object, ...]:
        """How it is pickled, as between the machines of a cluster: as it is, without `__init__`,
        which takes other arguments in some classes."""
        return _again, (type(self), self.args), vars(self)


def _again(kind: type[PolarisError], args: tuple[object, ...]) -> PolarisError:
    """An error that was pickled, without its attributes, which come after it."""
    return kind.__new__(kind, *args)


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """ "Did you mean X? " with the known word that is most like `word`, "" if none is like it.

    `cutoff` is the least similarity, as difflib measures it (0 to 1).
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"Did you mean {near[0]}? " if near else ""


def unexpected(error: Exception) -> PolarisError:
    """The error for an exception that nothing explains."""
    found = PolarisError(f"Unexpected error: {error!r}.", hint=DEBUG_HINT)
    found.__cause__ = error
    return found


class UsageError(PolarisError):
    """The request is wrong: an option, a preset, a file, or the premise."""

    exit_code = 2


class WrongValue(UsageError):
    """A setting's value is outside its range: `setting` is its name, `example` a right value.

    Whoever knows where the value came from says so in the message (`set_by`); `setting` is then
    that place.
    """

    def __init__(self, setting: str, value: str, must: str, example: str = "NUMBER") -> None:
        super().__init__(f"{setting} is {value}, but must {must}.", hint="Give another value.")
        self.setting, self.example = setting, example

    def set_by(self, place: str, option: str) -> None:
        """Name the `place` that has the value, and the option that replaces it."""
        self.message = place + self.message.removeprefix(self.setting)
        self.setting = place
        what = "Give another value" if place == option else "Change it there, or override it"
        self.hint = f"{what}: {option} {self.example}"
        self.args = (self.message,)


class ModelUnavailable(PolarisError):
    """The model is not available: unknown, gated, offline, damaged, or its server is down."""

    exit_code = 3


class EndpointError(ModelUnavailable):
    """A server cannot be reached, refuses a request, or broke off its answer.

    `status` is the HTTP status of a refusal, else 0. `retry_in` is set if the same request may
    succeed later: the seconds to wait that the server named, else 0. `words` are all that the
    server says in a refusal; the message has the start of them.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int = 0,
        retry_in: float | None = None,
        words: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status, self.retry_in, self.words = status, retry_in, words


class OutOfMemory(PolarisError):
    """The model or its KV cache does not fit in the device's memory."""

    exit_code = 4


class NoStory(PolarisError):
    """The model stopped without writing anything after its thinking."""

    exit_code = 5


class OffTarget(PolarisError):
    """With --strict: the story was cut off, loops, or is outside the band."""

    exit_code = 6


class OutputError(PolarisError):
    """A file or standard output cannot be written. The library still has the story."""

    exit_code = 8

    @classmethod
    def of(cls, what: str, error: OSError, elsewhere: str) -> Self:
        """The error for what the system does not write; `elsewhere` is a hint to another place."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            elsewhere = f"Free some space there, or {elsewhere[0].lower()}{elsewhere[1:]}"
        return cls(f"Cannot write {what}: {error.strerror or error}.", hint=elsewhere)


class LibraryError(PolarisError):
    """The library cannot be read or written. This never costs the story itself."""
