"""Reads a text that the user wrote: a preset, a plan, a draft, premises.

Knows UTF-8, TOML and sizes, not what the text is.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any

from polaris_cli.errors import UsageError

MAX_BYTES = 50 * 10**6
"""Ten times the longest novels; a device such as /dev/zero never ends."""

_USUAL_ENCODING = "WINDOWS-1252"  # Latin 1 with curly quotes, of old programs on Windows


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark, and "\\n" as line ends.

    Raises UsageError if it cannot be read, is larger than `MAX_BYTES` or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return text_of(data, str(path))


def read_stdin(name: str) -> str:
    """As `read_text`, for standard input; `name` says in an error what it was to be."""
    return text_of(sys.stdin.buffer.read(MAX_BYTES + 1), name)


def parse_toml(text: str, path: Path, hint: str) -> dict[str, Any]:
    """The values in the TOML text of a file. Raises UsageError with this hint."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{path} is not valid TOML: {reason}.", hint=hint) from error


def text_of(data: bytes, name: str) -> str:
    """As `read_text`, for the bytes of a file or stream with this name."""
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{name} is larger than {MAX_BYTES // 10**6} MB.", hint="Use a file of text."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(name, error.object.decode("latin-1")) from error
    if "\0" in text:  # text has none, but UTF-16 and other data have
        raise not_utf8(name, text)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def unreadable(path: Path, error: Exception) -> UsageError:
    """The error for a file that the system does not open or read."""
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"Cannot read {path}: {reason}.", hint="Use another file.")


def check_whole(text: str, name: str, *, hint: str = "") -> None:
    """Raise UsageError for a text with half a character (a lone surrogate), as from bytes that are
    not UTF-8 or from "\\ud83d" in JSON.

    `name` says where it is; `hint` stands for that of `not_utf8`, which is about files.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = not_utf8(name, text)
        found.hint = hint or found.hint
        raise found from error


def not_utf8(name: str, found: str) -> UsageError:
    """The error for data that is not UTF-8; `name` says where it is.

    `found` is some of the data in any encoding that keeps NULs, which tell UTF-16.
    """
    encoding = "UTF-16" if "\0" in found else _USUAL_ENCODING
    hint = f"Convert it to UTF-8: iconv -f {encoding} -t UTF-8 FILE"
    return UsageError(f"{name} is not UTF-8 text.", hint=hint)
