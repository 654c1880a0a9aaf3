"""Reads the chapters of an EPUB book as blocks, in spine order.

Knows the EPUB container; `html_reader` reads its pages.
"""

import posixpath
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from polaris_cli.formats.files import unpacked
from polaris_cli.formats.html_reader import HTMLReader
from polaris_cli.formats.markdown import Block

_CONTAINER = "META-INF/container.xml"
_ELEMENTS = {
    "premise": "description", "title": "title", "author": "creator", "language": "language",
}  # fmt: skip


def read_epub(path: Path) -> tuple[list[Block], dict[str, str]]:
    """The blocks of a book, and what it says of its story if polaris wrote it.

    Raises the errors of zipfile, lxml and html.parser for a file that is not a book, ValueError
    for one that is too large.
    """
    with zipfile.ZipFile(path) as archive:
        container = _xml(unpacked(archive, [_CONTAINER])[0])
        name = container.find(".//{*}rootfile").get("full-path")
        package = _xml(unpacked(archive, [name])[0])
        pages = unpacked(archive, _pages(package, posixpath.dirname(name)))
    said = _said(package)
    texts = (page.decode("utf-8-sig") for page in pages)
    blocks = [
        block for text in texts for block in HTMLReader(text, ours=bool(said), in_book=True).blocks
    ]
    return blocks, said


def _said(package: Any) -> dict[str, str]:
    """Premise, title, author and language of a book by polaris.

    The model is its contributor, or its creator if there is no author.
    """
    metadata = "{*}metadata/{*}"
    if not package.findtext(f"{metadata}identifier", "").startswith("polaris-"):
        return {}
    said = {name: package.findtext(f"{metadata}{tag}", "") for name, tag in _ELEMENTS.items()}
    return said if package.find(f"{metadata}contributor") is not None else {**said, "author": ""}


def _pages(package: Any, folder: str) -> list[str]:
    """The names of the pages, in reading order."""
    items = {item.get("id"): item for item in package.iterfind("{*}manifest/{*}item")}
    order = [items[ref.get("idref")] for ref in package.iterfind("{*}spine/{*}itemref")]
    pages = [item.get("href") for item in order if "html" in item.get("media-type", "")]
    return [posixpath.normpath(posixpath.join(folder, unquote(page))) for page in pages]


def _xml(content: bytes) -> Any:
    from lxml import etree

    return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
