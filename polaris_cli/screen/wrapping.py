"""Wraps text to a width: a story while it is written.

Knows characters and their widths, but not terminals, styles or the meaning of a line.
"""

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

from polaris_cli.characters import CJK

# Chinese and Japanese have no spaces between words: a line may break after any of these characters,
# except after an opening bracket, or between a character and its punctuation.
_WIDE = CJK + "\u3000-\u303f\ufe30-\ufe4f\uff00-\uff65"
_OPENING = "「『（【《〈〔"  # noqa: RUF001
_CLOSING = "」』）】》〉〕、。，．：；！？…ー”’"  # noqa: RUF001
_TOKEN = re.compile(f" +|[{_OPENING}]*[{_WIDE}][{_CLOSING}]*|[^ {_WIDE}]+")


def wrap(text: str, width: int) -> list[str]:
    """The lines of `text`, each at most `width` cells (at least 2) wide; the last is unfinished.

    `wrap(last + more, width)` continues from there. Spaces at a break are dropped, and words wider
    than a line are split.
    """
    return [line for part in text.split("\n") for line in _wrap_paragraph(part, max(width, 2))]


def _wrap_paragraph(paragraph: str, width: int) -> Iterator[str]:
    line, used, gap, at = "", 0, "", 0
    while match := _TOKEN.match(paragraph, at):
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
    tokens = _TOKEN.findall(line)
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
