"""An evaluation as JSON, CSV and LaTeX.

Knows formats, not where they go.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from polaris_cli.evaluate.card import CARD
from polaris_cli.evaluate.judgements import JudgedTable
from polaris_cli.evaluate.layout import TextTable
from polaris_cli.evaluate.pairs import Difference
from polaris_cli.evaluate.statistics import Estimate
from polaris_cli.evaluate.tables import Row, Tables

SCHEMA = "polaris.evaluation/1"
OF_A_JUDGE = ("settings", "rubric_key", "days")
CSV_HEADERS = ("table", "model", "group", "count", "figure", "mean", "low", "high", *OF_A_JUDGE)
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}",  # at the start of a row, it would belong to the end of the row before
}  # fmt: skip


def as_json(tables: Tables, about: dict[str, Any]) -> dict[str, Any]:
    """One object with all tables; `about` says how they came about. The card's figures are for
    whole lengths."""
    models = tables.finishes if tables.scale == 1 else ()
    card = {model: asdict(CARD[model]) for model in models if model in CARD}
    return {"schema": SCHEMA, **about, **asdict(tables), "card": card}


def as_csv(tables: Tables) -> str:
    """A line for each figure of each group; those of a judge say how it was asked, and when."""
    out, none = io.StringIO(), ("",) * len(OF_A_JUDGE)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADERS)
    writer.writerows((*line, *none) for line in _lines("bucket", tables.buckets))
    writer.writerows((*line, *none) for line in _lines("stage", tables.stages))
    writer.writerows((*line, *none) for line in _lines("difference", tables.differences))
    for table in tables.judged:
        how = table.judge.settings, table.judge.rubric_key, table.days
        writer.writerows((*line, *how) for line in _judged_lines(table))
    return out.getvalue()


def _lines(table: str, rows: Iterable[Row | Difference]) -> Iterator[tuple[object, ...]]:
    for row in rows:
        group = row.group if isinstance(row, Row) else f"minus {row.other}"
        for name, found in row.values.items():
            if found:
                yield table, row.model, group, found.count, name, *_ends(found)


def _judged_lines(table: JudgedTable) -> Iterator[tuple[object, ...]]:
    name = f"{table.judge.rubric} by {table.judge.name}"
    for row in (*table.buckets, *table.stages):
        for figure, found in row.totals.items():
            if found:
                yield name, row.model, row.group, found.count, figure, *_ends(found)
    yield from _lines(name, table.differences)


def _ends(found: Estimate) -> tuple[float | None, ...]:
    return found.mean, found.low, found.high


def as_latex(tables: Iterable[TextTable]) -> str:
    """The tables for the package booktabs, one below the other."""
    return "\n".join(map(_latex_table, tables))


def _latex_table(table: TextTable) -> str:
    aligned = "l" * 2 + "r" * (len(table.headers) - 2)
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in (table.headers, *table.rows)]
    return "\n".join(
        [
            f"% {' '.join(table.title.split())}",
            rf"\begin{{tabular}}{{{aligned}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    line = " ".join(text.split())
    return "".join(_LATEX.get(character, character) for character in line)
