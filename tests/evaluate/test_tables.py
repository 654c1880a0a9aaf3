"""Texts go to their bucket and stage; means, slopes and differences are right."""

import pytest

from polaris_cli.evaluate.exports import as_json
from polaris_cli.evaluate.figures import Figures, figures_of
from polaris_cli.evaluate.groups import Groups
from polaris_cli.evaluate.layout import layout
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.statistics import estimate, share, slope
from polaris_cli.evaluate.tables import Evaluation

T = 12.7062  # the 97.5% quantile of Student's t for two values


def a_sample(asked: int, share: float, **more: object) -> Sample:
    return Sample("word " * round(asked * share), asked, **more)  # type: ignore[arg-type]


def evaluation(*samples: Sample, scale: float = 1.0) -> Evaluation:
    found = Evaluation(Groups(scale))
    for sample in samples:
        found.add(sample, figures_of(sample))
    return found


def mean(values: object, name: str) -> float:
    found = values[name]  # type: ignore[index]
    assert found
    return float(found.mean)


def test_buckets_and_stages() -> None:
    lengths = (1000, 2000, 2001, 4000, 6000, 8000, 8001, 12000, 500)
    found = evaluation(*(a_sample(asked, 1.0, model="m") for asked in lengths)).tables()
    assert [(row.group, row.count) for row in found.buckets] == [
        ("1-2k", 2), ("2-3k", 1), ("3-4k", 1), ("4-6k", 1), ("6-8k", 1), ("8-12k", 2),
    ]  # fmt: skip
    assert [(row.group, row.count) for row in found.stages] == [
        ("ID", 4), ("Near", 2), ("Far", 2), ("All", 9),
    ]  # fmt: skip
    assert found.outside == 1


def test_a_scale_shrinks_the_buckets() -> None:
    found = evaluation(*(a_sample(asked, 1.0) for asked in (51, 100, 600)), scale=0.05).tables()
    assert [row.group for row in found.buckets] == ["50-100", "400-600"]
    assert found.outside == 0 and [row.group for row in found.stages] == ["ID", "Far", "All"]


def test_a_length_at_the_edge_of_a_bucket_is_in_the_stage_of_that_bucket() -> None:
    found = evaluation(*(a_sample(asked, 1.0) for asked in (133, 267, 268)), scale=1 / 30).tables()
    assert [row.group for row in found.stages] == ["ID", "Near", "Far", "All"]


def test_the_slope_goes_through_the_bucket_means() -> None:
    asked = (2000, 3000, 4000, 6000, 8000, 12000)
    shares = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)
    samples = [a_sample(n, share, model="m") for n, share in zip(asked, shares, strict=True)]
    found = evaluation(*samples, samples[0]).tables()
    assert found.slopes["m"]["ratio"] == pytest.approx(-0.05)
    assert found.slopes["m"]["surprise"] is None


def test_a_bucket_without_texts_counts_in_the_slope() -> None:
    samples = [a_sample(2000, 1.0, model="m"), a_sample(12000, 0.75, model="m")]
    assert evaluation(*samples).tables().slopes["m"]["ratio"] == pytest.approx(-0.05)


def test_models_are_compared_on_the_prompts_that_they_share() -> None:
    def of(model: str, prompt: str, share: float) -> Sample:
        return a_sample(1000, share, model=model, prompt_id=prompt)

    found = evaluation(
        of("a", "1", 0.5),
        of("a", "2", 0.7),
        of("a", "3", 0.1),
        of("b", "1", 0.6),
        of("b", "2", 1.0),
    ).tables()
    (difference,) = found.differences
    assert (difference.model, difference.other, difference.count) == ("b", "a", 2)
    assert mean(difference.values, "ratio") == pytest.approx(0.2)
    low, high = difference.values["ratio"].low, difference.values["ratio"].high  # type: ignore[union-attr]
    assert low == pytest.approx(0.2 - 0.1 * T) and high == pytest.approx(0.2 + 0.1 * T)


def test_prompts_are_the_same_by_their_text_and_not_by_their_id() -> None:
    known = {("a", "1"): "a fox", ("a", "2"): "a hen", ("b", "1"): "a hen", ("b", "x"): "an owl"}
    texts = [
        a_sample(1000, 1, model=model, prompt=prompt, prompt_id=name)
        for (model, name), prompt in known.items()
    ]
    (difference,) = evaluation(*texts).tables().differences
    assert difference.count == 1
    assert evaluation(texts[0], texts[2]).tables().differences == []


def test_all_texts_for_a_prompt_count_in_a_difference() -> None:
    shares = [("a", 0.5), ("a", 0.7), ("b", 1.0), ("b", 0.8), ("b", 0.6)]
    texts = (a_sample(1000, share, model=model, prompt_id="1") for model, share in shares)
    (difference,) = evaluation(*texts).tables().differences
    assert difference.count == 1 and mean(difference.values, "ratio") == pytest.approx(0.2)


def test_models_without_a_name_are_called_by_their_file() -> None:
    samples = [a_sample(1000, 1, model_id=file, prompt="p") for file in ("a.jsonl", "b.jsonl")]
    assert [row.model for row in evaluation(*samples).tables().buckets] == ["a.jsonl", "b.jsonl"]
    assert [row.model for row in evaluation(samples[0]).tables().buckets] == ["a.jsonl"]


def test_models_of_one_name_are_told_apart_by_their_ids() -> None:
    models = [("final", "/a/final"), ("final", "/b/final"), ("demo", "/demo"), ("final", "")]
    samples = [a_sample(1000, 1, model=name, model_id=id, prompt="p") for name, id in models]
    found = evaluation(*samples)
    for tables in (found.tables(), found.tables()):
        assert found.models == ["/a/final", "/b/final", "demo", "final"] == [*tables.made]
        assert len(tables.differences) == 6 and set(tables.finishes) == set(found.models)


def test_texts_without_a_prompt_are_not_paired() -> None:
    found = evaluation(a_sample(1000, 1, model="a"), a_sample(1000, 1, model="b")).tables()
    assert found.differences == []


def test_finish_reasons_are_counted() -> None:
    samples = [a_sample(1000, 1, model="a", finish=reason) for reason in ("stop", "stop", "loop")]
    samples.append(a_sample(1000, 1, model="a", finish="stop", closed=True))
    assert evaluation(*samples, a_sample(9, 1, model="b")).tables().finishes == {
        "a": {"stop": 2, "loop": 1, "closed": 1},
        "b": {},
    }


def test_estimates() -> None:
    assert estimate([]) is None
    alone = estimate([2.0])
    assert alone and (alone.mean, alone.low, alone.high) == (2, None, None)
    same = estimate([2.0] * 5)
    assert same and (same.low, same.high) == (2, 2)
    found = estimate([0.0, 1.0] * 500)
    assert found and found.low and found.high
    assert found.mean == 0.5 and 0.46 < found.low < 0.48 and 0.52 < found.high < 0.54
    assert estimate([0.0, 1.0] * 500) == found


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[0.1 + 0.2, 0.3, 0.3], [1 / 3 - (1 - 2 / 3), 0, 0.0]])
def test_values_that_are_equal_up_to_rounding_are_equal(values: list[float]) -> None:
    found = estimate(values)
    assert found and found.low == found.high == found.mean == pytest.approx(values[1])


def test_a_share_has_a_wilson_interval() -> None:
    assert share([]) is None
    alone = share([1.0])
    assert alone and (alone.mean, alone.low, alone.high) == (1, None, None)
    found = share([1.0] * 8 + [0.0] * 2)
    assert found and [found.low, found.high] == pytest.approx([0.490162, 0.943318], abs=1e-6)
    samples = [a_sample(1000, 1, model="m", finish="stop") for _ in range(10)]
    ended = evaluation(*samples).tables().buckets[0].values["ended"]
    assert ended and ended.low and ended.mean == ended.high == 1 and ended.low < 0.8


@pytest.mark.parametrize("count", [2, 5, 10, 40])
def test_intervals_cover_the_true_mean_about_as_often_as_they_say(count: int) -> None:
    import numpy

    draws = numpy.random.default_rng(1).normal(3.0, 1.0, (200, count))
    found = [estimate(list(map(float, row))) for row in draws]
    covered = sum(one.low <= 3.0 <= one.high for one in found if one and one.low and one.high)
    assert 180 <= covered <= 200


def test_slopes() -> None:
    assert slope({}) is slope({3: 1.0}) is None
    assert slope({0: 1.0, 1: 3.0}) == pytest.approx(2)
    assert slope({0: 57.4, 1: 48.2, 2: 44.1}) == pytest.approx(-6.65)
    assert slope({0: 1.0, 5: 0.5}) == pytest.approx(-0.1)


def test_figures_have_a_name_each() -> None:
    found = evaluation(a_sample(1000, 1.0)).tables()
    assert set(found.stages[0].values) == {*Figures.__slots__}


@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_the_cards_figures_are_shown_for_whole_lengths_only(scale: float) -> None:
    found = evaluation(a_sample(round(10_000 * scale), 1, model="polaris"), scale=scale).tables()
    (table,) = (each for each in layout(found) if each.title.startswith("Ratio by stage"))
    shown = [row[-1] for row in table.rows]
    assert len(table.headers) == len(table.rows[0])
    assert ("card" in table.title) == ("card's ratio" in table.headers) == (scale == 1)
    assert (shown == ["0.72", "0.90"]) == (scale == 1)
    assert ("polaris" in as_json(found, {})["card"]) == (scale == 1)


def test_there_is_no_table_of_lengths_without_a_bucket() -> None:
    titles = {
        asked: [table.title for table in layout(evaluation(a_sample(asked, 1.0)).tables())]
        for asked in (50, 1000)
    }
    assert titles[50] == titles[1000][1:]
    assert titles[1000][0] == "Length, by words asked for"
