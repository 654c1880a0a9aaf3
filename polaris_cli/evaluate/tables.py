"""Turns the figures of many texts into tables: by length bucket, by stage, and model by model.

Keeps figures, not texts, so that any number of texts fits in memory. Knows nothing of how a table
is shown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from polaris_cli.evaluate.figures import NAMES, Figures
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.statistics import Estimate, estimate, slope
from polaris_cli.request.adherence import BUCKETS, STAGES, bucket_of

ALL = "All"
Values = Mapping[str, Estimate | None]
"""The estimate of each figure, by its name in `Figures`."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The figures of a text, and what it is compared by."""

    model: str
    asked: int
    finish: str
    pair: tuple[str, int, int | None]  # prompt, words asked for, seed
    figures: Figures


@dataclass(frozen=True, slots=True)
class Row:
    """A model's texts of one group: a bucket, a stage, or all."""

    model: str
    group: str
    count: int
    values: Values


@dataclass(frozen=True, slots=True)
class Difference:
    """Figures of `model` minus those of `other`, over the `count` pairs of texts for the same
    prompt."""

    model: str
    other: str
    count: int
    values: Values


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables of an evaluation. `slopes` are those of each model's figures over the buckets."""

    edges: tuple[int, ...]
    buckets: list[Row]
    stages: list[Row]
    slopes: dict[str, dict[str, float | None]]
    finishes: dict[str, dict[str, int]]
    differences: list[Difference]
    outside: int = 0  # texts whose length is in no bucket


@dataclass
class Evaluation:
    """Collects figures, and makes the tables. `scale` shrinks the buckets, for short stories."""

    edges: tuple[int, ...] = BUCKETS
    scale: float = 1.0
    scored: list[Scored] = field(default_factory=list)

    def add(self, sample: Sample, figures: Figures) -> None:
        """Add a text's figures."""
        pair = (sample.prompt_id or sample.prompt, sample.asked, sample.seed)
        self.scored.append(Scored(sample.model, sample.asked, sample.finish, pair, figures))

    @property
    def models(self) -> list[str]:
        """The models, in the order of their first text."""
        return list(dict.fromkeys(one.model for one in self.scored))

    def tables(self) -> Tables:
        """The tables of everything added so far."""
        edges = tuple(round(edge * self.scale) for edge in self.edges)
        names = names_of(edges)

        def bucket(one: Scored) -> str | None:
            span = bucket_of(one.asked, edges)
            return _name(*span) if span else None

        def stage(one: Scored) -> str:
            return next(
                (name for most, name in STAGES if one.asked <= round(most * self.scale)), "Far"
            )

        buckets = [row for model in self.models for row in self._rows(model, names, bucket)]
        stages = [*(name for _, name in STAGES), "Far"]
        return Tables(
            edges,
            buckets,
            [row for model in self.models for row in self._stage_rows(model, stages, stage)],
            {model: _slopes(buckets, model) for model in self.models},
            {model: self._finishes(model) for model in self.models},
            list(self._differences()),
            sum(bucket(one) is None for one in self.scored),
        )

    def _rows(
        self, model: str, names: Sequence[str], group_of: Callable[[Scored], str | None]
    ) -> Iterable[Row]:
        """A row for each group that has texts of the model."""
        for name in names:
            figures = [
                one.figures for one in self.scored if one.model == model and group_of(one) == name
            ]
            if figures:
                yield Row(model, name, len(figures), _estimates(figures))

    def _stage_rows(
        self, model: str, names: Sequence[str], stage: Callable[[Scored], str]
    ) -> Iterable[Row]:
        yield from self._rows(model, names, stage)
        yield from self._rows(model, [ALL], lambda one: ALL)

    def _finishes(self, model: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for one in self.scored:
            if one.model == model and one.finish:
                counts[one.finish] = counts.get(one.finish, 0) + 1
        return counts

    def _differences(self) -> Iterable[Difference]:
        """Each pair of models, the later one minus the earlier one."""
        of = {model: self._by_pair(model) for model in self.models}
        for other, model in combinations(self.models, 2):
            pairs = [(one, of[other][pair]) for pair, one in of[model].items() if pair in of[other]]
            if pairs:
                values = {name: _difference(pairs, name) for name in NAMES}
                yield Difference(model, other, len(pairs), values)

    def _by_pair(self, model: str) -> dict[tuple[str, int, int | None], Figures]:
        return {one.pair: one.figures for one in self.scored if one.model == model and one.pair[0]}


def _estimates(figures: Sequence[Figures]) -> dict[str, Estimate | None]:
    return {name: estimate(_known(figures, name)) for name in NAMES}


def _known(figures: Sequence[Figures], name: str) -> list[float]:
    values = (getattr(one, name) for one in figures)
    return [value for value in values if value is not None]


def _difference(pairs: Sequence[tuple[Figures, Figures]], name: str) -> Estimate | None:
    values = ((getattr(one, name), getattr(other, name)) for one, other in pairs)
    return estimate([one - other for one, other in values if None not in (one, other)])


def _slopes(buckets: Sequence[Row], model: str) -> dict[str, float | None]:
    """The slope of each figure of a model over the buckets that have texts, per bucket."""
    rows = [row for row in buckets if row.model == model]
    means = {name: [row.values[name] for row in rows] for name in NAMES}
    return {name: slope([one.mean for one in found if one]) for name, found in means.items()}


def names_of(edges: Sequence[int]) -> list[str]:
    """The names of the buckets between these edges, as in the groups of rows."""
    return [_name(*span) for span in pairwise(edges)]


def _name(low: int, high: int) -> str:
    """A bucket as people write it: "1-2k", or "50-100" if it is small."""
    if low % 1000 or high % 1000:
        return f"{low:,}-{high:,}"
    return f"{low // 1000}-{high // 1000}k"
