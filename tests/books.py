"""A story with everything in it, made-up stories, and ways to look into what was exported."""

import struct
import zipfile
import zlib
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hypothesis import strategies as st

from polaris_cli.formats.structure import Structure, parse, spans, structure
from polaris_cli.request.book import Book
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story.result import Story
from tests.stories import a_story

PREMISE = 'a "lighthouse": <keeper> & \x00é 😀\u2028\x85\x7f'
EVERYTHING = (
    r"""# The *Fog* & the <Letter>

Before, with *italic*, **bold**, _both **at** once_ and `code`.
Second line, [a link](https://example.org/a?b=c&d), \*no stars\*, &eacute;, <b>no tag</b>.

## One: **Go** ##

"Hello," she said. 5 * 3 """
    + "\x07😀"
    + """

* * *

> "So," he read.
>
> > And deeper.

- one
- two

  still two
  1. inner

1984. It was.
1990. It is.

### Deep

```
  code < &
```
After.
---

## Two

End ]]> &amp;"""
)


def a_book(text: str, **book: str) -> Story:
    """A story whose files say this of it."""
    return a_story(text=text, request=StoryRequest("a fox", 8, book=Book(**book)))


def png(folder: Path, width: int = 6, height: int = 9) -> str:
    """The path of an image."""
    rows = zlib.compress((b"\0" + b"\x30\x50\x90" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    path = folder / f"{width}x{height}.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))
    return str(path)


def with_density(image: bytes, dots: int) -> bytes:
    """The PNG image with this many dots per metre."""
    header, rest = image[:33], image[33:]
    return header + _chunk(b"pHYs", struct.pack(">IIB", dots, dots, 1)) + rest


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def members(content: bytes) -> dict[str, str]:
    """The texts in a zip archive, by their names."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = (name for name in archive.namelist() if not name.endswith((".jpeg", ".png")))
        return {name: archive.read(name).decode() for name in names}


def check_xml(content: bytes) -> None:
    """Fail if a part of a zip archive is not well formed."""
    for name, part in members(content).items():
        if name.endswith(("xml", "rels", "opf")):
            ElementTree.fromstring(part)


class Elements(HTMLParser):
    """The tags and texts of a page; fails on a tag that is not closed where it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append((self._open[-1], data))


def shape(text: str) -> list[object]:
    """The title of a text, and its blocks: what is around each, its element, its content."""
    found = structure(a_story(text=text))
    return [found.title if found.in_text else None, *_blocks(found)]


def _blocks(found: Structure) -> list[object]:
    blocks, around, element = list[object](), list[str](), ""
    for token in found.body:
        if token.nesting and token.tag in ("blockquote", "ul", "ol"):
            around = [*around, token.tag] if token.nesting == 1 else around[:-1]
        elif token.nesting == 1:
            element = f"{token.tag} {token.attrs.get('value', '')}"
            if token.tag == "li":
                blocks.append((tuple(around), element))
        elif token.type == "inline":
            blocks.append((tuple(around), element, spans(token)))
        elif token.nesting == 0:
            blocks.append((tuple(around), token.tag, token.content))
    return blocks


def plain_texts(text: str) -> str:
    """All that a reader of the text would see, without spaces."""
    seen = (token.content for token in parse(text) if token.type == "fence")
    inlines = (token for token in parse(text) if token.type == "inline")
    words = (span.text for token in inlines for span in spans(token))
    return "".join("".join([*seen, *words]).split())


_VOCABULARY = (
    r"""He she's 'so' said, 5*3 snake_case _ x* AT&T &lt; <b> "Oh!" #1 (a) 他说 été [x] 😀 ~ `x !"""
    r""" \*x\* *a* **b** ***c*** _d_ *e **f*** **g *h* i** `k_*` [l](http://a.b/c) *[m](http://a.b)*"""
)
_WORDS = st.sampled_from(_VOCABULARY.split())
_LINES = st.lists(_WORDS, min_size=1, max_size=6).map(" ".join)
_PARAGRAPHS = st.lists(_LINES, min_size=1, max_size=3).map("\n".join)
_HEADINGS = st.tuples(st.sampled_from(["#", "##", "###"]), _LINES).map(" ".join)
_BREAKS = st.sampled_from(["***", "* * *", "---"])


def _within(first: str, rest: str, text: str) -> str:
    return first + text.replace("\n", f"\n{rest}")


_QUOTES = _PARAGRAPHS.map(lambda text: _within("> ", "> ", text))
_ITEMS = st.lists(
    st.tuples(st.sampled_from([("- ", "  "), ("7. ", "   ")]), _PARAGRAPHS).map(
        lambda item: _within(*item[0], item[1])
    ),
    min_size=1,
    max_size=3,
).map("\n".join)
_CODE = st.lists(_LINES, min_size=1, max_size=3).map(
    lambda lines: "\n".join(["````", *lines, "````"])
)

FLAT_STORIES = st.lists(
    _PARAGRAPHS | _HEADINGS | _BREAKS | _QUOTES | _ITEMS | _CODE, min_size=1, max_size=6
).map("\n\n".join)
"""Stories without quotes or lists in each other, which is what a Word file can hold."""

_NESTED = st.lists(FLAT_STORIES, min_size=1, max_size=2).map(
    lambda texts: "\n\n".join(_within("> ", "> ", f"- {_within('', '  ', t)}") for t in texts)
)
STORIES = FLAT_STORIES | _NESTED
MARKS = st.text(st.sampled_from(list('ab *_`\\\n->#1.)[]<&!~"é\t\r\0\ud800')), max_size=40)
