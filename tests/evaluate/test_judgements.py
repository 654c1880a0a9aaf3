"""A judge's records become the figures of each model and length."""

from typing import Any

import pytest

from polaris_cli.evaluate.groups import Groups
from polaris_cli.evaluate.judgements import (
    JudgedRow,
    JudgedTable,
    judged,
    judged_tables,
)
from polaris_cli.evaluate.layout import judged_layouts, judged_titles
from polaris_cli.evaluate.rubric import load_rubric
from polaris_cli.evaluate.samples import Pair
from tests.evaluations import a_judgement

WRITING, LONGBENCH = load_rubric("writingbench"), load_rubric("longbench-write")


def table_of(*records: dict[str, Any], scale: float = 1.0) -> JudgedTable:
    (table,) = judged_tables(judged(records), Groups(scale), texts_of(*records))
    return table


def texts_of(*records: dict[str, Any]) -> dict[str, dict[Pair, list[str]]]:
    """The texts that the records judge, with the lengths in them."""
    texts: dict[str, dict[Pair, list[str]]] = {}
    for each in records:
        own = texts.setdefault(each["model"], {})
        own.setdefault(("", each["asked"], None), []).append(each["text"])
    return texts


def all_of(*records: dict[str, Any]) -> JudgedRow:
    return table_of(*records).stages[-1]


def test_scores_of_separate_calls_are_joined() -> None:
    calls = [
        a_judgement(WRITING, 0, scores={one.key: score})
        for one, score in zip(WRITING.criteria, (2, 4, 6, 8, 10), strict=True)
    ]
    found = all_of(*calls).totals["mean"]
    assert found and found.mean == 6
    row = all_of(*calls[:-1], a_judgement(WRITING, 0, scores={}))
    assert (row.unreadable, row.texts, row.totals) == (1, 1, {})


def test_a_text_whose_answers_are_still_to_come_is_not_unreadable() -> None:
    asked = [a_judgement(WRITING, 0, text="u", scores={one.key: 5}) for one in WRITING.criteria]
    assert judged(asked[1:]) == []
    row = all_of(a_judgement(WRITING, 5), *asked[1:])
    assert (row.unreadable, row.texts) == (0, 1)


def test_rows_are_by_model_and_bucket_and_stage() -> None:
    records = (
        a_judgement(LONGBENCH, 5, text="1", asked=1500),
        a_judgement(LONGBENCH, 3, text="2", asked=9000),
        a_judgement(LONGBENCH, 1, text="3", model="other"),
    )
    table = table_of(*records)
    assert [(row.model, row.group, row.texts) for row in table.buckets] == [
        ("m", "1-2k", 1), ("m", "8-12k", 1), ("other", "1-2k", 1),
    ]  # fmt: skip
    assert [(row.model, row.group, row.texts) for row in table.stages] == [
        ("m", "ID", 1), ("m", "Far", 1), ("m", "All", 2), ("other", "ID", 1), ("other", "All", 1),
    ]  # fmt: skip
    assert table.stages[2].totals["S_q"] and table.stages[2].totals["S_q"].mean == 75
    assert table.slopes == {"m": pytest.approx(-10), "other": None}  # five buckets later
    assert [row.group for row in table_of(records[0], scale=0.5).buckets] == ["1,000-1,500"]


def test_repeats_give_a_spread_and_count_as_one_text() -> None:
    records = [a_judgement(LONGBENCH, score, repeat=score) for score in (2, 4)]
    row = all_of(*records)
    assert row.texts == 1 and row.spread == pytest.approx(50 / 2**0.5)
    assert all_of(records[0]).spread is None
    (found,) = row.totals.values()
    assert found and found.count == 1 and found.low is None, "repeats are no more texts"


def test_the_same_text_for_two_lengths_counts_twice() -> None:
    p: Pair = ("p", 1500, None)
    texts = {"m": {p: ["t"], ("p", 9000, None): ["t"]}, "other": {p: ["t"]}}
    (table,) = judged_tables(judged([a_judgement(LONGBENCH, 5)]), Groups(), texts)
    assert [(row.model, row.group, row.texts) for row in table.buckets] == [
        ("m", "1-2k", 1), ("m", "8-12k", 1), ("other", "1-2k", 1),
    ]  # fmt: skip
    row = next(row for row in table.stages if (row.model, row.group) == ("m", "All"))
    assert (row.texts, row.spread) == (2, None)
    assert table.differences[0].values["S_q"] is not None


def test_wrong_sums_and_unreadable_answers_are_counted() -> None:
    rubric = load_rubric("story-quality")
    row = all_of(
        a_judgement(rubric, 1, text="1", stated={"positive_total": 7}),
        a_judgement(rubric, 1, text="2", stated={"positive_total": 6}),
        a_judgement(rubric, 1, text="3", scores={}),
    )
    assert (row.mismatched, row.unreadable, row.texts) == (1, 1, 3)


def test_each_judge_and_rubric_has_a_table_that_says_how_it_was_asked() -> None:
    thinking = {"judge": "qwen", "thinks": True}
    records = (
        a_judgement(LONGBENCH, 5),
        a_judgement(LONGBENCH, 3, judge=thinking, date="2026-02-01"),
        a_judgement(LONGBENCH, 3, judge=thinking, text="u"),
        a_judgement(LONGBENCH, 1, rubric_key="edited"),
        a_judgement(WRITING, 1),
    )
    tables = judged_tables(judged(records), Groups(), texts_of(*records))
    assert sorted(judged_titles(tables)) == [
        f"longbench-write, judged by qwen (thinks false; 2026-01-31; rubric {LONGBENCH.key})",
        "longbench-write, judged by qwen (thinks false; 2026-01-31; rubric edited)",
        "longbench-write, judged by qwen (thinks true; 2026-01-31 to 2026-02-01)",
        "writingbench, judged by qwen (thinks false; 2026-01-31)",
    ]


def test_models_are_compared_on_the_prompts_whose_texts_are_judged() -> None:
    p: Pair = ("p", 900, 0)
    texts: dict[str, dict[Pair, list[str]]] = {
        "a": {p: ["a1"], ("q", 900, 0): ["a2"], ("r", 900, 0): ["a3"], ("", 9, 0): ["a4"]},
        "b": {p: ["b1"], ("q", 900, 0): ["b2"], ("r", 900, 0): ["b3"], ("", 9, 0): ["b4"]},
        "c": {("p", 900, 1): ["c1"]},
    }
    scores = {"a1": 1, "a2": 2, "a3": 3, "a4": 1, "b1": 3, "b2": 5, "b4": 5, "c1": 5}
    found = judged(
        [
            *(a_judgement(LONGBENCH, n, text=text, model=text[0]) for text, n in scores.items()),
            a_judgement(LONGBENCH, 3, text="b2", model="b", repeat=1),
            a_judgement(LONGBENCH, 0, text="b3", model="b", scores={}),
        ]
    )
    (table,) = judged_tables(found, Groups(), texts)
    (one,) = table.differences
    assert (one.model, one.other, one.count) == ("b", "a", 2)
    total = one.values["S_q"]
    assert total and (total.mean, total.low, total.high) == (50, 50, 50)
    _, compared = judged_layouts([table])
    assert compared.headers == ("models", "pairs", "S_q")
    assert compared.rows == [("b - a", "2", "+50.00 (50.00-50.00)")]
    texts["b"][p] += ["b2"]
    (again,) = judged_tables(found, Groups(), texts)[0].differences
    both = again.values["S_q"]
    assert both and both.mean == 56.25
    assert both.low == pytest.approx(-23.16378) and both.high == pytest.approx(135.66378)
    assert compared.title.endswith("longbench-write, judged by qwen (thinks false; 2026-01-31)")
    assert [*judged_layouts([table_of(a_judgement(LONGBENCH, 1))])][1:] == []


@pytest.mark.parametrize(
    ("name", "header", "cells"),
    [
        ("story-quality", "card's overall_score", ["-", "57.4", "52.1"]),
        ("longform", "card's uniform", ["-", "63.1", "59.8"]),
    ],
)
def test_the_cards_figures_stand_beside_those_of_the_same_rubric(
    name: str, header: str, cells: list[str]
) -> None:
    (found,) = judged_layouts([table_of(a_judgement(load_rubric(name), 1, model="polaris"))])
    assert found.headers[-1] == header and [row[-1] for row in found.rows] == cells
    for other in (
        table_of(a_judgement(load_rubric(name), 1, model="mine")),
        table_of(a_judgement(load_rubric(name), 1, model="polaris", asked=75), scale=0.05),
    ):
        (own,) = judged_layouts([other])
        assert header not in own.headers and len(own.headers) == len(own.rows[0])
