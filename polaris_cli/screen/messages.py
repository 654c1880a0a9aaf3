"""Prints single lines and tables: an error with its hint, warnings, notes, lists.

Knows streams and errors, but not stories. Colors go to terminals only, and rich is imported only
for them: in a pipe, a table is lines with tabs.
"""

import re
from collections.abc import Sequence
from typing import TextIO

from polaris_cli.errors import PolarisError
from polaris_cli.screen.capabilities import (
    can_redraw,
    encodable,
    harmless,
    is_terminal,
    terminal_size,
)

Part = str | tuple[str, str]
"""Text, or text with its style on a terminal."""

_NUMBER = re.compile(r"[\d.,%\u2013-]*( ?[kMGT]i?B?)?")


def print_error(error: PolarisError, err: TextIO) -> None:
    """Print one line on what is wrong, and one with the hint, if there is one."""
    print_line(("polaris: ", ("error: ", "bold red"), one_line(error.message)), err)
    if error.hint:
        print_line(("polaris: ", ("hint: ", "bold"), one_line(error.hint)), err)


def warn(text: str, err: TextIO) -> None:
    """Print one line about something that may make the result worse."""
    print_line(("polaris: ", ("warning: ", "yellow"), one_line(text)), err)


def note(text: str, err: TextIO) -> None:
    """Print one line of information."""
    print_line(("polaris: ", ("note: ", "cyan"), one_line(text)), err)


def one_line(text: str) -> str:
    """`text` on a single line, with control characters made visible."""
    return harmless(" ".join(text.split()))


def print_line(parts: Sequence[Part], stream: TextIO, *, soft_wrap: bool = True) -> None:
    """Print a line, above the moving lines if the terminal has some.

    `soft_wrap` leaves wrapping to the terminal, so that a command can be copied in one piece.
    """
    plain = encodable("".join(part if isinstance(part, str) else part[0] for part in parts), stream)
    if not is_terminal(stream):
        stream.write(f"{plain}\n")
        stream.flush()
        return

    from rich.text import Text

    from polaris_cli.screen.region import painter, region_on

    line = Text.assemble(*parts)
    line.plain = plain
    if region := region_on(stream):
        region.print_above(line)
    else:
        painter(stream).print(line, soft_wrap=soft_wrap)
    stream.flush()


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], out: TextIO) -> None:
    """Print a table on a terminal; in a pipe, lines with tabs between the cells, headers first."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    if is_terminal(out):
        _draw_table(headers, cells, out)
    else:
        out.writelines("\t".join(row) + "\n" for row in [headers, *cells])
        out.flush()


def _draw_table(headers: Sequence[str], cells: Sequence[Sequence[str]], out: TextIO) -> None:
    """Print aligned columns, numbers to the right. rich's table is not used: importing it takes as
    long as everything else that a command such as `polaris models` does."""
    from typer import style

    from polaris_cli.screen.wrapping import columns_of, laid_out

    width = terminal_size(out)[0]
    columns = columns_of([headers, *cells], width)
    right = [all(_NUMBER.fullmatch(row[place]) for row in cells) for place in range(len(headers))]
    for line in laid_out(headers, columns, right):
        out.write((style(line, bold=True) if can_redraw(out) else line) + "\n")
    for row in cells:
        out.writelines(encodable(line, out) + "\n" for line in laid_out(row, columns, right))
    out.flush()
