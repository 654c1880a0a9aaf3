"""The groups that an evaluation's tables have: length buckets and stages, by the words asked for.

Knows lengths only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from polaris_cli.request.adherence import BUCKETS, STAGES, bucket_of

ALL = "All"
FAR = "Far"
STAGE_NAMES = (*(name for _, name in STAGES), FAR)


@dataclass(frozen=True, slots=True)
class Groups:
    """Length buckets and stages; `scale` shrinks them, for short stories."""

    scale: float = 1.0
    whole_edges: tuple[int, ...] = BUCKETS

    @property
    def edges(self) -> tuple[int, ...]:
        """The ends of the buckets, in words."""
        return tuple(round(edge * self.scale) for edge in self.whole_edges)

    @property
    def buckets(self) -> list[str]:
        """The names of the buckets."""
        return names_of(self.edges)

    def bucket(self, asked: int) -> str | None:
        """The bucket of a length, None outside all of them."""
        span = bucket_of(asked, self.edges)
        return _name(*span) if span else None

    def stage(self, asked: int) -> str:
        """The stage of a length."""
        return next((name for most, name in STAGES if asked <= round(most * self.scale)), FAR)

    def of(self, asked: int) -> Iterator[str]:
        """All groups that a length belongs to; an unknown one (0) only to all."""
        if bucket := self.bucket(asked):
            yield bucket
        if asked:
            yield self.stage(asked)
        yield ALL


def names_of(edges: tuple[int, ...]) -> list[str]:
    """The names of the buckets between these edges."""
    return [_name(*span) for span in pairwise(edges)]


def _name(low: int, high: int) -> str:
    """A bucket as people write it: "1-2k", or "50-100" if it is small."""
    if low % 1000 or high % 1000:
        return f"{low:,}-{high:,}"
    return f"{low // 1000}-{high // 1000}k"
