"""The plots of an evaluation as SVG: `plots`.

Each model has a colour and a shape, the same in all plots. Knows figures, not the page that shows
the plots.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from polaris_cli.evaluate.card import CARD, JUDGED, CardRow
from polaris_cli.evaluate.judgements import JudgedTable
from polaris_cli.evaluate.statistics import Estimate
from polaris_cli.evaluate.svg import INK, LINE, axes_for, colour, marker, style, svg_of
from polaris_cli.evaluate.tables import Evaluation, Row, Tables
from polaris_cli.formats.structure import printable
from polaris_cli.request.adherence import stage_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGE_ENDS = (1000, 4000, 8000, 12000)  # words asked for
NAME_LENGTH = 18  # characters of a model's name in a plot
MEANS = "A point is the mean of the stories, a bar its 95% interval."
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples spread evenly between whole numbers


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot and how to read it. `series` are the models of its legend by their number in
    `Evaluation.models`, each with what is said of it there."""

    name: str
    title: str
    caption: str
    svg: str
    series: dict[int, str]


@dataclass(frozen=True, slots=True)
class _Data:
    found: Evaluation
    tables: Tables
    band: tuple[float, float]

    @property
    def buckets(self) -> list[str]:
        return self.found.groups.buckets

    def is_on_card(self, model: str) -> bool:
        """Whether the card has figures of a model; they are for whole lengths."""
        return model in CARD and self.found.groups.scale == 1

    def points(self, model: str, x: str, y: str) -> list[tuple[float, float]]:
        """Two figures of each text of a model that has both; "asked" is one too."""
        texts = (one for one in self.found.scored if one.model == model)
        pairs = (
            (one.asked if x == "asked" else getattr(one.figures, x), getattr(one.figures, y))
            for one in texts
        )
        return [pair for pair in pairs if None not in pair]

    def rows(self, model: str, name: str) -> list[tuple[int, Row]]:
        """The rows of a model's buckets that have a figure, each with the bucket's place."""
        rows = (row for row in self.tables.buckets if row.model == model and row.values[name])
        return [(self.found.groups.place(row.group), row) for row in rows]


def plots(found: Evaluation, tables: Tables, band: tuple[float, float]) -> Iterator[Plot]:
    """The plots that have something to show."""
    data = _Data(found, tables, band)
    with style(), warnings.catch_warnings():
        # A font without the characters of a model's name: the browser has others.
        warnings.filterwarnings("ignore", message="Glyph")
        yield _asked_and_written(data)
        yield _ratios(data)
        if tables.buckets:
            yield _by_bucket(data, "ratio", "Ratio", "words written / words asked")
            yield _by_bucket(data, "length_score", "Length score", "score, 0 to 1")
        if any(slopes["ratio"] is not None for slopes in tables.slopes.values()):
            yield _slopes(data)
        if any(one.figures.surprise is not None for one in found.scored):
            yield _length_and_surprise(data)
        for place, table in enumerate(tables.judged):
            if any(row.totals for row in table.buckets):
                yield _judged(data, table, place)


def _asked_and_written(data: _Data) -> Plot:
    title = "Words asked for and written"
    axes = axes_for(title, "words asked for", "words written")
    on_card = [model for model in data.found.models if data.is_on_card(model)]
    most = max(one.asked for one in data.found.scored) * 1.05
    low, high = data.band
    axes.fill_between([0, most], [0, low * most], [0, high * most], color=LINE, alpha=0.2, lw=0)
    axes.plot([0, most], [0, most], color=LINE, lw=1)
    for number, model in enumerate(data.found.models):
        _scatter(axes, number, data.points(model, "asked", "words"))
        if model in on_card:
            _add_card(axes, number, CARD[model])
    axes.set(xlim=(0, most), ylim=(0, None))
    _group_digits(axes)
    caption = (
        f"A point is a story. On the line, it has the length asked for; the grey area is the band "
        f"from {low:g} to {high:g} times that."
    )
    if on_card:
        caption += " Dashed: the model card's ratio of each stage, its authors' figures."
    return _plot("asked", title, caption, axes, dict(enumerate(data.found.models)))


def _add_card(axes: "Axes", number: int, card: CardRow) -> None:
    """Draw the card's ratio of each stage as a dashed line."""
    for ratio, ends in zip(card.ratio[:-1], pairwise(STAGE_ENDS), strict=True):
        if ratio is not None:
            written = [ratio * end for end in ends]
            axes.plot(ends, written, color=colour(number), lw=2, ls=(0, (3, 1)))


def _ratios(data: _Data) -> Plot:
    title = "Ratio of each story"
    axes = axes_for(title, "words written / words asked", "")
    _draw_band(axes.axvspan, axes.axvline, data.band)
    models = data.found.models
    for number, model in enumerate(models):
        ratios = sorted(ratio for ratio, _ in data.points(model, "ratio", "words"))
        heights = [number + 0.6 * (GOLDEN * place % 1 - 0.5) for place in range(len(ratios))]
        _scatter(axes, number, list(zip(ratios, heights, strict=True)))
        axes.boxplot([ratios], positions=[number], **_BOX)
    axes.set_yticks(range(len(models)), [_short(model) for model in models])
    axes.set(ylim=(len(models) - 0.4, -0.6), xlim=(0, None))
    axes.grid(False, axis="y")
    caption = (
        "A point is a story; points of a model are apart so that all can be seen. The box has the "
        "middle half of the stories, the line in it is the median, and its whiskers end at most "
        "1.5 boxes from it. The grey area is the band."
    )
    return _plot("ratios", title, caption, axes, {})


_LINES = {"color": INK, "linewidth": 1.2}
_BOX: dict[str, Any] = {
    "orientation": "horizontal",
    "widths": 0.7,
    "showfliers": False,
    "manage_ticks": False,
    "boxprops": _LINES,
    "whiskerprops": _LINES,
    "capprops": _LINES,
    "medianprops": {**_LINES, "linewidth": 2.4},
}


def _by_bucket(data: _Data, name: str, title: str, unit: str) -> Plot:
    title = f"{title} by words asked for"
    axes = _bucket_axes(data, title, unit)
    if name == "ratio":
        _draw_band(axes.axhspan, axes.axhline, data.band)
    models = data.found.models
    for number, model in enumerate(models):
        points = [(place, row.values[name]) for place, row in data.rows(model, name)]
        _draw_means(axes, number, len(models), points)
    axes.set_ylim(0, 1.05 if name == "length_score" else None)
    return _plot(f"bucket-{name}", title, MEANS, axes, dict(enumerate(models)))


def _draw_means(
    axes: "Axes", number: int, models: int, points: Sequence[tuple[int, Estimate | None]]
) -> None:
    """Draw the means of a model, one of several, with their intervals."""
    beside = 0.5 * ((number + 0.5) / models - 0.5)  # so that no interval hides another
    for place, estimate in points:
        if estimate:
            x = place + beside
            axes.plot([x], [estimate.mean], **_points(number))
            if estimate.low is not None and estimate.high is not None:
                axes.plot([x, x], [estimate.low, estimate.high], color=colour(number), lw=1.5)


def _slopes(data: _Data) -> Plot:
    title = "Slope of the ratio"
    axes = _bucket_axes(data, title, "words written / words asked")
    _draw_band(axes.axhspan, axes.axhline, data.band)
    series = {}
    for number, model in enumerate(data.found.models):
        slope = data.tables.slopes[model]["ratio"]
        if slope is not None:
            _draw_slope(axes, number, data.rows(model, "ratio"), slope)
            series[number] = f"{model}: {slope:+.3f} per bucket"
    axes.set_ylim(0, None)
    caption = "The least-squares line through the means of a model's buckets, which are the points."
    return _plot("slopes", title, caption, axes, series)


def _draw_slope(axes: "Axes", number: int, rows: Sequence[tuple[int, Row]], slope: float) -> None:
    """The means of a model's buckets and the line through them."""
    means = [estimate.mean for _, row in rows if (estimate := row.values["ratio"])]
    places = [place for place, _ in rows]
    middle, mean = math.fsum(places) / len(places), math.fsum(means) / len(means)
    line = [mean + slope * (place - middle) for place in places]
    axes.plot(places, means, **_points(number))
    axes.plot(places, line, color=colour(number), lw=2)


def _length_and_surprise(data: _Data) -> Plot:
    title = "Length and surprise"
    axes = axes_for(title, "words written", "surprise, nats per token")
    points = {
        number: data.points(model, "words", "surprise")
        for number, model in enumerate(data.found.models)
    }
    for number, found in points.items():
        _scatter(axes, number, found)
    axes.set_xlim(0, None)
    _group_digits(axes, y=False)
    caption = "A point is a story. Surprise is the mean -log p of its tokens under the model."
    series = {number: data.found.models[number] for number, found in points.items() if found}
    return _plot("surprise", title, caption, axes, series)


def _judged(data: _Data, table: JudgedTable, place: int) -> Plot:
    judge = table.judge
    total = JUDGED.get(judge.rubric, table.totals[0])
    title = f"{judge.rubric}, judged by {_short(judge.name)}"
    axes = _bucket_axes(data, title, total)
    series, caption = {}, MEANS
    for number, model in enumerate(data.found.models):
        rows = (row for row in table.buckets if row.model == model)
        points = [(data.found.groups.place(row.group), row.totals.get(total)) for row in rows]
        _draw_means(axes, number, len(data.found.models), points)
        if points:
            series[number] = model
        card = CARD[model].judged(judge.rubric) if data.is_on_card(model) else None
        if points and card:
            _add_judged_card(data, axes, number, card)
            caption = f"{MEANS} Dashed: the model card's figures of each stage, by its own judge."
    return _plot(f"judged-{place}", title, caption, axes, series)


def _add_judged_card(data: _Data, axes: "Axes", number: int, card: dict[str, float]) -> None:
    """Draw the card's figure of each stage as a dashed line over the stage's buckets."""
    for place, most in enumerate(data.tables.edges[1:]):
        height = card[stage_of(most)]
        ends = (place - 0.5, place + 0.5)
        axes.plot(ends, (height, height), color=colour(number), lw=2, ls=(0, (3, 1)))


def _plot(name: str, title: str, caption: str, axes: "Axes", series: dict[int, str]) -> Plot:
    return Plot(name, title, caption, svg_of(axes, name, title, f"{title}. {caption}"), series)


def _bucket_axes(data: _Data, title: str, unit: str) -> "Axes":
    axes = axes_for(title, "words asked for", unit)
    axes.set_xticks(range(len(data.buckets)), data.buckets)
    axes.set_xlim(-0.5, len(data.buckets) - 0.5)
    axes.grid(False, axis="x")
    if max(map(len, data.buckets)) > 7:
        axes.tick_params(axis="x", labelsize=8)
    return axes


def _draw_band(span: Any, line: Any, band: tuple[float, float]) -> None:
    span(*band, color=LINE, alpha=0.2, lw=0)
    line(1, color=LINE, lw=1)


def _scatter(axes: "Axes", number: int, points: Sequence[tuple[float, float]]) -> None:
    if points:
        axes.plot(*zip(*points, strict=True), **_points(number), alpha=0.7)


def _points(number: int) -> dict[str, Any]:
    return {"color": colour(number), "marker": marker(number), "ls": "none", "clip_on": False}


def _short(model: str) -> str:
    name = printable(model) or "-"
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def _group_digits(axes: "Axes", *, y: bool = True) -> None:
    axes.xaxis.set_major_formatter("{x:,.0f}")
    if y:
        axes.yaxis.set_major_formatter("{x:,.0f}")
