"""Lays out an evaluation as tables of texts, for a terminal, LaTeX and HTML: `layout`.

Knows the headers and how many digits a figure has, not how a table is drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from polaris_cli.evaluate.card import CARD, JUDGED
from polaris_cli.evaluate.card import STAGES as CARD_STAGES
from polaris_cli.evaluate.groups import ALL
from polaris_cli.evaluate.judgements import JudgedRow, JudgedTable
from polaris_cli.evaluate.pairs import Difference
from polaris_cli.evaluate.statistics import Estimate
from polaris_cli.evaluate.tables import Row, Tables

NONE = "-"
PERCENT = {"in_band", "blank", "ended", "duplicate_lines", "short_paragraphs"}
DIGITS = {
    "words": 0,
    "s_length": 1,
    "meta_talk": 1,
    "self_repetition": 4,
    "length_penalty": 3,
    "card": 1,
}
LENGTH = {
    "words": "words",
    "ratio": "ratio",
    "in_band": "in band",
    "length_score": "score",
    "length_penalty": "penalty",
    "s_length": "S_l",
    "blank": "blank",
    "ended": "ended",
}
TEXT = {
    "self_repetition": "repetition",
    "duplicate_lines": "dup. lines",
    "distinct_2": "distinct-2",
    "distinct_3": "distinct-3",
    "mattr": "MATTR",
    "compression": "compression",
    "short_paragraphs": "short par.",
    "meta_talk": "meta-talk",
    "surprise": "surprise",
    "surprise_worst": "worst",
}
COUNTED = ("unreadable", "wrong sums")  # answers of a judge
COMPARED = ("ratio", "length_score", "self_repetition", "mattr", "surprise")
NAMES = {**LENGTH, **TEXT}
DIFFERENCES = "Differences on the same prompts (mean, 95% interval)"


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table to print. `least` are the columns that a narrow terminal can do without, first those
    that are least important."""

    title: str
    headers: tuple[str, ...]
    rows: list[tuple[str, ...]]
    least: tuple[str, ...] = ()


def layout(tables: Tables) -> Iterator[TextTable]:
    """The tables that have something to show."""
    if tables.buckets:
        yield TextTable(
            "Length, by words asked for",
            ("model", "asked", "texts", *LENGTH.values(), "ratio 95%"),
            [_cells(row, LENGTH) for row in tables.buckets],
            ("S_l", "penalty", "blank", "ended", "words", "ratio 95%", "texts", "score"),
        )
    yield _stage_table(tables)
    yield TextTable(
        "Text",
        ("model", "texts", *TEXT.values()),
        [_text_cells(row) for row in tables.stages if row.group == ALL],
        ("compression", "distinct-3", "short par.", "distinct-2", "dup. lines", "worst", "MATTR"),
    )
    if any(value is not None for found in tables.slopes.values() for value in found.values()):
        yield TextTable(
            "Slope per length bucket",
            ("model", "ratio", "score", "repetition", "surprise"),
            [_slope_cells(model, found) for model, found in tables.slopes.items()],
        )
    if tables.differences:
        yield TextTable(
            DIFFERENCES,
            ("models", "pairs", *(NAMES[name] for name in COMPARED)),
            [_difference_cells(one, COMPARED) for one in tables.differences],
            ("MATTR", "repetition"),
        )
    if any(tables.finishes.values()):
        reasons = list(dict.fromkeys(r for found in tables.finishes.values() for r in found))
        rows = [
            (model, *(str(found.get(reason, 0)) for reason in reasons))
            for model, found in tables.finishes.items()
        ]
        yield TextTable("Finish reasons", ("model", *reasons), rows)
    yield from judged_layouts(tables.judged)


def _stage_table(tables: Tables) -> TextTable:
    """The ratios by stage, and those of the model card, which are for whole lengths."""
    title, headers = "Ratio by stage", ("model", "stage", "texts", "ratio", "95%", "score")
    least = ("score", "texts", "95%")
    if tables.scale != 1:
        return TextTable(title, headers, [_stage_cells(row) for row in tables.stages], least)
    cells = [(*_stage_cells(row), _card_ratio(row)) for row in tables.stages]
    return TextTable(f"{title}, and the model card's", (*headers, "card's ratio"), cells, least)


def judged_layouts(tables: Sequence[JudgedTable]) -> Iterator[TextTable]:
    """What judges found, and the differences of models where there are some."""
    for table, title in zip(tables, judged_titles(tables), strict=True):
        yield _judged_layout(table, title)
        if table.differences:
            yield TextTable(
                f"{DIFFERENCES}: {title}",
                ("models", "pairs", *table.totals),
                [_difference_cells(one, table.totals) for one in table.differences],
                table.totals[:0:-1],
            )


def _judged_layout(table: JudgedTable, title: str) -> TextTable:
    """What a judge found, with the model card's figures beside it where there are some."""
    rows = [*table.buckets, *table.stages]
    main = table.totals[0] if table.totals else "main"
    headers = ("model", "asked", "texts", *table.totals, f"{main} 95%", "spread", *COUNTED)
    cells = [_judged_cells(table, row) for row in rows]
    published = [_published(table, row) for row in rows]
    if any(published):
        headers = (*headers, f"card's {JUDGED[table.judge.rubric]}")
        cells = [(*own, one or NONE) for own, one in zip(cells, published, strict=True)]
    least = (*COUNTED, "spread", *table.totals[:0:-1], "texts")
    return TextTable(title, headers, cells, least)


def judged_titles(tables: Sequence[JudgedTable]) -> list[str]:
    """The rubric, the judge, its settings and the days of each table, and the rubric's key where
    two tables differ in nothing else."""
    titles = [_judged_title(table) for table in tables]
    return [
        _judged_title(table, with_key=titles.count(title) > 1)
        for table, title in zip(tables, titles, strict=True)
    ]


def _judged_title(table: JudgedTable, *, with_key: bool = False) -> str:
    judge, key = table.judge, f"; rubric {table.judge.rubric_key}" if with_key else ""
    return f"{judge.rubric}, judged by {judge.name} ({judge.settings}; {table.days}{key})"


def _judged_cells(table: JudgedTable, row: JudgedRow) -> tuple[str, ...]:
    means = [row.totals.get(name) for name in table.totals]
    return (
        row.model,
        row.group,
        str(row.texts),
        *(number("score", found.mean if found else None) for found in means),
        interval("score", means[0] if means else None),
        number("spread", row.spread),
        str(row.unreadable),
        str(row.mismatched),
    )


def _published(table: JudgedTable, row: JudgedRow) -> str | None:
    """The model card's figure for a row; they are for whole lengths."""
    card = CARD.get(row.model) if table.scale == 1 else None
    found = card.judged(table.judge.rubric) if card else None
    return number("card", found.get(row.group)) if found and row.group in found else None


def number(name: str, value: float | None) -> str:
    """A figure as people read it."""
    if value is None:
        return NONE
    if name in PERCENT:
        return f"{100 * value:.0f}%"
    return f"{value:,.{DIGITS.get(name, 2)}f}"


def interval(name: str, found: Estimate | None) -> str:
    """The interval of a figure: "0.91-0.97"."""
    if not found or found.low is None or found.high is None:
        return NONE
    low, high = number(name, found.low), number(name, found.high)
    return f"{low} to {high}" if found.low < 0 else f"{low}-{high}"


def _cells(row: Row, names: dict[str, str]) -> tuple[str, ...]:
    means = (number(name, found.mean if (found := row.values[name]) else None) for name in names)
    return (row.model, row.group, str(row.count), *means, interval("ratio", row.values["ratio"]))


def _text_cells(row: Row) -> tuple[str, ...]:
    model, _, texts, *figures = _cells(row, TEXT)[:-1]
    return (model, texts, *figures)


def _stage_cells(row: Row) -> tuple[str, ...]:
    ratio, score = row.values["ratio"], row.values["length_score"]
    return (
        row.model,
        row.group,
        str(row.count),
        number("ratio", ratio.mean if ratio else None),
        interval("ratio", ratio),
        number("length_score", score.mean if score else None),
    )


def _card_ratio(row: Row) -> str:
    card = CARD.get(row.model)
    return number("ratio", card.ratio[CARD_STAGES.index(row.group)] if card else None)


def _slope_cells(model: str, found: dict[str, float | None]) -> tuple[str, ...]:
    names = ("ratio", "length_score", "self_repetition", "surprise")
    return (model, *(_signed(name, found[name]) for name in names))


def _difference_cells(one: Difference, names: Sequence[str]) -> tuple[str, ...]:
    cells: list[str] = []
    for name in names:
        found = one.values[name]
        between = f" ({interval(name, found)})" if found and found.low is not None else ""
        cells.append(f"{_signed(name, found.mean if found else None)}{between}")
    return (f"{one.model} - {one.other}", str(one.count), *cells)


def _signed(name: str, value: float | None) -> str:
    text = number(name, value)
    return f"+{text}" if value is not None and value > 0 else text
