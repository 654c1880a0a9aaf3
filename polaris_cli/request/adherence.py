"""Length adherence: how close a number of words is to the number asked for.

Works on numbers only; `words` counts the words.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

BUCKETS = (1000, 2000, 3000, 4000, 6000, 8000, 12000)
STAGES = ((4000, "ID"), (8000, "Near"))
FAR = "Far"


def ratio(written: int, requested: int) -> float:
    """Words written / words asked for: the length adherence of the model cards."""
    return written / requested


def in_band(written: int, requested: int, band: tuple[float, float]) -> bool:
    """Whether the ratio is within `band`, both ends included."""
    low, high = band
    return low <= ratio(written, requested) <= high


def length_score(written: int, requested: int) -> float:
    """Length score of the POLARIS evaluation, 0 to 1; both arguments are in paper words.

    1 within a tolerance of 10% (at least 50 words), and falling linearly outside it.
    """
    tolerance = max(50, int(0.1 * requested))
    least, most = requested - tolerance, requested + tolerance
    if written < least:
        return written / least
    if written > most:
        return max(0.0, 2 - written / most)
    return 1.0


def bucket_of(words: int, edges: Iterable[int] = BUCKETS) -> tuple[int, int] | None:
    """The length bucket (low, high) with low < words <= high, or None.

    The lowest edge itself belongs to the first bucket.
    """
    spans = list(pairwise(edges))
    place = bisect_left([high for _, high in spans], words)
    if place == len(spans) or words < spans[0][0]:
        return None
    return spans[place]


def stage_of(words: int, scale: float = 1.0) -> str:
    """The model card's name for a length: "ID" up to 4,000 words, "Near" to 8,000, else "Far".

    `scale` shrinks these limits, for short stories.
    """
    return next((name for high, name in STAGES if words <= round(high * scale)), FAR)
