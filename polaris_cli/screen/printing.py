"""Prints text and JSON: the one place through which plain output leaves the program.

Knows streams. What a terminal would take for a command (escape sequences of a premise or a preset
from someone else) is made visible; a pipe gets the text as it is.
"""

import json
import re
import sys
from typing import Any, TextIO

from polaris_cli.screen.capabilities import encodable, harmless, is_terminal

# JSON may contain these as they are, but a terminal obeys some, and lone surrogates are no text.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


def print_text(*lines: object, stream: TextIO | None = None, end: str = "\n") -> None:
    """Print the lines, each with a line break, to `stream` (default: standard output)."""
    stream = stream or sys.stdout
    text = "\n".join(map(str, lines))
    stream.write(encodable(harmless(text) if is_terminal(stream) else text, stream) + end)
    stream.flush()


def print_json(data: Any, *, indent: int | None = None, stream: TextIO | None = None) -> None:
    """Print JSON; characters that the stream lacks or that a terminal obeys are escaped."""
    stream = stream or sys.stdout
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    text = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    if encodable(text, stream) != text:
        text = json.dumps(data, indent=indent)
    stream.write(f"{text}\n")
    stream.flush()
