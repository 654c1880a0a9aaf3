"""The little Markdown that stories use: headings, paragraphs, scene breaks, bold and italic.

Everything else is literal text. Knows nothing of files or formats; html, epub and docx are made
from what it finds.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from polaris_cli.story.result import Story

DEEPEST = 3  # levels of headings that are told apart

_HEADING = re.compile(r"[ ]{0,3}(#{1,6})[ \t]+(.*)")
_BREAK = re.compile(r"\s*([*-])(?:[ \t]*\1){2,}\s*")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a story. `text` keeps its line breaks; `level` counts from 1, for headings."""

    kind: Literal["heading", "paragraph", "break"]
    text: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Text within a block, in one style."""

    text: str
    bold: bool = False
    italic: bool = False


def body(story: Story) -> list[Block]:
    """The blocks of a story without its own title, the highest headings raised to level 1."""
    found = _without_title(list(blocks(story.text)), story.title)
    top = min((block.level for block in found if block.kind == "heading"), default=1)
    return [
        replace(block, level=min(block.level - top + 1, DEEPEST)) if block.level else block
        for block in found
    ]


def title(story: Story) -> str:
    """The title of a story, as XML may hold it."""
    return printable(story.title)


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text: a heading or scene break is a line, a paragraph ends at a blank one."""
    lines = printable(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for kind, group in groupby(map(_line, lines), key=lambda block: block and block.kind):
        if kind == "paragraph":
            yield Block("paragraph", "\n".join(block.text for block in group if block))
        else:
            yield from (block for block in group if block)


def spans(text: str) -> Iterator[Span]:
    """The styles in a text: *italic*, **bold** and ***both***; a lone asterisk stays one."""
    for (bold, italic), group in groupby(_styled(text), key=lambda span: (span.bold, span.italic)):
        yield Span("".join(span.text for span in group), bold, italic)


def plain(text: str) -> str:
    """A text without its marks of emphasis."""
    return "".join(span.text for span in spans(text))


def printable(text: str) -> str:
    """A text without the control characters and half characters that XML forbids."""
    return _FORBIDDEN.sub("", text)


def _line(line: str) -> Block | None:
    """What one line is by itself; None for a blank one."""
    if not line.strip():
        return None
    if _BREAK.fullmatch(line):
        return Block("break")
    if heading := _HEADING.fullmatch(line):
        return Block("heading", heading[2].strip(), len(heading[1]))
    return Block("paragraph", line.rstrip())


def _styled(text: str) -> Iterator[Span]:
    """The styles, with each literal asterisk still by itself."""
    pieces = re.split(r"(\*+)", text)  # text, asterisks, text, asterisks, …, text
    marks = _marks(pieces)
    bold = italic = False
    for position, piece in enumerate(pieces):
        if position in marks:
            bold ^= len(piece) >= 2
            italic ^= len(piece) != 2
        elif piece:
            yield Span(piece, bold, italic)


def _marks(pieces: list[str]) -> set[int]:
    """The positions of the asterisks that open or close a style.

    One stack of openers: a run closes the nearest opener of its own length, and openers between
    the two stay literal. The counts by length keep this linear in the number of runs.
    """
    marks: set[int] = set()
    openers: list[int] = []
    waiting: Counter[int] = Counter()
    for position in range(1, len(pieces), 2):
        size, before, after = len(pieces[position]), pieces[position - 1], pieces[position + 1]
        if waiting[size] and before and not before[-1].isspace():
            while True:
                opener = openers.pop()
                waiting[len(pieces[opener])] -= 1
                if len(pieces[opener]) == size:
                    break
            marks |= {opener, position}
        elif size <= 3 and after and not after[0].isspace():
            openers.append(position)
            waiting[size] += 1
    return marks


def _without_title(found: list[Block], title: str) -> list[Block]:
    """Leave out a title at the very start, which every format shows in a place of its own."""
    if not found:
        return found
    line, _, rest = found[0].text.partition("\n")
    marked = found[0].kind == "heading" or line.lstrip().startswith("**")
    if not marked or _bare(line) != _bare(printable(title)):
        return found
    return [Block("paragraph", rest), *found[1:]] if rest else found[1:]


def _bare(line: str) -> str:
    return line.replace("*", "").strip("_ ")
