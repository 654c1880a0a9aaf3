"""Counts readers' choices between models: `tally`.

Knows votes, not where they are kept.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

from polaris_cli.evaluate.statistics import wilson
from polaris_cli.library.votes import Vote


@dataclass(frozen=True, slots=True)
class Tally:
    """How often readers preferred `model` to `other`, out of the votes for one of the two.

    `low` and `high` are the 95% interval of the share (Wilson).
    """

    model: str
    other: str
    wins: int
    votes: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Votes for the model / votes for one of the two."""
        return self.wins / self.votes


def tally(votes: Iterable[Vote]) -> list[Tally]:
    """The tally of each pair of models, the one that is preferred first.

    The chosen model is preferred to each of the others. A vote for none counts for no pair.
    """
    wins = Counter(
        (vote.chosen, other)
        for vote in votes
        if vote.chosen
        for other in {*vote.models} - {vote.chosen}
    )
    models = sorted({name for pair in wins for name in pair})
    found = []
    for one, two in permutations(models, 2):
        won, lost = wins[one, two], wins[two, one]
        if won > lost or (won == lost and won and one < two):
            found.append(_tally(one, two, won, won + lost))
    return found


def _tally(model: str, other: str, wins: int, votes: int) -> Tally:
    return Tally(model, other, wins, votes, *wilson(wins, votes))
