"""Lengths have their bucket and stage, at any scale."""

from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.evaluate.groups import ALL, Groups

SCALES = st.floats(0.01, 1)


def test_a_length_is_in_a_bucket_a_stage_and_all() -> None:
    assert list(Groups().of(4000)) == ["3-4k", "ID", ALL]
    assert list(Groups().of(8001)) == ["8-12k", "Far", ALL]
    assert list(Groups().of(0)) == [ALL]
    assert [list(Groups().of(asked)) for asked in (20, 999, 12_001)] == [[ALL]] * 3
    assert list(Groups(0.05).of(250)) == ["200-300", "Near", ALL]


@given(SCALES, st.integers(1, 20_000))
def test_a_bucket_has_a_name_of_the_list(scale: float, asked: int) -> None:
    groups = Groups(scale)
    bucket, inside = groups.bucket(asked), groups.edges[0] <= asked <= groups.edges[-1]
    assert (bucket in groups.buckets) == inside == (groups.stage(asked) is not None)
