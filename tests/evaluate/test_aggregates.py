"""Totals are those of the published evaluations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.evaluate.aggregates import AGGREGATIONS, longform, story_quality
from polaris_cli.evaluate.rubric import Criterion, load_rubric, rubric_names


def quality(positive: float, negative: float, bonus: float, penalty: float) -> dict[str, float]:
    scores = {"positive_a": positive, "negative_b": negative, "bonus": bonus, "penalty": penalty}
    return story_quality(scores)


def test_the_values_of_the_authors_code() -> None:
    found = quality(80, 20, 4, 5)
    assert found["overall_score"] == 64 and found["training_reward"] == pytest.approx(0.61)
    scores = {one.key: 12.0 if at < 6 else 8.0 for at, one in enumerate(longform_criteria())}
    totals = longform(scores)
    assert round(totals["weighted"], 2) == 54.36 and totals["uniform"] == pytest.approx(60)
    assert AGGREGATIONS["five-to-100"].totals(dict.fromkeys("abcdef", 4.0)) == {"S_q": 75}


def longform_criteria() -> tuple[Criterion, ...]:
    return load_rubric("longform").criteria


def test_the_training_reward_has_its_limits() -> None:
    assert quality(40, 21, 8, 8)["training_reward"] == pytest.approx((40 - 21 - 3) / 100)
    assert quality(30, 21, 8, 8)["training_reward"] == pytest.approx((30 - 21 - 8) / 100)
    assert quality(0, 100, 0, 8)["training_reward"] == pytest.approx(-1.08)
    assert quality(100, 0, 8, 0) == {
        "overall_score": 100,
        "positive_total": 100,
        "negative_total": 0,
        "training_reward": 1.08,
    }


@pytest.mark.parametrize("name", rubric_names())
@given(share=st.floats(0, 1))
def test_totals_stay_within_their_scales(name: str, share: float) -> None:
    rubric = load_rubric(name)
    scores = {one.key: one.low + share * (one.high - one.low) for one in rubric.criteria}
    main = next(iter(AGGREGATIONS[rubric.aggregation].totals(scores).values()))
    assert -166 <= main <= 100 + 1e-9
