"""Tables: `print_table`, aligned by rich on a terminal, one row a line with tabs in a pipe.

Knows streams and cells; nothing of what a table says.
"""

import re
from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from polaris_cli.screen.capabilities import encodable, is_terminal
from polaris_cli.screen.messages import one_line
from polaris_cli.screen.region import painter

GAP = 2  # cells between two columns
LEAST = 10  # cells that a column of text keeps, however narrow the terminal

_NUMBER = re.compile(r"[\d.,%/\u2013-]*( ?[kMGT]i?B?| s)?")


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], out: TextIO) -> None:
    """A table on a terminal; lines with tabs between the cells, headers first, in a pipe.

    The first column and numbers are never folded. Where the terminal is too narrow for that, each
    row is shown as a table of its own, one line for each header.
    """
    lines = [[one_line(cell) for cell in row] for row in (headers, *rows)]
    if is_terminal(out):
        _draw([[encodable(cell, out) for cell in line] for line in lines], out)
    else:
        out.writelines("\t".join(line) + "\n" for line in lines)
        out.flush()


def _draw(lines: list[list[str]], out: TextIO) -> None:
    console, (headers, *rows) = painter(out), lines
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    least = -GAP
    for place, (header, *cells) in enumerate(zip(*lines, strict=True)):
        least += GAP + _add_column(table, header, cells, name=place == 0)
    for row in rows:
        table.add_row(*row)
    if least <= console.width or len(headers) <= 2:
        console.print(table)
    else:
        for row in rows:
            console.print(_record(headers, row))


def _add_column(table: Table, header: str, cells: Sequence[str], *, name: bool) -> int:
    """Give the table a column; the fewest cells that it can do with. Above numbers, a header of
    several words is folded."""
    widest = max(map(cell_len, cells), default=0)
    if all(map(_NUMBER.fullmatch, cells)):
        widest = max(widest, *map(cell_len, header.split()))
        table.add_column(Text(header, no_wrap=False), justify="right", no_wrap=True, width=widest)
        return widest
    table.add_column(header, no_wrap=name, overflow="fold")
    widest = max(widest, cell_len(header))
    return widest if name else min(widest, LEAST)


def _record(headers: list[str], row: list[str]) -> Table:
    """One row as a table: the headers at the left, the cells beside them, a free line below."""
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for header, cell in zip(headers, row, strict=True):
        table.add_row(header, cell)
    table.add_row()
    return table
