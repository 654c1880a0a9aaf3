"""Writes a story as one HTML page; EPUB pages use parts of it.

Knows HTML, not where the file goes. In a page, `header` and `footer` contain information about the
story and everything else is its text: `html_reader` relies on this, and on `meta` with the
generator.
"""

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape as escape_all
from typing import TYPE_CHECKING

from polaris_cli.formats.cover import cover_of
from polaris_cli.formats.structure import Structure, parser, printable, structure
from polaris_cli.languages import is_known, is_right_to_left
from polaris_cli.story.result import Story

if TYPE_CHECKING:
    from markdown_it.token import Token

STYLE = """\
body { font-family: Georgia, "Times New Roman", serif; line-height: 1.6; }
h1, h2, h3, h4 { line-height: 1.25; font-weight: normal; text-align: center; }
p { margin: 0; text-indent: 1.5em; overflow-wrap: break-word; }
img { display: block; max-width: 100%; max-height: 95vh; margin: 0 auto; }
.author { margin-bottom: 2em; text-align: center; text-indent: 0; }
h1 + p, h2 + p, h3 + p, h4 + p, hr + p, li p, footer p { text-indent: 0; }
hr { border: 0; margin: 1.5em 0; text-align: center; }
hr::after { content: "* * *"; }
blockquote, pre, ul, ol { margin: 1em 0; padding-inline-start: 2em; }
blockquote > p:first-child { text-indent: 0; }
pre { white-space: pre-wrap; overflow-wrap: break-word; }
"""

_PAGE_STYLE = """\
:root { color-scheme: light dark; }
body { max-width: 36em; margin: 0 auto; padding: 2em 1em; font-size: 1.125rem; }
h1 { margin: 1em 0 1.5em; }
h2, h3, h4 { margin: 2em 0 1em; }
a { color: inherit; }
footer { margin-top: 4em; font-size: 0.8em; opacity: 0.7; }
"""


def html(story: Story) -> str:
    """One self-contained page, for light and dark mode, paper and phones."""
    found = structure(story)
    lines = [
        "<!doctype html>",
        f"<html{root_attributes(story)}>",
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="generator" content="polaris">',
        f'<meta name="description" content="{escape(story.premise)}">',
        *_author(story),
        f"<title>{escape(found.title)}</title>",
        f"<style>\n{STYLE}{_PAGE_STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        *_cover(story, found),
        *heading(story, found),
        f"{elements(found.body)}</main>",
        "<footer>",
        *story_info(story),
        _figures(story),
        "</footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def root_attributes(story: Story, *, xml: bool = False) -> str:
    """The attributes of the root element for language and direction, each behind a space."""
    tag = story.language
    names = ["lang", *(["xml:lang"] if xml else [])] if is_known(tag) else []
    direction = [' dir="rtl"'] if is_right_to_left(tag) else []
    return "".join([*(f' {name}="{escape(tag)}"' for name in names), *direction])


def heading(story: Story, found: Structure) -> Iterator[str]:
    """The title as an `h1`, in a `header` if it is not in the text, and the author."""
    title = f"<h1>{escape(found.title)}</h1>"
    yield title if found.in_text else f"<header>{title}</header>"
    if author := story.request.book.author:
        yield f'<header><p class="author">{escape(author)}</p></header>'


def picture(found: Structure, source: str) -> str:
    """The element for a cover, which is no part of the text."""
    return f'<header><img src="{source}" alt="{escape(found.title)}"/></header>'


def _cover(story: Story, found: Structure) -> Iterator[str]:
    if cover := cover_of(story):
        data = b64encode(cover.data).decode()
        yield picture(found, f"data:{cover.media_type};base64,{data}")


def _author(story: Story) -> Iterator[str]:
    if author := story.request.book.author:
        yield f'<meta name="author" content="{escape(author)}">'


def elements(tokens: "list[Token]") -> str:
    """Blocks as HTML that is also well-formed XML, each ending with a line break."""
    markdown = parser()
    return printable(str(markdown.renderer.render(tokens, markdown.options, {})))


def story_info(story: Story) -> Iterator[str]:
    """Premise, model, length and date, one paragraph per line."""
    yield f"<p>Premise: {escape(story.premise)}</p>"
    length = f"{story.counted:,} words of {story.requested:,} asked, {created_utc(story)[:10]}"
    yield f"<p>Written by {escape(story.model.name)}: {length}</p>"


def _figures(story: Story) -> str:
    """The figures on the text, folded away."""
    quality = story.quality
    facts = [f"words written / words asked {story.ratio:.2f}", f"finish: {story.finish}"]
    if quality.surprise_mean is not None:
        facts.append(f"surprise {quality.surprise_mean:.2f} nats")
    if quality.surprise_worst is not None:
        facts.append(f"at most {quality.surprise_worst:.2f} over 64 tokens")
    facts.append(f"self-repetition {quality.self_repetition:.4f}")
    if quality.meta_talk is not None:
        facts.append(f"sentences about the text: {quality.meta_talk}")
    return f"<details><summary>Figures</summary><p>{'; '.join(facts)}</p></details>"


def escape(text: str) -> str:
    """Escape a text for XML and HTML, also inside attributes."""
    return escape_all(printable(text))


def created_utc(story: Story) -> str:
    """When the story was started, in UTC: 2026-01-31T12:00:00Z."""
    return datetime.fromisoformat(story.created).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
