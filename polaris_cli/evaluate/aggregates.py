"""From a judge's scores to totals: `AGGREGATIONS`.

Knows the formulas of the published evaluations, not how scores are asked for. The first total of
each is the main one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

Scores = Mapping[str, float]
Totals = dict[str, float]

POSITIVE = (
    "nuanced_characters", "emotionally_engaging", "compelling_plot", "coherent",
    "well_earned_lightness_or_darkness", "faithful_to_writing_prompt",
)  # fmt: skip
POETRY = "forced_poetry_or_metaphor"
NEGATIVE = (
    "weak_dialogue", "tell_dont_show", "unsurprising_or_uncreative", "amateurish", "purple_prose",
    POETRY,
)  # fmt: skip
POETRY_WEIGHT, POETRY_POWER = 5, 1.7
SCALE = 20  # of EQ-Bench


def story_quality(scores: Scores) -> Totals:
    """Story Quality of the POLARIS evaluation (at most 100), and the reward of its training."""
    positive = sum(value for key, value in scores.items() if key.startswith("positive_"))
    negative = sum(value for key, value in scores.items() if key.startswith("negative_"))
    bonus, penalty = scores.get("bonus", 0.0), scores.get("penalty", 0.0)
    earned = 0.0 if negative > positive / 2 else bonus
    lost = min(penalty, 3.0) if positive > 1.5 * negative else penalty
    reward = min(max(positive - negative + earned - lost, -159.0), 108.0) / 100
    return {
        "overall_score": min(100.0, positive - negative + bonus),
        "positive_total": positive,
        "negative_total": negative,
        "training_reward": reward,
    }


def longform(scores: Scores) -> Totals:
    """EQ-Bench Longform, 0 to 100: weighted, and with equal weights (the POLARIS card's)."""
    merits = {key: value if key in POSITIVE else SCALE - value for key, value in scores.items()}
    weights = dict.fromkeys(merits, 1)
    curved = dict(merits)
    if POETRY in merits:
        weights[POETRY] = POETRY_WEIGHT
        curved[POETRY] = (merits[POETRY] / SCALE) ** POETRY_POWER * SCALE
    weighted = sum(weights[key] * value for key, value in curved.items()) / sum(weights.values())
    return {"weighted": weighted / SCALE * 100, "uniform": fmean(merits.values()) / SCALE * 100}


def mean(scores: Scores) -> Totals:
    """The mean of the scores."""
    return {"mean": fmean(scores.values())}


def mean_of_100(scores: Scores) -> Totals:
    """The mean of scores of 0 to 20, times five."""
    return {"mean": fmean(scores.values()) * 5}


def five_to_100(scores: Scores) -> Totals:
    """S_q of LongBench-Write, 0 to 100, from scores of 1 to 5."""
    return {"S_q": fmean((value - 1) * 25 for value in scores.values())}


@dataclass(frozen=True, slots=True)
class Aggregation:
    """A formula for scores, and what it needs of their criteria: a pattern of keys, a scale."""

    totals: Callable[[Scores], Totals]
    keys: str | None = None
    scale: tuple[float, float] | None = None

    def adds_up(self, key: str) -> bool:
        """Whether the formula knows what to do with the score of a criterion with this key."""
        return self.keys is None or bool(re.fullmatch(self.keys, key))


AGGREGATIONS: Mapping[str, Aggregation] = {
    "story-quality": Aggregation(story_quality, r"(positive|negative)_\w+|bonus|penalty"),
    "longform": Aggregation(longform, "|".join(POSITIVE + NEGATIVE), (0, SCALE)),
    "mean": Aggregation(mean),
    "mean-100": Aggregation(mean_of_100, scale=(0, 20)),
    "five-to-100": Aggregation(five_to_100, scale=(1, 5)),
}
