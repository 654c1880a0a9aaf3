"""Text folded into lines of a width: a story as it comes.

Knows characters and their widths; nothing of terminals, styles or what a line says.
"""

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

from polaris_cli.characters import CJK

# Chinese and Japanese set no spaces: a line may end after any of these characters, except between
# an opening bracket and what follows, or between a character and its punctuation.
_WIDE = CJK + "\u3000-\u303f\ufe30-\ufe4f\uff00-\uff65"
_OPENING = "「『（【《〈〔"  # noqa: RUF001
_CLOSING = "」』）】》〉〕、。，．：；！？…ー”’"  # noqa: RUF001
_TOKEN = re.compile(f" +|[{_OPENING}]*[{_WIDE}][{_CLOSING}]*|[^ {_WIDE}]+")


def wrap(text: str, width: int) -> list[str]:
    """The lines of `text`, none wider than `width` cells (at least 2); the last is unfinished.

    `wrap(last + more)` continues where an earlier call stopped. Spaces at a break are dropped,
    words wider than a line are cut.
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
            if full:  # what is left over is read anew, as if the text had come in parts
                yield from full
                at -= len(line)
                line, used = "", 0
        gap = ""
    yield line


def without_last_token(line: str) -> str:
    """`line` up to where text that follows it could still move to the next line."""
    tokens = _TOKEN.findall(line)
    return line[: len(line) - len(tokens[-1])].rstrip(" ") if tokens else ""


class Trim:
    """Holds white space back until more text follows it, so that it never ends the output."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def __call__(self, text: str) -> str:
        """What of the text so far may be written now."""
        body = text.rstrip()
        if not body:
            self._held.append(text)
            return ""
        ready = "".join(self._held) + body
        self._held = [text[len(body) :]]
        return ready
