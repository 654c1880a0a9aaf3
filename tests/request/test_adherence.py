"""Ratios, bands, scores, buckets and stages."""

import pytest

from polaris_cli.request.adherence import BUCKETS, bucket_of, in_band, length_score, ratio, stage_of


@pytest.mark.parametrize(
    ("written", "requested", "score"),
    [
        (800, 1000, 0.8888889),
        (900, 1000, 1.0),
        (1100, 1000, 1.0),
        (1210, 1000, 0.9),
        (5000, 1000, 0.0),
        (0, 1000, 0.0),
        (0, 40, 1.0),  # the tolerance is at least 50 words
        (50, 100, 1.0),
        (25, 100, 0.5),
    ],
)
def test_length_score(written: int, requested: int, score: float) -> None:
    assert length_score(written, requested) == pytest.approx(score, abs=1e-6)


def test_ratio_and_band() -> None:
    assert ratio(2700, 3000) == 0.9
    assert in_band(2700, 3000, (0.9, 1.1)) and in_band(3300, 3000, (0.9, 1.1))
    assert not in_band(2699, 3000, (0.9, 1.1)) and not in_band(3301, 3000, (0.9, 1.1))


@pytest.mark.parametrize(
    ("words", "bucket"),
    [
        (999, None),
        (1000, (1000, 2000)),
        (2000, (1000, 2000)),
        (2001, (2000, 3000)),
        (4000, (3000, 4000)),
        (6000, (4000, 6000)),
        (6001, (6000, 8000)),
        (8001, (8000, 12000)),
        (12000, (8000, 12000)),
        (12001, None),
    ],
)
def test_buckets_are_closed_on_the_right(words: int, bucket: tuple[int, int] | None) -> None:
    assert bucket_of(words) == bucket


def test_bucket_edges_are_a_setting() -> None:
    assert bucket_of(6000, (1000, 5000, 9000)) == (5000, 9000)
    assert len(BUCKETS) - 1 == 6


@pytest.mark.parametrize(
    ("words", "stage"),
    [(1, "ID"), (4000, "ID"), (4001, "Near"), (8000, "Near"), (8001, "Far"), (50_000, "Far")],
)
def test_stage(words: int, stage: str) -> None:
    assert stage_of(words) == stage
