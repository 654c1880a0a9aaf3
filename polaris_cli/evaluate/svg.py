"""A figure of matplotlib as SVG to put into an HTML page, in the style of all plots: `axes_for`,
`svg_of`.

Colours are the page's CSS variables, so that a plot follows light and dark mode. Knows nothing of
what is plotted.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from polaris_cli.errors import UsageError
from polaris_cli.formats.html import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, LINE = "#101010", "#808080"
SERIES = ("#0072b2", "#c24a00", "#00785a", "#a3417d", "#7d6400")
"""Colours that readers with any kind of colour vision can tell apart, 4 to 1 against white."""
MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}
"""Shapes of points, and the characters for a legend. Their number and that of the colours have no
common factor: 30 pairs."""
SIZE = (4.8, 3.5)  # inches of 72 points: on a phone, a point is about one pixel

_VARIABLES = {
    INK: "currentColor",
    LINE: f"var(--line, {LINE})",
    **{colour: f"var(--series-{number}, {colour})" for number, colour in enumerate(SERIES, 1)},
}
_STYLE: dict[Any, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "polaris",
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": LINE,
    "grid.alpha": 0.25,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "lines.markersize": 5.0,
    "lines.markeredgewidth": 0.0,
}
_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_ROOT = re.compile(r".*?<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
_UNUSED = re.compile(
    r"<!--.*?-->\s*|<(metadata|style)\b.*?</\1>\s*|(?<=<g) id=\"[^\"]*\"", re.DOTALL
)


def check_installed() -> None:
    """Raise UsageError if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "The report needs matplotlib, which is not installed.",
            hint="pip install 'polaris-story[report]'",
        ) from error


@contextmanager
def style() -> Iterator[None]:
    """Inside the block, figures are made and drawn in the style of the plots, not the user's."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def colour(number: int) -> str:
    """The colour of a series by its number."""
    return SERIES[number % len(SERIES)]


def marker(number: int) -> str:
    """The shape of the points of a series, as matplotlib names it."""
    return [*MARKERS][number % len(MARKERS)]


def mark(number: int) -> str:
    """A point of a series as an element for a legend."""
    style = f"color: {_VARIABLES[colour(number)]}"
    return f'<span class="mark" aria-hidden="true" style="{style}">{MARKERS[marker(number)]}</span>'


def axes_for(title: str, x: str, y: str) -> "Axes":
    """Empty axes with a title and labels, in a figure of their own."""
    from matplotlib.figure import Figure

    axes = Figure(SIZE, layout="constrained").add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    return axes


def svg_of(axes: "Axes", name: str, title: str, description: str) -> str:
    """The figure of these axes as an `svg` element; the ids in it start with `name`.

    The same bytes for the same figure.
    """
    out = io.StringIO()
    figure = axes.get_figure(root=True)
    assert figure
    figure.savefig(out, format="svg", transparent=True, metadata=_METADATA)
    root = (
        rf'<svg viewBox="\1" role="img" aria-label="{_plain(description)}" '
        rf'style="stroke-linejoin: round"><title>{_plain(title)}</title>'
    )
    drawn = _ROOT.sub(root, _UNUSED.sub("", out.getvalue()), count=1)
    return _themed(_named(drawn, name))


def _plain(text: str) -> str:
    """A text in the replacement of a regular expression."""
    return escape(text).replace("\\", r"\\")


def _named(svg: str, name: str) -> str:
    """The element with ids of its own, and without the name spaces that HTML implies."""
    svg = re.sub(r' id="', f' id="{name}-', svg)
    svg = re.sub(r'xlink:href="#', f'href="#{name}-', svg)
    return svg.replace("url(#", f"url(#{name}-")


def _themed(svg: str) -> str:
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
