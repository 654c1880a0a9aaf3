"""An evaluation as one self-contained HTML page, piece by piece: `report`.

The page is `report.html`; stories are readable in it if there are not too many. Knows neither the
sources of the stories nor where the page goes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from string import Template

from polaris_cli.evaluate.judgements import Judged
from polaris_cli.evaluate.layout import (
    NAMES,
    NONE,
    TextTable,
    judged_titles,
    layout,
    number,
)
from polaris_cli.evaluate.plots import Plot, plots
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.svg import mark
from polaris_cli.evaluate.tables import Evaluation, Scored, Tables
from polaris_cli.formats.html import elements, escape
from polaris_cli.formats.structure import parse, set_levels
from polaris_cli.languages import is_known, is_right_to_left, language_of
from polaris_cli.version import __version__

MOST_TEXTS = 500
PROMPT_LENGTH = 100  # characters of a prompt where it names a story
FLAGS = {"in_band", "blank", "ended"}  # of a story; their means are shares
PAGE = Path(__file__).with_name("report.html")
_STORIES = "$stories\n"


@dataclass
class Texts:
    """Keeps the samples to read in a report: all, or none if there are more than `MOST_TEXTS`."""

    kept: list[Sample] = field(default_factory=list)
    count: int = 0

    def add(self, sample: Sample) -> None:
        """Keep a sample, in the order in which their figures are added to the evaluation."""
        self.count += 1
        if self.count <= MOST_TEXTS:
            self.kept.append(sample)
        else:
            self.kept.clear()


@dataclass(frozen=True, slots=True)
class About:
    """What a report says of itself: the date of the scoring (2026-01-31), the band, where the
    stories are from, how many rows could not be used, and how many stories of a batch failed."""

    date: str
    band: tuple[float, float]
    sources: Sequence[str]
    skipped: int = 0
    failed: int = 0


def report(found: Evaluation, tables: Tables, texts: Texts, about: About) -> Iterator[str]:
    """The page, in pieces. The same for the same arguments; `tables` are those of `found`."""
    before, _, after = PAGE.read_text("utf-8").partition(_STORIES)
    values = {
        "version": escape(__version__),
        "date": escape(about.date),
        "title": f"Evaluation of {len(found.scored):,} {_stories(len(found.scored))}",
        "facts": "\n".join(_facts(found, tables, about)),
        "plots": "\n".join(map(_figure, plots(found, tables, about.band))),
        "tables": "\n".join([*map(_table, layout(tables)), *_made(tables)]),
    }
    yield Template(before).substitute(values)
    yield from _readable(found, texts.kept) if texts.kept else _listed(found)
    yield Template(after).substitute(values)


def _made(tables: Tables) -> Iterator[str]:
    """How the stories of each model were written."""
    for model, made in tables.made.items():
        if made:
            yield f"<h3>How {escape(model or NONE)} wrote them</h3>\n<dl>"
            yield from (_fact(name, " | ".join(values)) for name, values in made.items())
            yield "</dl>"


def _facts(found: Evaluation, tables: Tables, about: About) -> Iterator[str]:
    yield _fact("polaris", __version__)
    yield _fact("date", about.date)
    for model in found.models:
        count = sum(one.model == model for one in found.scored)
        yield _fact("stories", f"{count:,} by {model or NONE}")
    yield _fact("from", ", ".join(about.sources))
    yield _fact("band", "{:g} to {:g} times the words asked".format(*about.band))
    yield _fact("scale", _scale(found))
    yield from (_fact("judge", title) for title in judged_titles(tables.judged))
    if not tables.judged:
        yield _fact("judge", "none: all figures are computed from the texts")
    if about.skipped:
        rows = "row" if about.skipped == 1 else "rows"
        yield _fact("left out", f"{about.skipped:,} {rows} that could not be used")
    if about.failed:
        are = "is" if about.failed == 1 else "are"
        told = f"{about.failed:,} {_stories(about.failed)}, which {are} in no table"
        yield _fact("failed", told)
    if tables.outside:
        outside = f"{tables.outside:,} {_stories(tables.outside)}: their lengths are outside them"
        yield _fact("in no bucket", outside)


def _scale(found: Evaluation) -> str:
    scale = found.groups.scale
    if scale == 1:
        return "1: whole lengths"
    return (
        f"{scale:g}: lengths and buckets are shrunk by it; score, penalty and blank are meant "
        "for full-length stories"
    )


def _fact(name: str, value: str) -> str:
    return f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"


def _stories(count: int) -> str:
    return "story" if count == 1 else "stories"


def _figure(plot: Plot) -> str:
    legend = "".join(
        f"<li>{mark(place)} {escape(text or NONE)}</li>" for place, text in plot.series.items()
    )
    shown = f'<ul class="legend">{legend}</ul>\n' if legend else ""
    return f"<figure>\n{plot.svg}{shown}<figcaption>{escape(plot.caption)}</figcaption>\n</figure>"


def _table(table: TextTable) -> str:
    return "".join(_table_lines(table.title, table.headers, table.rows))


def _table_lines(
    title: str, headers: Iterable[str], rows: Iterable[Sequence[str]]
) -> Iterator[str]:
    """A table in a box of its own that scrolls, also with the keyboard."""
    label = escape(title)
    columns = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    yield f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">\n<table>\n'
    yield f"<caption>{label}</caption>\n<thead><tr>{columns}</tr></thead>\n<tbody>\n"
    for first, *others in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
        yield f'<tr><th scope="row">{escape(first or NONE)}</th>{cells}</tr>\n'
    yield "</tbody>\n</table>\n</div>\n"


def _readable(found: Evaluation, samples: Sequence[Sample]) -> Iterator[str]:
    """Each story with its text, below its model's name."""
    pairs = sorted(zip(found.scored, samples, strict=True), key=lambda pair: _prompt(pair[0]))
    by_text: dict[str, list[Judged]] = {}
    for judged in found.judged:
        by_text.setdefault(judged.text, []).append(judged)
    for model in found.models:
        yield f"<h3>{escape(model or NONE)}</h3>\n"
        for one, sample in pairs:
            if one.model == model:
                yield _story(one, sample, by_text.get(one.text, []))


def _listed(found: Evaluation) -> Iterator[str]:
    """The figures of each story."""
    yield (
        f"<p>The texts are not in this report, because there are more than {MOST_TEXTS}: "
        "these are their figures.</p>\n"
    )
    headers = ("model", "prompt", "asked", "finish", *NAMES.values())
    places = {model: place for place, model in enumerate(found.models)}
    ordered = sorted(found.scored, key=lambda one: (places[one.model], _prompt(one)))
    yield from _table_lines("Figures of each story", headers, map(_row, ordered))


def _prompt(one: Scored) -> tuple[str, int, int]:
    """What the stories of a model are sorted by."""
    prompt, asked, seed = one.pair
    return prompt, asked, -1 if seed is None else seed


def _row(one: Scored) -> tuple[str, ...]:
    prompt = _shortened(one.pair[0]) or NONE
    return (
        one.model,
        prompt,
        f"{one.asked:,}",
        one.finish or NONE,
        *map(partial(_figure_of, one), NAMES),
    )


def _story(one: Scored, sample: Sample, judged: Sequence[Judged]) -> str:
    prompt = _shortened(sample.prompt) or _shortened(sample.prompt_id) or "Story"
    length = f"{one.figures.words:,} of {one.asked:,} words, ratio {one.figures.ratio:.2f}"
    return (
        f'<details>\n<summary>{escape(prompt)} <span class="length">{length}</span></summary>\n'
        f'<p class="prompt">Prompt: {escape(sample.prompt or NONE)}</p>\n'
        f"<dl>{''.join((*_story_facts(one, sample), *map(_judged_fact, judged)))}</dl>\n"
        f"{_text(sample.text)}</details>\n"
    )


def _story_facts(one: Scored, sample: Sample) -> Iterator[str]:
    if sample.prompt_id:
        yield _fact("id", sample.prompt_id)
    if sample.seed is not None:
        yield _fact("seed", str(sample.seed))
    if one.finish:
        yield _fact("finish", one.finish)
    for name, label in NAMES.items():
        if (value := _figure_of(one, name)) != NONE:
            yield _fact(label, value)


def _judged_fact(one: Judged) -> str:
    totals = ", ".join(f"{name} {value:.2f}" for name, value in one.totals.items())
    return _fact(f"{one.judge.rubric} by {one.judge.name}", totals or "unreadable answer")


def _figure_of(one: Scored, name: str) -> str:
    value = getattr(one.figures, name)
    if name in FLAGS and value is not None:
        return "yes" if value else "no"
    return number(name, value)


def _text(text: str) -> str:
    """A text with its Markdown; its headings are below that of the model."""
    tokens, tag = parse(text), language_of(text)
    set_levels(tokens, 4)
    language = escape(tag) if is_known(tag) else ""
    direction = "rtl" if is_right_to_left(tag) else "ltr"
    return f'<div class="story" lang="{language}" dir="{direction}">\n{elements(tokens)}</div>\n'


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= PROMPT_LENGTH else f"{flat[: PROMPT_LENGTH - 1]}…"
