"""Reads a Word document (Office Open XML) as blocks, by Word's styles and those based on them.

Uses python-docx. Knows what the styles mean, not where the file comes from. Table cells and
text boxes become paragraphs. Pictures, footnotes, the table of contents, hidden text, and text that
was deleted or moved elsewhere are skipped.
"""

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from docx import Document
from docx.opc.constants import RELATIONSHIP_TYPE as RELATIONSHIP
from docx.oxml.ns import qn
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from polaris_cli.formats.docx import AUTHOR, CODE, CODE_BLOCK, SCENE_BREAK, WORKING_TITLE
from polaris_cli.formats.files import unpacked, zipped
from polaris_cli.formats.markdown import QUOTE, Block, Container
from polaris_cli.formats.structure import Span, merge_spans, printable

_HEADING = re.compile(r"Heading ([1-9])")
_HEADED = re.compile("Heading|Title|Subtitle|Working Title")
_LIST = re.compile(r"List(?: (Bullet|Number|Continue|Paragraph))?(?: ([2-9]))?")
_CONTENTS = re.compile("toc (heading|[1-9])", re.IGNORECASE)
_KNOWN = re.compile(
    "|".join(
        [_HEADING.pattern, _LIST.pattern, f"(?i:{_CONTENTS.pattern})", "Title|(Intense )?Quote",
         CODE_BLOCK, SCENE_BREAK, WORKING_TITLE, AUTHOR]
    )
)  # fmt: skip
_LONGEST_CHAIN = 9  # styles based on each other, which may be in a circle
_NUMBER = re.compile(r"([0-9]{1,9}[.)])\s+")
_ABSTRACT, _KIND, _VALUE = qn("w:abstractNum"), qn("w:abstractNumId"), qn("w:val")
_OLDER = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
"""A copy of a text box for older programs."""
_NOT_SHOWN = {qn("w:moveFrom"), qn("w:rt")}  # text that was moved, and how to pronounce it
_DELETED_END = "./w:pPr/w:rPr/*[self::w:del or self::w:moveFrom]"
_SHAPE = "{urn:schemas-microsoft-com:vml}rect"
_RULE = "{urn:schemas-microsoft-com:office:office}hr"


def read_docx(path: Path) -> tuple[list[Block], dict[str, str]]:
    """The blocks of a document, and what it says of its story if polaris wrote it.

    Raises the errors of zipfile and python-docx for a file that is not a Word document, ValueError
    for one that is too large.
    """
    with zipfile.ZipFile(path) as archive:
        names = dict.fromkeys(archive.namelist())
        parts = zipped(zip(names, unpacked(archive, names), strict=True))
    document = Document(BytesIO(parts))
    blocks, author = _blocks(document)
    return blocks, _said(document.core_properties, author)


def _blocks(document: Any) -> tuple[list[Block], str]:
    """The blocks of a document, and the author that it shows if polaris wrote it."""
    styles = {style.style_id: _meaning(style) for style in document.styles}
    marked = {style.style_id: _style_marks(style) for style in document.styles}
    numbered = set(_numbered_lists(document))
    containers, blocks, author = _Containers(), list[Block](), ""
    for element, spans in _paragraphs(document, marked):
        style = styles.get(element.style, "")
        if style in ("", "List Paragraph"):
            style = _list_style(element, numbered) or style
        text = "".join(span.text for span in spans).strip()
        if style == AUTHOR:
            author = text
        elif text and style != WORKING_TITLE and not _CONTENTS.fullmatch(style):
            blocks.append(_block(style, spans, containers))
        if _ends_scene(element, text) and not _HEADED.match(style):
            containers.close()
            blocks.append(Block("break"))
    return blocks, author


def _paragraphs(
    document: Any, marked: dict[str, dict[str, bool]]
) -> Iterator[tuple[Any, list[Span]]]:
    """Each paragraph and its text. One whose end was deleted is joined to the next, as in Word."""
    joined, element = list[Span](), None
    for element in _inside(document.element.body, qn("w:p"), {_OLDER}):
        joined += _spans(Paragraph(element, document.part), marked)
        if not element.xpath(_DELETED_END):
            yield element, merge_spans(joined)
            joined = []
    if joined:
        yield element, merge_spans(joined)


def _meaning(style: Any) -> str:
    """The name of a style, or of the first one that it is based on, if it means something here."""
    return next(filter(_KNOWN.fullmatch, islice(_names(style), _LONGEST_CHAIN)), "")


def _names(style: Any) -> Iterator[str]:
    while style is not None:
        yield style.name or ""
        style = getattr(style, "base_style", None)


def _numbered_lists(document: Any) -> Iterator[tuple[str, str]]:
    """The number of each list with numbers, not bullets, and its level: "0" is the first."""
    links = [link for link in document.part.rels.values() if link.reltype == RELATIONSHIP.NUMBERING]
    for numbering in (link.target_part.element for link in links if not link.is_external):
        levels = {kind.get(_KIND): [*_numbered_levels(kind)] for kind in numbering.iter(_ABSTRACT)}
        for one in numbering.iter(qn("w:num")):
            kinds = (kind.get(_VALUE) for kind in one.iter(_KIND))
            yield from (
                (one.get(qn("w:numId")), at) for kind in kinds for at in levels.get(kind, ())
            )


def _numbered_levels(kind: Any) -> Iterator[str]:
    for level in kind.iter(qn("w:lvl")):
        formats = [found.get(_VALUE) for found in level.iter(qn("w:numFmt"))]
        if formats and not {"bullet", "none"} & {*formats}:
            yield level.get(qn("w:ilvl"))


def _list_style(paragraph: Any, numbered: set[tuple[str, str]]) -> str:
    """The style that a paragraph of a list would have in Word's own list styles; "" for others."""
    number = paragraph.xpath("string(./w:pPr/w:numPr/w:numId/@w:val)")
    level = paragraph.xpath("string(./w:pPr/w:numPr/w:ilvl/@w:val)") or "0"
    if number in ("", "0") or level not in "012345678":
        return ""
    kind = "Number" if (number, level) in numbered else "Bullet"
    return f"List {kind}" if level == "0" else f"List {kind} {int(level) + 1}"


def _style_marks(style: Any) -> dict[str, bool]:
    """The marks of runs in a style."""
    font = getattr(style, "font", None)
    marks = {"strong": font and font.bold, "em": font and font.italic, "code": style.name == CODE}
    return {mark: bool(holds) for mark, holds in marks.items()}


def _inside(element: Any, name: str, skipped: set[str]) -> Iterator[Any]:
    """The elements with this name inside another, but not those in `skipped` elements."""
    for found in element.iter(name):
        around = takewhile(lambda parent: parent is not element, found.iterancestors())
        if skipped.isdisjoint(parent.tag for parent in around):
            yield found


def _ends_scene(paragraph: Any, text: str) -> bool:
    """Whether it ends with Word's line for "---" or Google Docs' line, or is only an ornament."""
    below = paragraph.xpath("./w:pPr/w:pBdr[w:bottom[@w:val!='nil'] and not(w:left)]")
    lines = [shape for shape in paragraph.iter(_SHAPE) if shape.get(_RULE)]
    ornaments = [] if text else paragraph.xpath("./w:r/w:sym")  # in a font of ornaments
    return bool(below or lines or ornaments)


def _said(properties: Any, author: str) -> dict[str, str]:
    """Premise, title, author and language of a document by polaris."""
    if not properties.identifier.startswith("polaris-"):
        return {}
    named = {"premise": properties.comments, "title": properties.title}
    return {**named, "author": author, "language": properties.language}


class _Containers:
    """The quote and the list items around the last paragraph."""

    def __init__(self) -> None:
        self._quote: Container | None = None
        self._items: list[Container] = []

    def close(self) -> None:
        """End the quote and the lists."""
        self._quote, self._items = None, []

    def quote(self) -> tuple[Container, ...]:
        """The container of a quoted paragraph."""
        self._items = []
        self._quote = self._quote or Container(QUOTE, QUOTE)
        return (self._quote,)

    def next_number(self, depth: int) -> int:
        """The number of the next item in a numbered list."""
        last = self._items[depth - 1 : depth]
        number = re.match(r"\d+", last[0].first) if last else None
        return int(number[0]) + 1 if number else 1

    def item(self, depth: int, first: str) -> tuple[Container, ...]:
        """The containers of a paragraph in a list; a new item starts if `first` is not empty."""
        self._quote = None
        if first:
            self._items[depth - 1 :] = [Container(first, " " * len(first))]
        return tuple(self._items[:depth])


def _block(style: str, spans: list[Span], containers: _Containers) -> Block:
    if style in ("Quote", "Intense Quote"):
        return Block("paragraph", spans, around=containers.quote())
    if found := _LIST.fullmatch(style):
        depth = int(found[2] or 1)
        first = _marker(found[1], spans, containers.next_number(depth))
        around = containers.item(depth, first)
        return Block("paragraph", spans, around=around, tight=bool(first))
    containers.close()
    if style in (CODE_BLOCK, SCENE_BREAK):
        return Block("code" if style == CODE_BLOCK else "break", spans)
    if style == "Title":
        return Block("heading", spans, 1)
    if found := _HEADING.fullmatch(style):
        return Block("heading", spans, int(found[1]) + 1)
    return Block("paragraph", spans)


def _marker(kind: str | None, spans: list[Span], number: int) -> str:
    """The marker of a list item, the `number`th of its list; a number in the text is removed from
    the spans."""
    if kind == "Continue":
        return ""
    if kind is None and (typed := _NUMBER.match(spans[0].text)):
        spans[0] = Span(spans[0].text[typed.end() :], spans[0].marks)
        return f"{typed[1]} "
    return f"{number}. " if kind == "Number" else "+ "  # no hyphen: speech may stand behind one


def _spans(paragraph: Paragraph, marked: dict[str, dict[str, bool]]) -> Iterator[Span]:
    """The runs of a paragraph, including those in links and insertions, which `runs` skips.

    Those of a text box in it are of other paragraphs.
    """
    for element in _inside(paragraph._p, qn("w:r"), {*_NOT_SHOWN, qn("w:p")}):
        run = Run(element, paragraph)
        if run.font.hidden:
            continue
        holding = {**marked.get(element.style, {}), **_own_marks(run)}
        marks = {mark for mark, holds in holding.items() if holds}
        parent: Any = element.getparent()
        if parent.tag == qn("w:hyperlink"):
            marks.add(_address(parent.rId, paragraph.part))
        yield Span(printable(run.text), frozenset(marks))


def _address(link: str | None, part: Any) -> str:
    """The address of a link; "" if it leads to a place in the document, or if it has no target."""
    return part.rels[link].target_ref if link in part.rels else ""


def _own_marks(run: Run) -> dict[str, bool]:
    """The marks that a run has, or has not, whatever its style."""
    own = {"strong": run.bold, "em": run.italic}
    return {mark: holds for mark, holds in own.items() if holds is not None}
