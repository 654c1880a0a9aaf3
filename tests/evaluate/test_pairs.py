"""Models are compared on the prompts that they share, figure by figure."""

from polaris_cli.evaluate.pairs import Difference, differences
from polaris_cli.evaluate.samples import Pair

Figures = dict[str, float | None]
P, Q = ("p", 900, 0), ("q", 900, 0)


def compared(**texts: dict[Pair, Figures]) -> list[Difference]:
    return compared_all(
        **{model: {pair: [one] for pair, one in own.items()} for model, own in texts.items()}
    )


def compared_all(**texts: dict[Pair, list[Figures]]) -> list[Difference]:
    return [*differences(texts, ("x", "y"), lambda one, name: one[name])]


def test_a_figure_counts_where_both_have_it() -> None:
    (one,) = compared(a={P: {"x": 1, "y": 5}, Q: {"x": 2, "y": None}},
                      b={Q: {"x": 5, "y": 1}, P: {"x": 2, "y": 4}})  # fmt: skip
    assert (one.model, one.other, one.count) == ("b", "a", 2)
    x, y = one.values["x"], one.values["y"]
    assert x and y and (x.mean, x.count) == (2, 2) and (y.mean, y.count) == (-1, 1)


def test_every_two_models_are_compared_if_they_share_a_prompt() -> None:
    one: Figures = {"x": 1, "y": 1}
    found = compared(a={P: one}, b={P: one, Q: one}, c={Q: one}, d={P: one})
    assert [(each.model, each.other) for each in found] == [
        ("b", "a"), ("d", "a"), ("c", "b"), ("d", "b"),
    ]  # fmt: skip


def test_several_texts_for_one_prompt_count_as_their_mean() -> None:
    (one,) = compared_all(
        a={P: [{"x": 1, "y": None}, {"x": 3, "y": 4}]},
        b={P: [{"x": 5, "y": None}, {"x": 6, "y": None}, {"x": 1, "y": None}]},
    )
    assert one.count == 1 and one.values["x"] and one.values["x"].mean == 2
    assert one.values["y"] is None


def test_a_text_without_a_prompt_is_compared_with_none() -> None:
    assert compared(a={("", 900, 0): {"x": 1}}, b={("", 900, 0): {"x": 1}}) == []
