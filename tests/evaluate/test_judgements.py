"""A judge's records become the figures of each model and length."""

from typing import Any

import pytest

from polaris_cli.evaluate.judgements import judged, judged_rows
from polaris_cli.evaluate.rubric import Rubric, load_rubric

WRITING, LONGBENCH = load_rubric("writingbench"), load_rubric("longbench-write")


def a_record(rubric: Rubric, score: float, **more: Any) -> dict[str, Any]:
    keys = [one.key for one in rubric.criteria]
    fields = {"text": "t", "repeat": 0, "model": "m", "asked": 1500, "stated": {}}
    return {**fields, "scores": dict.fromkeys(keys, score), **more}


def mean_of(rows: Any, name: str) -> float:
    return float(rows[-1].totals[name].mean)


def test_scores_of_separate_calls_are_joined() -> None:
    calls = [
        a_record(WRITING, 0, scores={one.key: score})
        for one, score in zip(WRITING.criteria, (2, 4, 6, 8, 10), strict=True)
    ]
    assert mean_of(judged_rows(judged(calls, WRITING)), "mean") == 6
    rows = judged_rows(judged(calls[:-1], WRITING))
    assert (rows[-1].unreadable, rows[-1].texts, rows[-1].totals) == (1, 1, {})


def test_rows_are_by_model_and_bucket() -> None:
    found = judged(
        [
            a_record(LONGBENCH, 5, text="1", asked=1500),
            a_record(LONGBENCH, 3, text="2", asked=9000),
            a_record(LONGBENCH, 1, text="3", model="other"),
        ],
        LONGBENCH,
    )
    rows = judged_rows(found)
    assert [(row.model, row.group, row.texts) for row in rows] == [
        ("m", "1,000-2,000", 1), ("m", "8,000-12,000", 1), ("m", "All", 2),
        ("other", "1,000-2,000", 1), ("other", "All", 1),
    ]  # fmt: skip
    assert rows[2].totals["S_q"] and rows[2].totals["S_q"].mean == 75


def test_repeats_give_a_spread_and_count_as_one_text() -> None:
    found = judged([a_record(LONGBENCH, score, repeat=score) for score in (2, 4)], LONGBENCH)
    row = judged_rows(found)[-1]
    assert row.texts == 1 and row.spread == pytest.approx(50 / 2**0.5)
    assert judged_rows(found[:1])[-1].spread is None


def test_wrong_sums_and_unreadable_answers_are_counted() -> None:
    rubric = load_rubric("story-quality")
    found = judged(
        [
            a_record(rubric, 1, text="1", stated={"positive_total": 7}),
            a_record(rubric, 1, text="2", stated={"positive_total": 6}),
            a_record(rubric, 1, text="3", scores={}),
        ],
        rubric,
    )
    row = judged_rows(found)[-1]
    assert (row.mismatched, row.unreadable, row.texts) == (1, 1, 3)
