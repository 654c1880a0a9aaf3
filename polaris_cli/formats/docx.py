"""Writes a story as a Word document (Office Open XML) with Word's built-in styles.

Uses python-docx. Knows which style each block gets, not where the file goes. `docx_reader` reads
these styles back.
"""

import zipfile
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from docx import Document
from docx.document import Document as DocumentObject
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Length, Mm, Pt, RGBColor
from docx.text.paragraph import Paragraph

from polaris_cli.formats.cover import Cover, cover_of, with_header
from polaris_cli.formats.files import zipped
from polaris_cli.formats.html import created_utc
from polaris_cli.formats.structure import MAX_HEADING, Span, Structure, printable, spans, structure
from polaris_cli.languages import is_known, is_right_to_left
from polaris_cli.story.result import Story

if TYPE_CHECKING:
    from markdown_it.token import Token

SCENE_BREAK = "Scene Break"
WORKING_TITLE = "Working Title"  # a title that is not in the text
AUTHOR = "Author"
CODE_BLOCK, CODE = "macro", "Macro Text Char"  # Word's names for its monospaced styles

_MARGIN, _TEXT_WIDTH, _TEXT_HEIGHT = Mm(25), Mm(160), Mm(247)  # of an A4 page
_MAX_LIST_LEVEL = 3  # Word has no "List Bullet 4"
_FONT = "Georgia"


def docx(story: Story) -> bytes:
    """The document as bytes, with title, headings, scene breaks, quotes, lists, code and links."""
    found = structure(story)
    document = Document()
    _strip_template(document)
    _set_page(document)
    _set_styles(document)
    _set_properties(document, story, found)
    _set_language(document, story.language)
    _add_title(document, story, found)
    for style, runs in _paragraphs(found.body):
        paragraph = document.add_paragraph(style=style)
        for span in runs:
            _add_span(paragraph, span)
    return _reproducible(document)


def _set_complex_size(properties: Any, points: int) -> None:
    """Set the size of Arabic, Hebrew and other complex scripts, which python-docx does not."""
    for element in properties.findall(qn("w:szCs")):
        properties.remove(element)
    size = OxmlElement("w:szCs")
    size.set(qn("w:val"), str(2 * points))
    properties.find(qn("w:sz")).addnext(size)


def _add_title(document: DocumentObject, story: Story, found: Structure) -> None:
    """The cover on a page of its own, the title and the author."""
    cover = cover_of(story)
    if cover:
        _add_cover(document, cover, found.title)
    title = document.add_paragraph(found.title, "Title" if found.in_text else WORKING_TITLE)
    title.paragraph_format.page_break_before = bool(cover) or None
    if author := story.request.book.author:
        document.add_paragraph(printable(author), AUTHOR)


def _add_cover(document: DocumentObject, cover: Cover, title: str) -> None:
    scale = min(_TEXT_WIDTH / cover.width, _TEXT_HEIGHT / cover.height)
    # Both: python-docx divides by the density in the file, which may be 0, to find one of them.
    width, height = (Length(int(side * scale) or 1) for side in (cover.width, cover.height))
    shape = document.add_picture(BytesIO(with_header(cover.data)), width, height)
    shape._inline.docPr.set("descr", title)  # what a screen reader says


def _paragraphs(tokens: "list[Token]") -> Iterator[tuple[str, list[Span]]]:
    """The style and text of each paragraph."""
    heading, around = 0, list[_Container]()
    for token in tokens:
        match token.type:
            case "heading_open":
                yield from _item_start(around)
                heading = int(token.tag[1]) - 1
            case "heading_close":
                heading = 0
            case "hr" if around:
                yield _contained(around, [Span("* * *")])
            case "hr":
                yield SCENE_BREAK, [Span("* * *")]
            case "fence":
                yield from _item_start(around)
                yield CODE_BLOCK, [Span(printable(token.content.removesuffix("\n")))]
            case "blockquote_open" | "bullet_list_open" | "ordered_list_open":
                yield from _item_start(around)
                around.append(_Container(token))
            case "blockquote_close" | "bullet_list_close" | "ordered_list_close":
                around.pop()
            case "list_item_open":
                around[-1].marker = token.info + token.markup
            case "list_item_close":
                yield from _item_start(around)
            case "inline" if heading or not around:
                yield f"Heading {heading}" if heading else "Normal", spans(token)
            case "inline":
                yield _contained(around, spans(token))


def _item_start(around: "list[_Container]") -> Iterator[tuple[str, list[Span]]]:
    """The paragraph of a list item that is empty or begins with a quote, a list or code."""
    if around and around[-1].marker:
        yield _contained(around, [])


def _contained(around: "list[_Container]", text: list[Span]) -> tuple[str, list[Span]]:
    """The style and text of a paragraph in quotes and lists."""
    depth = sum(container.is_list for container in around)
    return around[-1].style(depth), [*around[-1].take_number(), *text]


class _Container:
    """An open quote or list; `marker` is set from the start of an item to its first block."""

    def __init__(self, token: "Token") -> None:
        self.marker = ""
        self.is_list = token.type != "blockquote_open"
        self._is_ordered = token.type == "ordered_list_open"

    def style(self, depth: int) -> str:
        """Word's style for the next paragraph."""
        if not self.is_list:
            return "Quote"
        kind = "List" if self._is_ordered else "List Bullet"
        name = kind if self.marker else "List Continue"
        return f"{name} {min(depth, _MAX_LIST_LEVEL)}" if depth > 1 else name

    def take_number(self) -> list[Span]:
        """The number of a list item as text, so that Word does not renumber the list."""
        marker, self.marker = self.marker, ""
        return [Span(f"{marker}\t")] if marker and self._is_ordered else []


def _add_span(paragraph: Paragraph, span: Span) -> None:
    run = paragraph.add_run(span.text)
    run.bold = run.font.cs_bold = "strong" in span.marks or None
    run.italic = run.font.cs_italic = "em" in span.marks or None
    if "code" in span.marks:
        run.style = CODE
    for address in span.marks - {"strong", "em", "code"}:
        link = OxmlElement("w:hyperlink")
        target = paragraph.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
        link.set(qn("r:id"), target)
        run.font.underline = True
        run._r.addprevious(link)
        link.append(run._r)


def _set_page(document: DocumentObject) -> None:
    page = document.sections[0]
    page.page_width = Length(_TEXT_WIDTH + 2 * _MARGIN)
    page.page_height = Length(_TEXT_HEIGHT + 2 * _MARGIN)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = _MARGIN


def _set_styles(document: DocumentObject) -> None:
    """Set one black serif font, and add the styles that Word lacks."""
    styles = document.styles
    names = ["Normal", "Title", *(f"Heading {level}" for level in range(1, MAX_HEADING + 1))]
    for name, size in zip(names, (12, 24, 17, 15, 13), strict=True):
        font = styles[name].font
        font.name, font.size, font.color.rgb = _FONT, Pt(size), RGBColor(0, 0, 0)
        _set_complex_size(styles[name].element.rPr, size)
        for theme in ("asciiTheme", "hAnsiTheme", "cstheme"):  # they override the font name
            styles[name].element.rPr.rFonts.attrib.pop(qn(f"w:{theme}"), None)
    working = styles.add_style(WORKING_TITLE, WD_STYLE_TYPE.PARAGRAPH)
    working.base_style = styles["Title"]
    scene_break = styles.add_style(SCENE_BREAK, WD_STYLE_TYPE.PARAGRAPH)
    scene_break.base_style = styles["Normal"]
    author = styles.add_style(AUTHOR, WD_STYLE_TYPE.PARAGRAPH)
    author.base_style = styles["Normal"]
    for name in ("Title", SCENE_BREAK, AUTHOR):
        styles[name].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER


def _set_language(document: DocumentObject, tag: str) -> None:
    """Set the language for spelling, and the direction of paragraphs and runs."""
    normal = document.styles["Normal"]
    if is_known(tag):
        document.core_properties.language = tag
        language = OxmlElement("w:lang")
        for script in ("val", "eastAsia", "bidi"):
            language.set(qn(f"w:{script}"), tag)
        normal.element.get_or_add_rPr().append(language)
    if is_right_to_left(tag):
        normal.font.rtl = True
        normal.element.get_or_add_pPr().append(OxmlElement("w:bidi"))


def _strip_template(document: DocumentObject) -> None:
    """Remove parts of python-docx's template that a story does not need.

    These are the thumbnail, the language, the line below titles and the table styles.
    """
    relationships = document.part.package.rels
    for key in [key for key, rel in relationships.items() if rel.reltype.endswith("/thumbnail")]:
        del relationships[key]
    unwanted = (
        "w:docDefaults//w:lang",
        "w:style[@w:styleId='Title']/w:pPr/w:pBdr",
        "w:style[@w:type='table' and not(@w:default)]",
    )
    for element in document.styles.element.xpath(" | ".join(unwanted)):
        element.getparent().remove(element)


def _set_properties(document: DocumentObject, story: Story, found: Structure) -> None:
    properties = document.core_properties
    author = printable(story.request.book.author or story.model.name)
    # As elements, which take any text: of a property, python-docx takes 255 characters.
    elements = properties._element
    elements.get_or_add_title().text = found.title
    elements.get_or_add_creator().text = elements.get_or_add_lastModifiedBy().text = author
    elements.get_or_add_description().text = printable(story.premise)
    properties.identifier = f"polaris-{story.id}"
    properties.created = properties.modified = datetime.fromisoformat(created_utc(story)[:-1])


def _reproducible(document: DocumentObject) -> bytes:
    """The file without the creation time that python-docx puts in the archive."""
    file = BytesIO()
    document.save(file)
    with zipfile.ZipFile(file) as archive:
        return zipped((name, archive.read(name)) for name in archive.namelist())
