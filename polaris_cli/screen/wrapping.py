"""Wraps text to a width: a story while it is written, or the columns of a table.

Knows characters and their widths, but not terminals, styles or the meaning of a line.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

from polaris_cli.characters import CJK

GAP = "  "  # between two columns

# Chinese and Japanese have no spaces between words: a line may break after any of these characters,
# except after an opening bracket, or between a character and its punctuation.
_WIDE = CJK + "\u3000-\u303f\ufe30-\ufe4f\uff00-\uff65"
_OPENING = "「『（【《〈〔"  # noqa: RUF001
_CLOSING = "」』）】》〉〕、。，．：；！？…ー”’"  # noqa: RUF001
_TOKEN = f" +|[{_OPENING}]*[{_WIDE}][{_CLOSING}]*|[^ {_WIDE}]+"


@cache
def _token() -> re.Pattern[str]:
    """The compiled pattern, on first use: a table that fits does not need it."""
    return re.compile(_TOKEN)


def wrap(text: str, width: int) -> list[str]:
    """The lines of `text`, each at most `width` cells (at least 2) wide; the last is unfinished.

    `wrap(last + more, width)` continues from there. Spaces at a break are dropped, and words wider
    than a line are split.
    """
    return [line for part in text.split("\n") for line in _wrap_paragraph(part, max(width, 2))]


def _wrap_paragraph(paragraph: str, width: int) -> Iterator[str]:
    line, used, gap, at = "", 0, "", 0
    while match := _token().match(paragraph, at):
        token, at = match[0], match.end()
        if token[0] == " ":
            gap = token
            continue
        cells = cell_len(token)
        if used + len(gap) + cells <= width:
            line += gap + token
            used += len(gap) + cells
        else:
            if line:
                yield line
            *full, line = chop_cells(token, width) if cells > width else [token]
            used = cells
            if full:  # match the rest of the word again, as if the text arrived in parts
                yield from full
                at -= len(line)
                line, used = "", 0
        gap = ""
    yield line


def without_last_token(line: str) -> str:
    """`line` without its last token, which further text could still move to the next line."""
    tokens = _token().findall(line)
    return line[: len(line) - len(tokens[-1])].rstrip(" ") if tokens else ""


class Trim:
    """Holds back white space until more text follows it, so that output never ends with it."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def __call__(self, text: str) -> str:
        """The part of the text so far that can be written now."""
        body = text.rstrip()
        if not body:
            self._held.append(text)
            return ""
        ready = "".join(self._held) + body
        self._held = [text[len(body) :]]
        return ready


def columns_of(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The widths of a table's columns, in cells. The widest columns are narrowed until all fit in
    `width`; words are split only if every column is as narrow as its longest word."""
    by_column = list(zip(*rows, strict=True))
    columns = [max(map(cell_len, column)) for column in by_column]
    room = width - len(GAP) * (len(columns) - 1)
    if sum(columns) > room:
        _narrow(columns, room, [max(map(_longest_token, column)) for column in by_column])
        _narrow(columns, room, [2] * len(columns))
    return columns


def _narrow(columns: list[int], room: int, least: Sequence[int]) -> None:
    while sum(columns) > room:
        wide = [now if now > low else 0 for now, low in zip(columns, least, strict=True)]
        if not any(wide):
            return
        columns[wide.index(max(wide))] -= 1


def _longest_token(text: str) -> int:
    return max((cell_len(token) for token in _token().findall(text) if token[0] != " "), default=0)


def laid_out(row: Sequence[str], columns: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    """The lines of one row of a table, with cells wrapped to the widths `columns`, and aligned
    right where `right` is true."""
    wrapped = [
        wrap(cell, width) if cell_len(cell) > width else [cell]
        for cell, width in zip(row, columns, strict=True)
    ]
    for parts in zip_longest(*wrapped, fillvalue=""):
        cells = []
        for part, width, at_right in zip(parts, columns, right, strict=True):
            space = " " * (width - cell_len(part))
            cells.append(space + part if at_right else part + space)
        yield GAP.join(cells).rstrip()
