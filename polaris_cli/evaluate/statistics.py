"""Means and shares with 95% intervals, and slopes, by numpy and scipy.

Knows numbers only. The interval of a mean is a percentile bootstrap interval with a fixed seed, so
that the same texts give the same table. Of few values it is much too narrow (Hesterberg 2015, "What
Teachers Should Know About the Bootstrap", section 4): they have Student's t interval. The interval
of a share is Wilson's (1927), which is good for few values too (Brown, Cai and DasGupta 2001).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polaris_cli.errors import UsageError

RESAMPLES = 2000
CONFIDENCE = 0.95
FEW = 20  # values; of fewer, a bootstrap interval covers the mean in 55% to 93% of the cases
ROUNDING = 1e-12  # of values near 0 that are equal
AT_ONCE = 10**7  # numbers in memory


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of `count` values and its interval; both ends are None for a single value."""

    mean: float
    low: float | None
    high: float | None
    count: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of some values with its interval; None without values."""
    count = len(values)
    if not count:
        return None
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None, None, 1)
    if math.isclose(min(values), max(values), abs_tol=ROUNDING):
        return Estimate(mean, mean, mean, count)
    return Estimate(mean, *(_t if count < FEW else _bootstrap)(values), count)


def share(values: Sequence[float]) -> Estimate | None:
    """The share of ones among zeros and ones, with its interval; None without values."""
    count, ones = len(values), round(sum(values))
    if count < 2:
        return estimate(values)
    return Estimate(ones / count, *wilson(ones, count), count)


def wilson(ones: int, count: int) -> tuple[float, float]:
    """The Wilson interval of a share."""
    from scipy import stats

    found = stats.binomtest(ones, count).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def _t(values: Sequence[float]) -> tuple[float, float]:
    from scipy import stats

    found = stats.ttest_1samp(values, 0).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def _bootstrap(values: Sequence[float]) -> tuple[float, float]:
    import numpy
    from scipy import stats

    found = stats.bootstrap(
        (numpy.asarray(values, dtype=float),),
        numpy.mean,
        n_resamples=RESAMPLES,
        batch=max(1, AT_ONCE // len(values)),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=numpy.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def slope(means: Mapping[int, float]) -> float | None:
    """The least-squares slope through values by their places; None for fewer than two."""
    if len(means) < 2:
        return None
    from scipy import stats

    return float(stats.linregress([*means], [*means.values()]).slope)


def check_installed() -> None:
    """Raise UsageError if scipy is missing."""
    try:
        import scipy  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "The tables need scipy, which is not installed.",
            hint="pip install 'polaris-story[eval]'",
        ) from error
