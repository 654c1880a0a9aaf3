"""A story as pages: one HTML file, or an EPUB 3 book with a chapter for each heading.

Knows HTML and the EPUB container; not where a file goes.

Source of the container's shape: EPUB 3.3, W3C Recommendation, sections 4 to 7.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape as escape_all

from polaris_cli.formats.files import zipped
from polaris_cli.formats.structure import Block, body, plain, printable, spans, title
from polaris_cli.story.result import Story

_STYLE = """\
body { font-family: Georgia, "Times New Roman", serif; line-height: 1.6; }
h1, h2, h3, h4 { line-height: 1.25; font-weight: normal; text-align: center; }
p { margin: 0; text-indent: 1.5em; overflow-wrap: break-word; }
h1 + p, h2 + p, h3 + p, h4 + p, hr + p, p.about { text-indent: 0; }
hr { border: 0; margin: 1.5em 0; text-align: center; }
hr::after { content: "* * *"; }
"""

_PAGE_STYLE = """\
:root { color-scheme: light dark; }
body { max-width: 36em; margin: 0 auto; padding: 2em 1em; font-size: 1.125rem; }
h1 { margin: 1em 0 1.5em; }
h2, h3, h4 { margin: 2em 0 1em; }
footer { margin-top: 4em; font-size: 0.8em; opacity: 0.7; }
"""

_CONTAINER = """\
<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""


def html(story: Story) -> str:
    """One self-contained page that reads well in light and dark, on paper and on a phone."""
    name = escape(title(story))
    lines = [
        "<!doctype html>",
        "<html>",
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}</title>",
        f"<style>\n{_STYLE}{_PAGE_STYLE}</style>",
        "</head>",
        "<body>",
        "<article>",
        f"<h1>{name}</h1>",
        *map(_element, body(story)),
        "</article>",
        "<footer>",
        *_about(story),
        "</footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def epub(story: Story) -> bytes:
    """An EPUB 3 book: a title page, the chapters, and a table of contents."""
    chapters = list(_chapters(story))
    names = [f"chapter-{number}.xhtml" for number in range(1, len(chapters) + 1)]
    members = [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", _CONTAINER),
        ("EPUB/package.opf", _package(story, names)),
        ("EPUB/nav.xhtml", _contents(story, names, [name for name, _ in chapters])),
        ("EPUB/style.css", _STYLE),
        ("EPUB/title.xhtml", _title_page(story)),
    ]
    for name, (heading, chapter) in zip(names, chapters, strict=True):
        members.append((f"EPUB/{name}", _xhtml(heading, map(_element, chapter))))
    return zipped(members)


def escape(text: str) -> str:
    """A text as it may stand in XML and HTML, between tags and in quotes."""
    return escape_all(printable(text))


def moment(story: Story) -> str:
    """When the story was begun, in UTC: 2026-01-31T12:00:00Z."""
    return datetime.fromisoformat(story.created).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _element(block: Block) -> str:
    if block.kind == "break":
        return "<hr/>"
    tag = f"h{block.level + 1}" if block.kind == "heading" else "p"
    return f"<{tag}>{''.join(_inline(block.text))}</{tag}>"


def _inline(text: str) -> Iterator[str]:
    for span in spans(text):
        piece = escape(span.text).replace("\n", "<br/>\n")
        if span.italic:
            piece = f"<em>{piece}</em>"
        yield f"<strong>{piece}</strong>" if span.bold else piece


def _about(story: Story) -> Iterator[str]:
    yield f'<p class="about">Premise: {escape(story.premise)}</p>'
    length = f"{story.written:,} words of {story.requested:,} asked, {moment(story)[:10]}"
    yield f'<p class="about">Written by {escape(story.model.name)}: {length}</p>'


def _chapters(story: Story) -> Iterator[tuple[str, list[Block]]]:
    """Name and blocks of each chapter; what stands before the first heading bears the title."""
    name, chapter = title(story), list[Block]()
    for block in body(story):
        if block.kind == "heading" and block.level == 1:
            if chapter:
                yield name, chapter
            name, chapter = _heading(block), []
        chapter.append(block)
    yield name, chapter


def _heading(block: Block) -> str:
    return re.sub(r"\s+", " ", plain(block.text)).strip() or "Chapter"


def _package(story: Story, names: list[str]) -> str:
    pages = ["title.xhtml", *names]
    kind = 'media-type="application/xhtml+xml"'
    items = "\n".join(f'<item id="page-{n}" href="{page}" {kind}/>' for n, page in enumerate(pages))
    order = "\n".join(f'<itemref idref="page-{n}"/>' for n in range(len(pages)))
    return f"""\
<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">polaris-{escape(story.id)}</dc:identifier>
<dc:title>{escape(title(story))}</dc:title>
<dc:language>und</dc:language>
<dc:creator>{escape(story.model.name)}</dc:creator>
<dc:description>{escape(story.premise)}</dc:description>
<dc:date>{moment(story)}</dc:date>
<meta property="dcterms:modified">{moment(story)}</meta>
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


def _contents(story: Story, names: list[str], headings: list[str]) -> str:
    pairs = zip(names, headings, strict=True)
    items = [f'<li><a href="{name}">{escape(heading)}</a></li>' for name, heading in pairs]
    nav = ['<nav epub:type="toc">', "<h1>Contents</h1>", "<ol>", *items, "</ol>", "</nav>"]
    return _xhtml(title(story), nav)


def _title_page(story: Story) -> str:
    return _xhtml(title(story), [f"<h1>{escape(title(story))}</h1>", *_about(story)])


def _xhtml(name: str, lines: Iterable[str]) -> str:
    content = "\n".join(lines)
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
