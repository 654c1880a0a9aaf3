"""Writes blocks as Markdown, for texts from other formats.

Parses each block with `structure` to check it, and escapes a character only if the text would be
parsed differently without the backslash. Knows nothing about files.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Literal

from polaris_cli.formats.structure import ADDRESS, Span, merge_spans, parse, spans
from polaris_cli.streaming.headings import is_hyphen_speech, is_scene_break

SCENE_BREAK = "* * *"
QUOTE = "> "
MAX_NESTING = 6  # quotes and lists around a block; `structure` parses no more

_SPECIAL = re.compile(r"[\\`*_\[\]<&#]|^([ \t]*)([>+=~-])|^([ \t]*\d+)([.)])", re.MULTILINE)
_LINE_END = re.compile(r"[ \t]*\n[ \t]*")
_WORDS_OR_SPACE = re.compile(r"\s+|\S(?:.*\S)?", re.DOTALL)
_TRIMMED = " \t\n"  # Markdown strips these from blocks; other spaces are text
_DELIMITERS = {"strong": "**", "em": "*"}


@dataclass(frozen=True, eq=False, slots=True)
class Container:
    """A quote or list item around blocks: the prefix of its first line, and of the rest."""

    first: str
    rest: str


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text, with the containers around it, outermost first.

    `level` is for headings and starts at 1. There is no blank line between `tight` blocks.
    """

    kind: Literal["heading", "paragraph", "break", "code"]
    spans: Sequence[Span] = ()
    level: int = 0
    around: tuple[Container, ...] = ()
    tight: bool = False


def to_markdown(blocks: Iterable[Block]) -> str:
    """The blocks as Markdown, which `structure.parse` parses into the same blocks."""
    blocks = [*blocks]
    if any(map(is_hyphen_speech, _lines(blocks))):  # then no line behind a hyphen is a list item
        text = _written(blocks, speech=True)
        if not any(token.type == "list_item_open" and token.markup == "-" for token in parse(text)):
            return text
    return _written(blocks, speech=False)


def _lines(blocks: Iterable[Block]) -> Iterator[str]:
    """The lines of the paragraphs."""
    for block in blocks:
        if block.kind == "paragraph":
            yield from "".join(span.text for span in block.spans).split("\n")


def _written(blocks: Iterable[Block], *, speech: bool) -> str:
    """The blocks as Markdown; `speech` says whether lines behind hyphens are speech."""
    lines, opened, before = list[str](), set[Container](), None
    for block in blocks:
        content = _content(block, speech=speech)
        if not content:
            continue
        around = block.around[:MAX_NESTING]
        if before and not _follows(around, before.around, opened, block.tight and before.tight):
            shared = takewhile(before.around.__contains__, around)
            lines.append("".join(container.rest for container in shared).rstrip())
        for line in content.split("\n"):
            margin = "".join(box.rest if box in opened else box.first for box in around)
            lines.append(margin + line if line else margin.rstrip())
            opened.update(around)
        before = block
    return "\n".join(lines)


def _follows(
    around: tuple[Container, ...],
    before: tuple[Container, ...],
    opened: set[Container],
    tight: bool,
) -> bool:
    """Whether no blank line is needed: before the next item of a tight list."""
    return tight and len(around) <= len(before) and around[-1] not in opened


def _content(block: Block, *, speech: bool) -> str:
    """The block as Markdown without its containers, "" if it is empty."""
    text = "".join(span.text for span in block.spans)
    if block.kind == "code":
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        return f"{fence}\n{text}\n{fence}"
    if block.kind == "heading":
        one_line = [replace(span, text=span.text.replace("\n", " ")) for span in block.spans]
        return _checked(_move_spaces(one_line), "#" * min(block.level, 6) + " ", speech=speech)
    if block.kind == "break" or is_scene_break(text):
        return SCENE_BREAK
    return _checked(_move_spaces(block.spans), speech=speech)


def _checked(found: list[Span], before: str = "", *, speech: bool) -> str:
    """Markdown that parses back to these spans; the plain text if there is none."""
    if not found:
        return ""
    kind = "heading_open" if before else "paragraph_open"
    for escaped in (False, True):
        for delimiter in "*_":
            text = before + _inline(found, delimiter, escaped)
            tokens = parse(text, speech=speech)
            if [len(tokens), tokens[0].type] == [3, kind] and _move_spaces(
                spans(tokens[1])
            ) == found:
                return text
    return before + _escape("".join(span.text for span in found))


def _inline(found: Sequence[Span], delimiter: str, escaped: bool) -> str:
    """The spans with delimiters for their marks, the longest mark outermost."""
    text, rest = "", found
    while rest:
        if not rest[0].marks:
            text += _escape(rest[0].text) if escaped else rest[0].text
            rest = rest[1:]
            continue
        lengths = {mark: _run_length(mark, rest) for mark in sorted(rest[0].marks - {"code"})}
        mark = max(lengths, key=lambda mark: lengths[mark]) if lengths else "code"
        inside = [Span(span.text, span.marks - {mark}) for span in rest[: lengths.get(mark, 1)]]
        rest = rest[len(inside) :]
        text += _wrap(mark, inside, delimiter, escaped)
    return text


def _run_length(mark: str, found: Sequence[Span]) -> int:
    return sum(1 for _ in takewhile(lambda span: mark in span.marks, found))


def _wrap(mark: str, inside: list[Span], delimiter: str, escaped: bool) -> str:
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


def _move_spaces(found: Iterable[Span]) -> list[Span]:
    """Move spaces so that no marked text and no line starts or ends with one, as in Markdown."""
    groups = [(space, list(group)) for space, group in groupby(_pieces(found), key=_is_space)]
    for number, (space, group) in enumerate(groups):
        if space:
            at_edge = number in (0, len(groups) - 1)
            words = [] if at_edge else [groups[number - 1][1][-1], groups[number + 1][1][0]]
            shared = [span.marks for span in [*words, *group]] if words else [frozenset[str]()]
            text = _LINE_END.sub("\n", "".join(span.text for span in group))
            group[:] = [Span(text, frozenset.intersection(*shared) - {"code"})]
    return _stripped(merge_spans(span for _, group in groups for span in group))


def _pieces(found: Iterable[Span]) -> Iterator[Span]:
    """Split the spans into words and white space."""
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
    return merge_spans(found)


def _is_mark(mark: str) -> bool:
    return mark in ("em", "strong", "code") or bool(ADDRESS.fullmatch(mark))
