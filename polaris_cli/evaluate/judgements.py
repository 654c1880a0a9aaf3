"""From a judge's records to figures of each model: `judged_rows`.

Keeps scores, not texts. Knows nothing of how records are made or shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import stdev

from polaris_cli.evaluate.aggregates import AGGREGATIONS
from polaris_cli.evaluate.judging import Record
from polaris_cli.evaluate.rubric import Rubric
from polaris_cli.evaluate.statistics import Estimate, estimate
from polaris_cli.evaluate.tables import ALL
from polaris_cli.evaluate.verdicts import mismatches
from polaris_cli.request.adherence import BUCKETS, bucket_of


@dataclass(frozen=True, slots=True)
class Judged:
    """A text judged once: its totals, and whether the judge's own sums are wrong.

    `totals` is empty if an answer could not be read or is missing.
    """

    model: str
    asked: int
    text: str
    totals: dict[str, float]
    mismatched: bool


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A model's texts of one group: totals with intervals, and what could not be read.

    `spread` is the mean standard deviation of the main total over repeats, None without repeats.
    """

    model: str
    group: str
    texts: int
    totals: dict[str, Estimate | None]
    unreadable: int
    mismatched: int
    spread: float | None


def judged(records: Iterable[Record], rubric: Rubric) -> list[Judged]:
    """The texts that these records judge, each repeat of them."""

    def place(record: Record) -> tuple[str, int]:
        return record["text"], record["repeat"]

    ordered = sorted(records, key=place)
    return [_judged(list(group), rubric) for _, group in groupby(ordered, place)]


def _judged(records: Sequence[Record], rubric: Rubric) -> Judged:
    scores: dict[str, float] = {}
    stated: dict[str, float] = {}
    for record in records:
        scores |= record["scores"]
        stated |= record["stated"]
    first, whole = records[0], len(scores) == len(rubric.criteria)
    totals = AGGREGATIONS[rubric.aggregation](scores) if whole else {}
    wrong = bool(whole and mismatches(stated, totals))
    return Judged(first["model"], first["asked"], first["text"], totals, wrong)


def judged_rows(found: Sequence[Judged], scale: float = 1.0) -> list[JudgedRow]:
    """The rows of each model: its length buckets, then all of its texts."""
    edges = [round(edge * scale) for edge in BUCKETS]
    rows = []
    for model in dict.fromkeys(one.model for one in found):
        own = [one for one in found if one.model == model]
        spans = sorted({span for one in own if (span := bucket_of(one.asked, edges))})
        for low, high in spans:
            inside = [one for one in own if bucket_of(one.asked, edges) == (low, high)]
            rows.append(_row(model, f"{low:,}-{high:,}", inside))
        rows.append(_row(model, ALL, own))
    return rows


def _row(model: str, group: str, found: Sequence[Judged]) -> JudgedRow:
    read = [one for one in found if one.totals]
    names = list(read[0].totals) if read else []
    totals = {name: estimate([one.totals[name] for one in read]) for name in names}
    texts = len({one.text for one in found})
    wrong = sum(one.mismatched for one in found)
    return JudgedRow(model, group, texts, totals, len(found) - len(read), wrong, _spread(read))


def _spread(read: Sequence[Judged]) -> float | None:
    """The mean over texts of the standard deviation of the main total."""
    by_text: dict[str, list[float]] = {}
    for one in read:
        by_text.setdefault(one.text, []).append(next(iter(one.totals.values())))
    found = [stdev(values) for values in by_text.values() if len(values) > 1]
    return sum(found) / len(found) if found else None
