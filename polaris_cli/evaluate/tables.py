"""Turns the figures of many texts into tables: by length bucket, by stage, and model by model.

Keeps figures, not texts, so that any number of texts fits in memory. Knows nothing of how a table
is shown.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from polaris_cli.evaluate.figures import NAMES, YES_OR_NO, Figures
from polaris_cli.evaluate.groups import ALL, STAGE_NAMES, Groups, grouped
from polaris_cli.evaluate.judgements import Judged, JudgedTable, judged_tables
from polaris_cli.evaluate.judging import text_key
from polaris_cli.evaluate.names import Model, shown_names
from polaris_cli.evaluate.pairs import Difference, Values, differences
from polaris_cli.evaluate.samples import Pair, Sample
from polaris_cli.evaluate.statistics import Estimate, estimate, share, slope

MOST_WAYS = 5  # ways of writing a model's texts that are told, for each setting


@dataclass(frozen=True, slots=True)
class Scored:
    """The figures of a text, how it ended, its digest, and what it is compared by."""

    model: str
    asked: int
    finish: str
    text: str
    pair: Pair
    figures: Figures
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A model's texts of one group: a bucket, a stage, or all."""

    model: str
    group: str
    count: int
    values: Values


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables of an evaluation. `slopes` are those of each model's figures over the buckets,
    `made` says of each model how its texts were written, in several ways if they were."""

    edges: tuple[int, ...]
    buckets: list[Row]
    stages: list[Row]
    slopes: dict[str, dict[str, float | None]]
    finishes: dict[str, dict[str, int]]
    differences: list[Difference]
    scale: float = 1.0  # of the buckets
    outside: int = 0  # texts whose length is in no bucket
    made: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    judged: list[JudgedTable] = field(default_factory=list)


@dataclass
class Evaluation:
    """Collects figures, and makes the tables."""

    groups: Groups = field(default_factory=Groups)
    scored: list[Scored] = field(default_factory=list)
    made: dict[Model, dict[str, list[str]]] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    scales: set[float] = field(default_factory=set)  # of the texts

    def add(self, sample: Sample, figures: Figures) -> None:
        """Add a text's figures."""
        known = (sample.model, sample.asked, sample.ending, text_key(sample), sample.pair)
        self.scored.append(Scored(*known, figures, sample.model_id))
        self.scales.add(sample.scale)
        made = self.made.setdefault((sample.model, sample.model_id), {})
        for name, value in sample.made.items():
            values = made.setdefault(name, [])
            if value not in values and len(values) < MOST_WAYS:
                values.append(value)

    @property
    def models(self) -> list[str]:
        """The models, in the order of their first text."""
        return list(dict.fromkeys(one.model for one in self.scored))

    def tables(self) -> Tables:
        """The tables of everything added so far. Two models of one name have their ids from now."""
        shown = shown_names(self.made)
        self._rename(shown)
        buckets = list(self._rows(self.groups.buckets))
        compared = {model: self._by_pair(model) for model in self.models}
        return Tables(
            self.groups.edges,
            buckets,
            list(self._rows((*STAGE_NAMES, ALL))),
            {model: _slopes(buckets, model, self.groups) for model in self.models},
            {model: self._finishes(model) for model in self.models},
            list(differences(compared, NAMES, _figure)),
            self.groups.scale,
            sum(self.groups.bucket(one.asked) is None for one in self.scored),
            {shown[model]: made for model, made in self.made.items()},
            judged_tables(self.judged, self.groups, _digests(compared)),
        )

    def _rename(self, shown: Mapping[Model, str]) -> None:
        names = ((one, shown.get((one.model, one.model_id), one.model)) for one in self.scored)
        self.scored = [replace(one, model=name) for one, name in names]

    def _rows(self, names: Sequence[str]) -> Iterable[Row]:
        """A row for each model and each of these groups that has texts."""
        for model, name, found in grouped(self.scored, self.groups, names):
            yield Row(model, name, len(found), _estimates([one.figures for one in found]))

    def _finishes(self, model: str) -> dict[str, int]:
        ended = (one.finish for one in self.scored if one.model == model and one.finish)
        return dict(Counter(ended))  # asdict cannot copy a Counter

    def _by_pair(self, model: str) -> dict[Pair, list[Scored]]:
        by_pair: dict[Pair, list[Scored]] = {}
        for one in self.scored:
            if one.model == model:
                by_pair.setdefault(one.pair, []).append(one)
        return by_pair


def _estimates(figures: Sequence[Figures]) -> dict[str, Estimate | None]:
    return {
        name: (share if name in YES_OR_NO else estimate)(_known(figures, name)) for name in NAMES
    }


def _known(figures: Sequence[Figures], name: str) -> list[float]:
    values = (getattr(one, name) for one in figures)
    return [value for value in values if value is not None]


def _digests(
    compared: Mapping[str, Mapping[Pair, Sequence[Scored]]],
) -> dict[str, dict[Pair, list[str]]]:
    return {
        model: {pair: [one.text for one in found] for pair, found in texts.items()}
        for model, texts in compared.items()
    }


def _figure(one: Scored, name: str) -> float | None:
    value: float | None = getattr(one.figures, name)
    return value


def _slopes(buckets: Sequence[Row], model: str, groups: Groups) -> dict[str, float | None]:
    """The slope of each figure of a model over the buckets that have texts, per bucket."""
    rows = [(groups.place(row.group), row.values) for row in buckets if row.model == model]
    return {
        name: slope({place: one.mean for place, values in rows if (one := values[name])})
        for name in NAMES
    }
