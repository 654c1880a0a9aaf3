"""Prints single lines: an error with its hint, warnings, notes.

Knows streams and errors, but not stories. Colors go to terminals only.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from polaris_cli.errors import PolarisError
from polaris_cli.screen.capabilities import encodable, harmless, is_terminal
from polaris_cli.screen.region import painter, region_on

WORD, MESSAGE = 200, 1000  # characters; the parts of a path are words
_LONG_WORD = re.compile(rf"[^\s/]{{{WORD + 1},}}")
# A command to type next, at the end of a message; what follows a label is a sentence.
_COMMAND = re.compile(
    r"(?<!hint: )(?<!note: )(?<!error: )(?<!warning: )(?<=: )(?:polaris|pip|python|export) [^;]*$"
)

own_wording: ContextVar[Callable[[str], str]] = ContextVar("own_wording", default=str)
"""Rewords a note for the command at hand, which may not have the options that the note names."""

Part = str | tuple[str, str]
"""Text, or text with its style on a terminal."""


def print_error(error: PolarisError, err: TextIO) -> None:
    """Print one line on what is wrong, and one with the hint, if there is one."""
    print_line(("polaris: ", ("error: ", "bold red"), one_line(shortened(error.message))), err)
    if error.hint:
        print_line(("polaris: ", ("hint: ", "bold"), one_line(error.hint)), err)


def warn(text: str, err: TextIO) -> None:
    """Print one line about something that may make the result worse."""
    print_line(("polaris: ", ("warning: ", "yellow"), one_line(shortened(text))), err)


def note(text: str, err: TextIO) -> None:
    """Print one line of information."""
    worded = own_wording.get()(text)
    print_line(("polaris: ", ("note: ", "cyan"), one_line(shortened(worded))), err)


def shortened(text: str) -> str:
    """A message without the middle of a very long word in it, and of its own if it is very long.

    So a value that it repeats, which may be a whole file pasted by mistake, does not hide it.
    """
    text = _LONG_WORD.sub(lambda found: _cut(found[0], WORD), text)
    return _cut(text, MESSAGE)


def _cut(text: str, length: int) -> str:
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


def one_line(text: str) -> str:
    """`text` on a single line, with control characters made visible."""
    return harmless(" ".join(text.split()))


def print_line(parts: Sequence[Part], stream: TextIO) -> None:
    """Print a line, above the moving lines if the terminal has some.

    A terminal gets it wrapped between words, with a command at its end on a line of its own.
    """
    plain = encodable("".join(part if isinstance(part, str) else part[0] for part in parts), stream)
    if not is_terminal(stream):
        stream.write(f"{plain}\n")
        stream.flush()
        return
    line = Text.assemble(*parts)
    line.plain = plain
    console, region = painter(stream), region_on(stream)
    for each in _wrapped(line, console):
        if region:
            region.print_above(each)
        else:
            console.print(each, soft_wrap=True)
    stream.flush()


def _wrapped(line: Text, console: Console) -> Iterator[Text]:
    """The lines that fit the terminal. Only it may break a command, or a word wider than itself:
    both can then be copied in one piece."""
    command = _COMMAND.search(line.plain)
    if line.cell_len <= console.width:
        yield line
    elif command:
        yield from _wrapped(line[: command.start() - 1], console)
        yield Text("  ") + line[command.start() :]
    else:
        for each in line.divide(_breaks(line.plain, console.width)):
            each.rstrip()
            yield each


def _breaks(text: str, width: int) -> Iterator[int]:
    """Where the lines after the first begin; each with the words that fit in `width` cells."""
    start = 0
    for word in re.finditer(r"\S+", text):
        if word.start() > start and cell_len(text[start : word.end()]) > width:
            start = word.start()
            yield start
