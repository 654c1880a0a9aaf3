"""Compares models on the same prompts: `differences`.

Knows pairs of texts and names of figures, not what the figures are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import TypeVar

from polaris_cli.evaluate.samples import Pair
from polaris_cli.evaluate.statistics import Estimate, estimate

T = TypeVar("T")
Values = Mapping[str, Estimate | None]
"""The estimate of each figure, by its name."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Figures of `model` minus those of `other`, over the `count` pairs of texts for the same
    prompt."""

    model: str
    other: str
    count: int
    values: Values


def differences(
    texts: Mapping[str, Mapping[Pair, Sequence[T]]],
    names: Sequence[str],
    figure: Callable[[T, str], float | None],
) -> Iterator[Difference]:
    """Compare each two models by these figures, the later one minus the earlier one.

    `texts` are those of each model; several for one prompt count as their mean, a text without a
    prompt is compared with none.
    """
    for other, model in combinations(texts, 2):
        shared = [pair for pair in texts[model] if pair[0] and pair in texts[other]]
        pairs = [(texts[model][pair], texts[other][pair]) for pair in shared]
        if pairs:
            values = {name: _difference(pairs, name, figure) for name in names}
            yield Difference(model, other, len(pairs), values)


def _difference(
    pairs: Sequence[tuple[Sequence[T], Sequence[T]]],
    name: str,
    figure: Callable[[T, str], float | None],
) -> Estimate | None:
    def mean(texts: Sequence[T]) -> float | None:
        known = [value for one in texts if (value := figure(one, name)) is not None]
        return fmean(known) if known else None

    values = ((mean(own), mean(others)) for own, others in pairs)
    return estimate([one - other for one, other in values if one is not None and other is not None])
