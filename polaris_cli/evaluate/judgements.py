"""From a judge's records to figures of each model: `judged_tables`.

Keeps scores, not texts. Knows nothing of how records are made or shown.
"""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from polaris_cli.evaluate.aggregates import AGGREGATIONS
from polaris_cli.evaluate.groups import ALL, STAGE_NAMES, Groups, grouped
from polaris_cli.evaluate.judging import Record
from polaris_cli.evaluate.pairs import Difference, differences
from polaris_cli.evaluate.samples import Pair
from polaris_cli.evaluate.statistics import Estimate, estimate, slope
from polaris_cli.evaluate.verdicts import mismatches

Texts = Mapping[str, Mapping[Pair, Sequence[str]]]
"""The digests of each model's texts, by what they are compared by."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Who judged and how: figures of different judges cannot be compared.

    `name` is the judge's model, `rubric_key` a digest of the rubric, `settings` says how the judge
    was asked.
    """

    name: str
    rubric: str
    rubric_key: str
    settings: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A text judged once: its totals, and whether the judge's own sums are wrong.

    `model` and `asked` are those of the record: a table goes by those that the text has now.
    `totals` is empty if an answer could not be read. `text` is the text's digest,
    `date` the day of the first answer.
    """

    judge: Judge
    model: str
    asked: int
    text: str
    date: str
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


@dataclass(frozen=True, slots=True)
class JudgedTable:
    """What a judge found by one rubric, between two days. The first of `totals` is the main one;
    `slopes` are those of its means over a model's buckets, `differences` those of models on the
    same prompts, `scale` is that of the buckets."""

    judge: Judge
    first_day: str
    last_day: str
    totals: tuple[str, ...]
    buckets: list[JudgedRow]
    stages: list[JudgedRow]
    slopes: dict[str, float | None]
    differences: list[Difference]
    scale: float

    @property
    def days(self) -> str:
        """The days between which it was judged, or the one day."""
        return " to ".join(dict.fromkeys((self.first_day, self.last_day)))


def judged(records: Iterable[Record]) -> list[Judged]:
    """The texts that these records judge, each repeat of them, but for those that are judged in
    part: the other answers are still to come."""
    by_place: dict[tuple[Judge, str, int], list[Record]] = {}
    for record in records:
        place = (_judge(record), record["text"], record["repeat"])
        by_place.setdefault(place, []).append(record)
    found = (_judged(judge, group) for (judge, _, _), group in by_place.items())
    return [one for one in found if one]


def _judge(record: Record) -> Judge:
    judge = record["judge"]
    settings = (f"{name} {json.dumps(judge[name])}" for name in judge if name != "judge")
    return Judge(judge["judge"], record["rubric"], record["rubric_key"], ", ".join(settings))


def _judged(judge: Judge, records: Sequence[Record]) -> Judged | None:
    scores: dict[str, float] = {}
    stated: dict[str, float] = {}
    for record in records:
        scores |= record["scores"]
        stated |= record["stated"]
    first = records[0]
    whole = len(scores) == first["all_criteria"]
    if not whole and all(record["scores"] for record in records):
        return None
    totals = AGGREGATIONS[first["aggregation"]].totals(scores) if whole else {}
    wrong = bool(whole and mismatches(stated, totals))
    day = min(record["date"] for record in records)
    return Judged(judge, first["model"], first["asked"], first["text"], day, totals, wrong)


def judged_tables(found: Iterable[Judged], groups: Groups, texts: Texts) -> list[JudgedTable]:
    """A table for each judge and rubric, of those judged that are among these texts."""
    by_judge: dict[Judge, list[Judged]] = {}
    for one in _placed(found, texts):
        by_judge.setdefault(one.judge, []).append(one)
    return [_table(judge, own, groups, texts) for judge, own in by_judge.items()]


def _placed(found: Iterable[Judged], texts: Texts) -> Iterator[Judged]:
    """Each with the model's name and the length of its text, once for each that has the same."""
    places: dict[str, dict[tuple[str, int], None]] = {}
    for model, by_pair in texts.items():
        for (_, asked, _), own in by_pair.items():
            for text in own:
                places.setdefault(text, {})[model, asked] = None
    for one in found:
        for model, asked in places.get(one.text, ()):
            yield replace(one, model=model, asked=asked)


def _table(judge: Judge, found: Sequence[Judged], groups: Groups, texts: Texts) -> JudgedTable:
    days = sorted(one.date for one in found)
    totals = next((tuple(one.totals) for one in found if one.totals), ())
    buckets = list(_rows(found, groups, groups.buckets))
    stages = list(_rows(found, groups, (*STAGE_NAMES, ALL)))
    models = dict.fromkeys(one.model for one in found)
    slopes = {model: _slope(buckets, model, groups) for model in models}
    compared = _differences(found, totals, texts)
    span = days[0], days[-1]
    return JudgedTable(judge, *span, totals, buckets, stages, slopes, compared, groups.scale)


def _differences(found: Sequence[Judged], names: Sequence[str], texts: Texts) -> list[Difference]:
    """Each two models on the texts that could be judged, repeats of a text as one."""
    read = [one for one in found if one.totals]
    means = {
        name: {text: fmean(values) for (text, _), values in _by_text(read, name).items()}
        for name in names
    }
    known = {one.text for one in read}
    by_model = {model: _among(known, own) for model, own in texts.items()}
    return [*differences(by_model, names, lambda text, name: means[name][text])]


def _among(known: Container[str], texts: Mapping[Pair, Sequence[str]]) -> dict[Pair, list[str]]:
    kept = {pair: [text for text in own if text in known] for pair, own in texts.items()}
    return {pair: own for pair, own in kept.items() if own}


def _rows(found: Sequence[Judged], groups: Groups, names: Sequence[str]) -> Iterator[JudgedRow]:
    """A row for each model and each of these groups that has texts."""
    for model, name, inside in grouped(found, groups, names):
        yield _row(model, name, inside)


def _row(model: str, group: str, found: Sequence[Judged]) -> JudgedRow:
    read = [one for one in found if one.totals]
    names = list(read[0].totals) if read else []
    by_name = {name: _by_text(read, name) for name in names}
    # Repeats do not make more texts of one. In order of size, so that an interval does not depend
    # on the order of the answers.
    totals = {name: estimate(sorted(map(fmean, of.values()))) for name, of in by_name.items()}
    repeats = by_name[names[0]].values() if read else ()
    spreads = [stdev(values) for values in repeats if len(values) > 1]
    return JudgedRow(
        model,
        group,
        len({(one.text, one.asked) for one in found}),
        totals,
        len(found) - len(read),
        sum(one.mismatched for one in found),
        fmean(spreads) if spreads else None,
    )


def _by_text(read: Sequence[Judged], name: str) -> dict[tuple[str, int], list[float]]:
    """A total of each text and length, once for each repeat."""
    by_text: dict[tuple[str, int], list[float]] = {}
    for one in read:
        by_text.setdefault((one.text, one.asked), []).append(one.totals[name])
    return by_text


def _slope(buckets: Iterable[JudgedRow], model: str, groups: Groups) -> float | None:
    """The slope of the main total's means over a model's buckets, per bucket."""
    own = [row for row in buckets if row.model == model]
    main = {groups.place(row.group): next(iter(row.totals.values()), None) for row in own}
    return slope({place: one.mean for place, one in main.items() if one})
