"""`print_table`: an aligned table on a terminal, tab-separated lines in a pipe.

Uses rich. Knows streams and cells, not what a table is about.
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

GAP = 2  # cells between columns
MIN_WIDTH = 10  # cells of a text column, however narrow the terminal
NARROW = 60  # cells of a terminal

_NUMBER = re.compile(r"[\d.,%/\u2013-]*( ?[kMGT]i?B?| s)?")


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    out: TextIO,
    *,
    drop: Sequence[str] = (),
) -> None:
    """Print an aligned table to a terminal, or tab-separated lines to a pipe, headers first.

    The first column and numbers are never wrapped. If the terminal is too narrow for that, the
    columns of `drop` are left out, one after the other; if that is not enough, each row is printed
    as a table of its own with one line per header.
    """
    lines = [[one_line(cell) for cell in row] for row in (headers, *rows)]
    if is_terminal(out):
        if rows:
            _draw([[encodable(cell, out) for cell in line] for line in lines], out, drop)
    else:
        out.writelines("\t".join(line) + "\n" for line in lines)
        out.flush()


def _draw(lines: list[list[str]], out: TextIO, drop: Sequence[str]) -> None:
    console, (headers, *rows) = painter(out), lines
    for dropped in range(len(drop) + 1):
        kept = [place for place, name in enumerate(headers) if name not in drop[:dropped]]
        # On a narrow terminal, a text in a few letters is worth less than no column beside it.
        narrow = console.width < NARROW and dropped < len(drop)
        columns = [[line[place] for place in kept] for line in lines]
        table, needed = _table(columns, 2 * MIN_WIDTH if narrow else MIN_WIDTH)
        if needed <= console.width or len(kept) <= 2:
            console.print(table)
            return
    for number, row in enumerate(rows):
        if number:
            console.print()
        console.print(_record(headers, row))


def _table(lines: list[list[str]], least: int) -> tuple[Table, int]:
    """The table of these lines, the first of them headers, and the cells that it needs.

    A column of text needs `least` at most.
    """
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    needed = -GAP
    for place, (header, *cells) in enumerate(zip(*lines, strict=True)):
        needed += GAP + _add_column(table, header, cells, least, name=place == 0)
    for row in lines[1:]:
        table.add_row(*row)
    return table, needed


def _add_column(table: Table, header: str, cells: Sequence[str], least: int, *, name: bool) -> int:
    """Add a column to the table and return its minimum width.

    A header of several words is wrapped above numbers.
    """
    widest = max(map(cell_len, cells), default=0)
    if all(map(_NUMBER.fullmatch, cells)):
        widest = max(widest, *map(cell_len, header.split()))
        table.add_column(Text(header, no_wrap=False), justify="right", no_wrap=True, width=widest)
        return widest
    table.add_column(header, no_wrap=name, overflow="fold")
    widest = max(widest, cell_len(header))
    return widest if name else min(widest, least)


def _record(headers: list[str], row: list[str]) -> Table:
    """One row as a table: headers on the left, cells on the right."""
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for header, cell in zip(headers, row, strict=True):
        table.add_row(header, cell)
    return table
