"""Means with bootstrap intervals, slopes and paired differences, by numpy and scipy.

Knows numbers only. Intervals are 95% percentile bootstrap intervals with a fixed seed, so that the
same texts give the same table.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polaris_cli.errors import UsageError

RESAMPLES = 2000
CONFIDENCE = 0.95
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
    if min(values) == max(values):
        return Estimate(mean, mean, mean, count)
    import numpy
    from scipy import stats

    found = stats.bootstrap(
        (numpy.asarray(values, dtype=float),),
        numpy.mean,
        n_resamples=RESAMPLES,
        batch=max(1, AT_ONCE // count),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=numpy.random.default_rng(0),
    ).confidence_interval
    return Estimate(mean, float(found.low), float(found.high), count)


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
