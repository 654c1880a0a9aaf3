"""Prints text and JSON: the one place through which plain output leaves the program.

Knows streams. What a terminal would take for a command (escape sequences of a premise or a preset
from someone else) is made visible; a pipe gets the text as it is.
"""

import json
import sys
import textwrap
from typing import Any, TextIO

from polaris_cli.quoting import json_text
from polaris_cli.screen.capabilities import encodable, harmless, is_terminal, terminal_size


def print_text(
    *lines: object, stream: TextIO | None = None, end: str = "\n", wrap: bool = False
) -> None:
    """Print the lines, each with a line break, to `stream` (default: standard output).

    `wrap` wraps long lines between words on a terminal: for prose, which nobody copies.
    """
    stream = stream or sys.stdout
    text = "\n".join(map(str, lines))
    if is_terminal(stream):
        text = harmless(text)
        if wrap:
            width = terminal_size(stream)[0] - 1
            text = "\n".join(_wrapped(line, width) for line in text.split("\n"))
    stream.write(encodable(text, stream) + end)
    stream.flush()


def _wrapped(line: str, width: int) -> str:
    """The line, wrapped between words; a longer word, such as a path, stays in one piece."""
    if len(line) <= width:
        return line
    wrapper = textwrap.TextWrapper(
        max(width, 1), break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )
    return "\n".join(wrapper.wrap(line))


def print_json(data: Any, *, indent: int | None = None, stream: TextIO | None = None) -> None:
    """Print JSON; characters that the stream lacks or that a terminal obeys are escaped."""
    stream = stream or sys.stdout
    text = json_text(data, indent=indent)
    if encodable(text, stream) != text:
        text = json.dumps(data, indent=indent)
    stream.write(f"{text}\n")
    stream.flush()
