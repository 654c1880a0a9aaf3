"""Blocks written as Markdown, for texts that come from other formats.

Knows what `structure` makes of a text, and checks each block against it: a backslash stands only
where the text would read as something else without it. Knows nothing of files.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Literal

from polaris_cli.formats.structure import ADDRESS, Span, merged, parse, spans

SCENE_BREAK = "* * *"
QUOTE = "> "
MOST_AROUND = 6  # quotes and lists around a block; `structure` reads no more of them

_SCENE_BREAK = re.compile(r"[ \t]*([*-])([ \t]*\1){2,}[ \t]*")
_SPECIAL = re.compile(r"[\\`*_\[\]<&#]|^([ \t]*)([>+=~-])|^([ \t]*\d+)([.)])", re.MULTILINE)
_LINE_END = re.compile(r"[ \t]*\n[ \t]*")
_WORDS_OR_SPACE = re.compile(r"\s+|\S+(?:\s+\S+)*")
_TRIMMED = " \t\n"  # what Markdown takes off a block; other spaces are text
_DELIMITERS = {"strong": "**", "em": "*"}


@dataclass(frozen=True, eq=False, slots=True)
class Container:
    """A quote or list item around blocks: what its first line begins with, and the others."""

    first: str
    rest: str


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a text, with the containers around it, the outermost first.

    `level` counts from 1, for headings. No blank line stands between `tight` blocks.
    """

    kind: Literal["heading", "paragraph", "break", "code"]
    spans: Sequence[Span] = ()
    level: int = 0
    around: tuple[Container, ...] = ()
    tight: bool = False


def to_markdown(blocks: Iterable[Block]) -> str:
    """The blocks as a text from which `structure.parse` reads the same blocks."""
    lines, begun, before = list[str](), set[Container](), None
    for block in blocks:
        content = _content(block)
        if not content:
            continue
        around = block.around[:MOST_AROUND]
        if before and not _follows(around, before.around, begun, block.tight and before.tight):
            shared = takewhile(before.around.__contains__, around)
            lines.append("".join(container.rest for container in shared).rstrip())
        for line in content.split("\n"):
            margin = "".join(box.rest if box in begun else box.first for box in around)
            lines.append(margin + line if line else margin.rstrip())
            begun.update(around)
        before = block
    return "\n".join(lines)


def _follows(
    around: tuple[Container, ...], before: tuple[Container, ...], begun: set[Container], tight: bool
) -> bool:
    """Whether no blank line is needed: at the next item of a list."""
    return tight and len(around) <= len(before) and around[-1] not in begun


def _content(block: Block) -> str:
    """The block without what is around it, "" if nothing is in it."""
    text = "".join(span.text for span in block.spans)
    if block.kind == "code":
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        return f"{fence}\n{text}\n{fence}"
    if block.kind == "heading":
        one_line = [replace(span, text=span.text.replace("\n", " ")) for span in block.spans]
        return _checked(_tidy(one_line), "#" * min(block.level, 6) + " ")
    if block.kind == "break" or _SCENE_BREAK.fullmatch(text):
        return SCENE_BREAK
    return _checked(_tidy(block.spans))


def _checked(found: list[Span], before: str = "") -> str:
    """The spans as Markdown that reads as just these; their bare text where none does."""
    if not found:
        return ""
    kind = "heading_open" if before else "paragraph_open"
    for escaped in (False, True):
        for delimiter in "*_":
            text = before + _inline(found, delimiter, escaped)
            tokens = parse(text)
            if [len(tokens), tokens[0].type] == [3, kind] and _tidy(spans(tokens[1])) == found:
                return text
    return before + _escape("".join(span.text for span in found))


def _inline(found: Sequence[Span], delimiter: str, escaped: bool) -> str:
    """Spans with their marks around them, the mark that lasts longest outermost."""
    text, rest = "", found
    while rest:
        if not rest[0].marks:
            text += _escape(rest[0].text) if escaped else rest[0].text
            rest = rest[1:]
            continue
        lengths = {mark: _lasts(mark, rest) for mark in sorted(rest[0].marks - {"code"})}
        mark = max(lengths, key=lambda mark: lengths[mark]) if lengths else "code"
        inside = [Span(span.text, span.marks - {mark}) for span in rest[: lengths.get(mark, 1)]]
        rest = rest[len(inside) :]
        text += _marked(mark, inside, delimiter, escaped)
    return text


def _lasts(mark: str, found: Sequence[Span]) -> int:
    return sum(1 for _ in takewhile(lambda span: mark in span.marks, found))


def _marked(mark: str, inside: list[Span], delimiter: str, escaped: bool) -> str:
    if mark == "code":
        text = inside[0].text
        fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
        return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"
    text = _inline(inside, delimiter, escaped)
    if mark in _DELIMITERS:
        around = delimiter * len(_DELIMITERS[mark])
        return f"{around}{text}{around}"
    return f"[{text}](<{mark}>)" if re.search("[()]", mark) else f"[{text}]({mark})"


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda found: "".join(_backslashed(found)), text)


def _backslashed(found: re.Match[str]) -> Iterator[str]:
    mark = found[2] or found[4] or found[0]
    yield found[0].removesuffix(mark)
    yield f"\\{mark}"


def _tidy(found: Iterable[Span]) -> list[Span]:
    """The spans as Markdown can hold them: no style begins or ends with a space, no line does."""
    groups = [(space, list(group)) for space, group in groupby(_pieces(found), key=_is_space)]
    for number, (space, group) in enumerate(groups):
        if space:
            at_edge = number in (0, len(groups) - 1)
            words = [] if at_edge else [groups[number - 1][1][-1], groups[number + 1][1][0]]
            shared = [span.marks for span in [*words, *group]] if words else [frozenset[str]()]
            text = _LINE_END.sub("\n", "".join(span.text for span in group))
            group[:] = [Span(text, frozenset.intersection(*shared) - {"code"})]
    return _stripped(merged(span for _, group in groups for span in group))


def _pieces(found: Iterable[Span]) -> Iterator[Span]:
    """The spans with the space at their ends apart from their words."""
    for span in found:
        marks = frozenset(filter(_is_mark, span.marks))
        if "code" in marks:
            yield Span(span.text.replace("\n", " "), marks)
        else:
            text = _LINE_END.sub("\n", span.text)
            yield from (Span(piece, marks) for piece in _WORDS_OR_SPACE.findall(text))


def _is_space(span: Span) -> bool:
    return span.text.isspace() and "code" not in span.marks


def _stripped(found: list[Span]) -> list[Span]:
    if found:
        found[0] = replace(found[0], text=found[0].text.lstrip(_TRIMMED))
        found[-1] = replace(found[-1], text=found[-1].text.rstrip(_TRIMMED))
    return merged(found)


def _is_mark(mark: str) -> bool:
    return mark in ("em", "strong", "code") or bool(ADDRESS.fullmatch(mark))
