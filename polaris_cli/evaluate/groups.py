"""The groups that an evaluation's tables have: length buckets and stages, by the words asked for.

Knows lengths only.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

from polaris_cli.request.adherence import BUCKETS, FAR, STAGES, bucket_of, stage_of


class Asked(Protocol):
    """A text of a model, and the words that were asked for."""

    @property
    def model(self) -> str: ...

    @property
    def asked(self) -> int: ...


T = TypeVar("T", bound=Asked)
ALL = "All"
LEAST_SCALE = 0.01  # of smaller ones, the first buckets are shorter than any story asked for
STAGE_NAMES = (*(name for _, name in STAGES), FAR)


@dataclass(frozen=True, slots=True)
class Groups:
    """Length buckets and stages; `scale` shrinks them, for short stories."""

    scale: float = 1.0

    @property
    def edges(self) -> tuple[int, ...]:
        """The ends of the buckets, in words."""
        return tuple(round(edge * self.scale) for edge in BUCKETS)

    @property
    def buckets(self) -> list[str]:
        """The names of the buckets."""
        return [_name(*span) for span in pairwise(self.edges)]

    def bucket(self, asked: int) -> str | None:
        """The bucket of a length, None outside all of them."""
        span = bucket_of(asked, self.edges)
        return _name(*span) if span else None

    def place(self, bucket: str) -> int:
        """The place of a bucket among all of them, from 0."""
        return self.buckets.index(bucket)

    def stage(self, asked: int) -> str | None:
        """The stage of a length, None outside all buckets."""
        return stage_of(asked, self.scale) if self.bucket(asked) else None

    def of(self, asked: int) -> Iterator[str]:
        """All groups that a length belongs to; one that is unknown (0) or in no bucket only to
        all."""
        yield from filter(None, (self.bucket(asked), self.stage(asked)))
        yield ALL


def grouped(
    texts: Iterable[T], groups: Groups, names: Sequence[str]
) -> Iterator[tuple[str, str, list[T]]]:
    """Yield each model and each of these groups that has texts of it, with the texts."""
    inside: dict[tuple[str, str], list[T]] = {}
    models: dict[str, None] = {}
    for one in texts:
        models[one.model] = None
        for group in groups.of(one.asked):
            inside.setdefault((one.model, group), []).append(one)
    for model in models:
        for name in names:
            if found := inside.get((model, name)):
                yield model, name, found


def _name(low: int, high: int) -> str:
    """A bucket as people write it: "1-2k", or "50-100" if it is small."""
    if low % 1000 or high % 1000:
        return f"{low:,}-{high:,}"
    return f"{low // 1000}-{high // 1000}k"
