"""What a text stream supports: whether it is a terminal, its size, and its characters.

Knows streams only, and nothing about drawing.
"""

import os
from typing import TextIO

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_HARMLESS = (
    _CONTROL_PICTURES
    | dict.fromkeys(range(0x80, 0xA0), "\ufffd")
    | {0x7F: "\u2421", ord("\t"): "    "}
)


def is_terminal(stream: TextIO) -> bool:
    """Whether `stream` is open and a terminal of any kind."""
    return not stream.closed and stream.isatty()


def can_redraw(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can move the cursor and show styles (not TERM=dumb)."""
    return is_terminal(stream) and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """The current columns and rows of the terminal behind `stream`; 80 and 24 if unknown."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24


def encodable(text: str, stream: TextIO) -> str:
    """`text` with ? for characters that the stream's encoding lacks, and for lone surrogates."""
    encoding = getattr(stream, "encoding", None)
    return text.encode(encoding, "replace").decode(encoding) if encoding else text


def harmless(text: str) -> str:
    """`text` with control characters replaced by visible ones, so that none reaches the terminal.

    Line breaks stay, and a tab becomes four spaces.
    """
    return text.replace("\r\n", "\n").translate(_HARMLESS)
