"""What a text stream can take: whether a person sees it, how wide it is, which characters it shows.

Knows streams alone; nothing of drawing.
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
    """Whether `stream` is shown to a person on a terminal of any kind."""
    return not stream.closed and stream.isatty()


def can_redraw(stream: TextIO) -> bool:
    """Whether `stream` is a terminal with a cursor that moves and styles (not TERM=dumb)."""
    return is_terminal(stream) and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows of the terminal behind `stream` at this moment; 80 and 24 if unknown."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24


def encodable(text: str, stream: TextIO) -> str:
    """`text` with ? for what the stream's encoding cannot write (half surrogate pairs too)."""
    encoding = getattr(stream, "encoding", None)
    return text.encode(encoding, "replace").decode(encoding) if encoding else text


def harmless(text: str) -> str:
    """`text` with its control characters made visible, so that none reaches the terminal.

    Line breaks stay, a tab becomes four spaces.
    """
    return text.replace("\r\n", "\n").translate(_HARMLESS)
