"""Reads HTML as blocks: headings, paragraphs, scene breaks, quotes, lists and code.

Accepts elements in any order and nesting; knows nothing about files. Skips pictures and the
elements in `SKIPPED`, and those in `ABOUT` where they are about the page: its menu, its imprint, or
in polaris's own pages the premise. Table cells become paragraphs.
"""

import re
from collections import Counter
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import islice

from polaris_cli.formats.markdown import MAX_NESTING, QUOTE, Block, Container
from polaris_cli.formats.structure import Span, printable

# fmt: off
SKIPPED = {
    "title", "nav", "script", "style", "template", "noscript",
    "select", "button", "textarea", "svg", "del",
}
ABOUT = {"header", "footer"}  # in one of these they may have the title of a chapter:
_PARTS = {"section", "article", "aside", "blockquote"}
_READINGS = {"rt", "rp"}  # how to pronounce a sign in "ruby"; they may have no end tags
_BLOCKS = {
    "html", "body", "main", "article", "section", "div", "address", "aside", "p", "pre", "hr",
    "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "dl", "dt", "dd", "menu",
    "table", "tr", "td", "th", "caption", "figure", "figcaption", "details", "summary", "form",
    "fieldset", "legend", "center", "hgroup", "header", "footer",
}
# fmt: on
_STYLES = {"em": "em", "i": "em", "strong": "strong", "b": "strong", "code": "code"}
_MARKERS = {"ul": ("+", "*"), "ol": (".", ")")}  # no hyphens: speech may stand behind these
_NUMBER = re.compile("[0-9]{1,9}")
_SOURCE_BREAK = re.compile(r"[ \t\f\r]*\n[ \t\f\r\n]*")


@dataclass
class _Box:
    """An open quote or list. A list's container is that of its open item."""

    element: str
    container: Container | None = None
    marker: str = ""
    number: int = 0

    def begin_item(self, value: str) -> None:
        """Start the next list item; its number is `value` if that is a number."""
        self.number = int(value) if _NUMBER.fullmatch(value) else self.number + 1
        first = f"{self.marker} " if self.element == "ul" else f"{self.number}{self.marker} "
        self.container = Container(first, " " * len(first))


class HTMLReader(HTMLParser):
    """Parses a page into `blocks`, its `title` and `language`, and its `meta` elements by name.

    `ours` says that polaris wrote the page, which is also known from its `meta` elements, `in_book`
    that it is one of a book, where a header is that of a chapter.
    `has_elements` is False if the text is not HTML. html.parser raises AssertionError for some
    such texts.
    """

    def __init__(self, page: str, *, ours: bool = False, in_book: bool = False) -> None:
        super().__init__()
        self.is_ours, self._in_book = ours, in_book
        self._parts: Counter[str] = Counter()  # that are open
        self.blocks: list[Block] = []
        self.meta: dict[str, str] = {}
        self.title = self.language = ""
        self.has_elements = False
        self._spans: list[Span] = []
        self._styles: Counter[str] = Counter()
        self._address = ""
        self._boxes: list[_Box] = []
        self._skipping = 0
        self._in_title = self._in_reading = False
        self._block = ""  # the last block element opened, "" if one was closed since
        self._last_list = (-1, "")  # the number of blocks when it ended, and its marker
        self.feed(page)
        self.close()
        self._finish_block()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.has_elements = True
        values = {name: value or "" for name, value in attrs}
        if tag == "meta":
            self.meta.setdefault(values.get("name", "").lower(), values.get("content", ""))
            self.is_ours = self.is_ours or self.meta.get("generator") == "polaris"
        elif tag == "html":
            self.language = self.language or values.get("lang", "")
        elif tag == "body":
            self._skipping = 0  # a title may have no end tag
        elif self._skips(tag):
            self._skipping += 1
            self._in_title = tag == "title" and not self.title  # a picture may have one too
        if self._skipping:
            return
        if tag in _BLOCKS:
            self._finish_block()
            self._begin_block(tag, values.get("value" if tag == "li" else "start", ""))
        elif tag == "br":
            self._break_line()
        elif tag == "a":
            self._address = values.get("href", "")
        elif tag == "q":
            self.handle_data("“")
        elif tag in _READINGS:
            self._in_reading = True
        elif tag in _STYLES and "font-weight:normal" not in values.get("style", ""):
            self._styles[_STYLES[tag]] += 1  # Google Docs copies a text as one "b" that is not bold

    def handle_endtag(self, tag: str) -> None:
        """Close an element, and open elements inside it."""
        if self._skips(tag):
            self._skipping = max(self._skipping - 1, 0)
            self._in_title = False
        elif self._skipping:
            return
        elif tag in _BLOCKS:
            self._finish_block()
            self._end_block(tag)
        elif tag == "a":
            self._address = ""
        elif tag == "q":
            self.handle_data("”")
        elif tag in {*_READINGS, "ruby"}:
            self._in_reading = False
        elif self._styles[_STYLES.get(tag, "")]:
            self._styles[_STYLES[tag]] -= 1

    def _skips(self, tag: str) -> bool:
        of_part = self._in_book or self._parts.total()
        return tag in SKIPPED or (tag in ABOUT and (self.is_ours or not of_part))

    def handle_data(self, data: str) -> None:
        """Add text to the block."""
        if self._in_title:
            self.title += data
        text = "" if self._skipping or self._in_reading else printable(data)
        if self._block != "pre":
            text = _SOURCE_BREAK.sub(" ", text)
            if not self._spans or self._spans[-1].text == "\n":
                text = text.lstrip(" \t")
        if text:
            self._spans.append(Span(text, self._marks()))

    def _break_line(self) -> None:
        """Add a line break; a second one ends the paragraph."""
        if self._block != "pre" and self._spans and self._spans[-1].text == "\n":
            self._finish_block()
        elif self._spans:
            self._spans.append(Span("\n", self._marks()))

    def _marks(self) -> frozenset[str]:
        styles = (style for style, depth in self._styles.items() if depth)
        return frozenset([*styles, self._address]) - {""}

    def _begin_block(self, tag: str, number: str) -> None:
        self._block = tag
        self._parts[tag] += tag in _PARTS
        if tag == "hr":
            self.blocks.append(Block("break", around=self._around()))
        elif tag == "blockquote":
            self._boxes.append(_Box(tag, Container(QUOTE, QUOTE)))
        elif tag in _MARKERS:
            usual, other = _MARKERS[tag]
            marker = other if self._last_list == (len(self.blocks), usual) else usual
            before = int(number) - 1 if _NUMBER.fullmatch(number) else 0
            self._boxes.append(_Box(tag, None, marker, before))
        elif tag == "li" and (place := self._innermost("ul", "ol")) is not None:
            del self._boxes[place + 1 :]
            self._boxes[place].begin_item(number)

    def _end_block(self, tag: str) -> None:
        self._block = ""
        self._parts[tag] = max(self._parts[tag] - 1, 0)
        if tag == "li" and (place := self._innermost("ul", "ol")) is not None:
            del self._boxes[place + 1 :]
            self._boxes[place].container = None
        elif (place := self._innermost(tag)) is not None:
            self._last_list = (len(self.blocks), self._boxes[place].marker)
            del self._boxes[place:]

    def _innermost(self, *elements: str) -> int | None:
        places = reversed(range(len(self._boxes)))
        return next((place for place in places if self._boxes[place].element in elements), None)

    def _around(self) -> tuple[Container, ...]:
        containers = (box.container for box in self._boxes if box.container)
        return tuple(islice(containers, MAX_NESTING))

    def _finish_block(self) -> None:
        """Make a block of the text since the last block."""
        spans, self._spans, self._in_reading = self._spans, [], False
        text = "".join(span.text for span in spans)
        if not text.strip():
            return
        around = self._around()
        if self._block == "pre":
            self.blocks.append(Block("code", [Span(text.removesuffix("\n"))], around=around))
        elif re.fullmatch("h[1-6]", self._block):
            self.blocks.append(Block("heading", spans, int(self._block[1]), around))
        else:
            tight = self._block == "li" and bool(around)
            self.blocks.append(Block("paragraph", spans, 0, around, tight))
