"""Writes stories of several models side by side as one HTML page: `comparison`.

Knows HTML, not where it goes.
"""

from collections.abc import Iterator, Sequence

from polaris_cli.formats.html import STYLE, elements, escape, root_attributes
from polaris_cli.formats.structure import structure
from polaris_cli.languages import is_right_to_left
from polaris_cli.story.result import Story

_PAGE_STYLE = """\
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 1.5em; max-width: 110em; }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(22em, 1fr)); gap: 2.5em; }
article { min-width: 0; }
@media (max-width: 26em) { main { display: block; } }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0.1em 1em; font-size: 0.85em; }
dt { opacity: 0.7; }
dd { margin: 0; }
"""


def comparison(stories: Sequence[Story]) -> str:
    """One self-contained page with a column for each story; at least one story."""
    first = stories[0]
    lines = [
        "<!doctype html>",
        f"<html{root_attributes(first)}>",
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(first.premise)}</title>",
        f"<style>\n{STYLE}{_PAGE_STYLE}</style>",
        "</head>",
        "<body>",
        f'<header><h1 dir="auto">{escape(first.premise)}</h1></header>',
        "<main>",
        *(line for story in stories for line in _column(story)),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _column(story: Story) -> Iterator[str]:
    """A story with its figures, in its own direction, which may not be that of the page.

    Its own title is a heading below the model's name.
    """
    found = structure(story)
    direction = "" if is_right_to_left(story.language) else ' dir="ltr"'
    yield f"<article{root_attributes(story)}{direction}>"
    yield f"<h2>{escape(story.model.name)}</h2>\n<dl>"
    for name, value in _figures(story):
        yield f"<dt>{name}</dt><dd>{escape(value)}</dd>"
    yield "</dl>"
    if found.in_text:
        yield f"<h3>{escape(found.title)}</h3>"
    yield f"{elements(found.body)}</article>"


def _figures(story: Story) -> Iterator[tuple[str, str]]:
    quality, sampling = story.quality, story.request.sampling
    yield "words", f"{story.counted:,} of {story.requested:,} ({story.ratio:.2f})"
    yield "finish", story.finish
    if quality.surprise_mean is not None:
        yield "surprise", f"{quality.surprise_mean:.2f} nats"
    yield "repetition", f"{quality.self_repetition:.4f}"
    yield "temperature, seed", f"{sampling.temperature:g}, {sampling.seed}"
    yield "id", story.id
