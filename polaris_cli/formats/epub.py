"""Writes a story as an EPUB 3 book, with a chapter for each heading.

Knows the EPUB container, not where the file goes. Uses no library: EbookLib, the only maintained
one, is under AGPL-3.0, and the container is small. The slow tests run epubcheck on the books.

Specification: EPUB 3.3, W3C Recommendation, sections 4 to 7.
"""

from polaris_cli.formats.files import zipped
from polaris_cli.formats.html import STYLE, created_utc, elements, escape, heading, story_info
from polaris_cli.formats.structure import Structure, chapters, structure
from polaris_cli.story.result import Story

_CONTAINER = """\
<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""


def epub(story: Story) -> bytes:
    """The book as bytes: a title page, the chapters and a table of contents."""
    found = structure(story)
    named = list(chapters(found))
    names = [f"chapter-{number}.xhtml" for number in range(1, len(named) + 1)]
    members = [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", _CONTAINER),
        ("EPUB/package.opf", _package(story, found.title, names)),
        ("EPUB/nav.xhtml", _contents(found.title, names, [name for name, _ in named])),
        ("EPUB/style.css", STYLE),
        ("EPUB/title.xhtml", _title_page(story, found)),
    ]
    for name, (chapter, tokens) in zip(names, named, strict=True):
        members.append((f"EPUB/{name}", _xhtml(chapter, elements(tokens))))
    return zipped(members)


def _package(story: Story, title: str, names: list[str]) -> str:
    pages = ["title.xhtml", *names]
    kind = 'media-type="application/xhtml+xml"'
    items = "\n".join(f'<item id="page-{n}" href="{page}" {kind}/>' for n, page in enumerate(pages))
    order = "\n".join(f'<itemref idref="page-{n}"/>' for n in range(len(pages)))
    premise = escape(story.premise)  # epubcheck rejects an empty element
    description = f"<dc:description>{premise}</dc:description>\n" if premise.strip() else ""
    return f"""\
<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">polaris-{escape(story.id)}</dc:identifier>
<dc:title>{escape(title)}</dc:title>
<dc:language>und</dc:language>
<dc:creator>{escape(story.model.name)}</dc:creator>
{description}<dc:date>{created_utc(story)}</dc:date>
<meta property="dcterms:modified">{created_utc(story)}</meta>
</metadata>
<manifest>
<item id="nav" href="nav.xhtml" {kind} properties="nav"/>
<item id="style" href="style.css" media-type="text/css"/>
{items}
</manifest>
<spine>
{order}
</spine>
</package>
"""


def _contents(title: str, names: list[str], headings: list[str]) -> str:
    pairs = zip(names, headings, strict=True)
    items = [f'<li><a href="{name}">{escape(heading)}</a></li>' for name, heading in pairs]
    nav = ['<nav epub:type="toc">', "<h1>Contents</h1>", "<ol>", *items, "</ol>", "</nav>"]
    return _xhtml(title, "\n".join(nav))


def _title_page(story: Story, found: Structure) -> str:
    lines = [heading(found), "<footer>", *story_info(story), "</footer>"]
    return _xhtml(found.title, "\n".join(lines))


def _xhtml(name: str, content: str) -> str:
    return f"""\
<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">
<head>
<title>{escape(name)}</title>
<link rel="stylesheet" type="text/css" href="style.css"/>
</head>
<body>
{content}
</body>
</html>
"""
