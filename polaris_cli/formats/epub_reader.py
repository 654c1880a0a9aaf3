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


def read_epub(path: Path) -> tuple[list[Block], str]:
    """The blocks of a book, and its premise if polaris wrote it.

    Raises the errors of zipfile, lxml and html.parser for a file that is not a book, ValueError
    for one that is too large.
    """
    with zipfile.ZipFile(path) as archive:
        container = _xml(unpacked(archive, [_CONTAINER])[0])
        name = container.find(".//{*}rootfile").get("full-path")
        package = _xml(unpacked(archive, [name])[0])
        pages = unpacked(archive, _pages(package, posixpath.dirname(name)))
    blocks = [block for page in pages for block in HTMLReader(page.decode("utf-8-sig")).blocks]
    metadata = "{*}metadata/{*}"
    is_ours = package.findtext(f"{metadata}identifier", "").startswith("polaris-")
    return blocks, package.findtext(f"{metadata}description", "") if is_ours else ""


def _pages(package: Any, folder: str) -> list[str]:
    """The names of the pages, in reading order."""
    items = {item.get("id"): item for item in package.iterfind("{*}manifest/{*}item")}
    order = [items[ref.get("idref")] for ref in package.iterfind("{*}spine/{*}itemref")]
    pages = [item.get("href") for item in order if "html" in item.get("media-type", "")]
    return [posixpath.normpath(posixpath.join(folder, unquote(page))) for page in pages]


def _xml(content: bytes) -> Any:
    from lxml import etree

    return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
