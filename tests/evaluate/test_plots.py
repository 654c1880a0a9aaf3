"""The plots of an evaluation: each is there if it has data, and shows the right values."""

import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.evaluate.plots import Plot, plots
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.svg import MARKERS, SERIES, check_installed, mark
from tests.evaluations import made_up, scored, without_surprise

BAND = (0.9, 1.1)
pytestmark = pytest.mark.slow  # matplotlib takes a second for a set of plots


def drawn(samples: Iterable[Sample], scale: float = 1.0, *, judge: bool = False) -> dict[str, Plot]:
    found, _ = scored(samples, scale, judge=judge)
    return {plot.name: plot for plot in plots(found, found.tables(), BAND)}


def points(plot: Plot, number: int = 0) -> list[tuple[float, float]]:
    """Where the points of a model are, in the units of the image."""
    root, colour = ElementTree.fromstring(plot.svg), f"var(--series-{number + 1}"
    uses = (each for each in root.iter("use") if colour in (each.get("style") or ""))
    return [(float(each.get("x") or ""), float(each.get("y") or "")) for each in uses]


def slope_of(line: list[tuple[float, float]]) -> float:
    (x, y), (right, top) = line[0], line[-1]
    return (top - y) / (right - x)


@pytest.fixture(scope="module")
def all_plots() -> dict[str, Plot]:
    return drawn(made_up(count=1, scale=0.1), 0.1)


def test_every_plot_is_there(all_plots: dict[str, Plot]) -> None:
    assert [*all_plots] == [
        "asked", "ratios", "bucket-ratio", "bucket-length_score", "slopes", "surprise",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("asked", "words written"),
        ("ratios", "words written / words asked"),
        ("bucket-ratio", "words written / words asked"),
        ("bucket-length_score", "score, 0 to 1"),
        ("slopes", "words written / words asked"),
        ("surprise", "surprise, nats per token"),
    ],
)
def test_a_plot_says_what_it_shows(all_plots: dict[str, Plot], name: str, unit: str) -> None:
    plot = all_plots[name]
    root = ElementTree.fromstring(plot.svg)
    assert root.get("role") == "img" and root.findtext("title") == plot.title
    assert (root.get("aria-label") or "").startswith(f"{plot.title}. ")
    assert unit in [each.text for each in root.iter("text")]
    assert "currentColor" in plot.svg and "#101010" not in plot.svg
    assert len(points(plot)) == 6


def test_plots_without_data_are_left_out() -> None:
    alone = [*without_surprise(made_up(["m"], count=1))][:1]
    assert [*drawn(alone)] == ["asked", "ratios", "bucket-ratio", "bucket-length_score"]
    assert [*drawn([Sample("A word.", 5)])] == ["asked", "ratios"]


def test_points_are_where_their_values_are() -> None:
    samples = [Sample("word " * n, 2 * n, "m", surprise=n / 1000) for n in (500, 1000, 2000)]
    found = drawn(samples)
    (x, y), (x2, y2), (x3, y3) = points(found["asked"])
    assert (x3 - x2) / (x2 - x) == pytest.approx(2, rel=1e-3)
    assert (y3 - y2) / (y2 - y) == pytest.approx(2, rel=1e-3) and y3 < y2 < y
    assert len({round(x, 3) for x, _ in points(found["ratios"])}) == 1
    (x, y), (x2, y2), (x3, y3) = points(found["surprise"])
    assert (y3 - y2) / (y2 - y) == pytest.approx(2, rel=1e-3)


def test_the_slope_line_goes_through_the_means() -> None:
    samples = [Sample("word " * (n - 250 * k), n, "m") for k, n in enumerate((1000, 2500, 4000), 1)]
    plot = drawn(samples)["slopes"]
    assert re.fullmatch(r"m: [+-]0\.\d{3} per bucket", plot.series[0])
    line = re.search(
        r'd="M ([\d.]+) ([\d.]+) \nL [^"]*?\nL ([\d.]+) ([\d.]+) \n" [^>]*series-1', plot.svg
    )
    assert line
    x, y, right, end = map(float, line.groups())
    found = points(plot)
    mean = math.fsum(height for _, height in found) / 3
    assert (y + end) / 2 == pytest.approx(mean, abs=0.01)
    middle = math.fsum((place - found[1][0]) * height for place, height in found)
    spread = math.fsum((place - found[1][0]) ** 2 for place, _ in found)
    assert slope_of([(x, y), (right, end)]) == pytest.approx(middle / spread, abs=1e-3)


def test_intervals_are_drawn_where_there_are_any() -> None:
    def bars(count: int) -> int:
        svg = drawn(made_up(["m"], count=count, scale=0.1), 0.1)["bucket-ratio"].svg
        return len(re.findall(r'<path d="[^"]*" [^>]* stroke: var\(--series-1[^>]*square', svg))

    assert bars(1) == 0 and bars(2) == 6


def test_the_card_is_drawn_for_its_models_at_whole_lengths() -> None:
    def dashed(model: str, scale: float = 1.0) -> int:
        plot = drawn([Sample("word " * 900, 1000, model)], scale)["asked"]
        lines = plot.svg.count("stroke-dasharray")
        assert bool(lines) == ("authors' figures" in plot.caption)
        return lines

    assert dashed("polaris") == 3 and dashed("base-27b") == 1
    assert dashed("mine") == dashed("polaris", 0.1) == 0


def test_totals_of_lengths_in_no_bucket_are_not_drawn() -> None:
    outside = [replace(one, asked=100) for one in made_up(["mine"], count=1)]
    assert not [name for name in drawn(outside, judge=True) if name.startswith("judged")]


def test_a_judges_totals_are_drawn_by_bucket_with_the_cards() -> None:
    drawn_by = drawn(made_up(["polaris", "mine"], count=1), judge=True)
    quality, longform = drawn_by["judged-0"], drawn_by["judged-1"]
    assert quality.title == "story-quality, judged by qwen" and "overall_score" in quality.svg
    assert "uniform" in longform.svg
    for plot in (quality, longform):
        assert plot.series == {0: "polaris", 1: "mine"} and "card's figures" in plot.caption
        assert plot.svg.count("stroke-dasharray") == 6 and len(points(plot, 1)) >= 4
    small = drawn(made_up(["polaris"], count=1, scale=0.1), 0.1, judge=True)["judged-0"]
    assert "stroke-dasharray" not in small.svg and "card" not in small.caption


def test_the_same_stories_give_the_same_bytes(all_plots: dict[str, Plot]) -> None:
    assert drawn(made_up(count=1, scale=0.1), 0.1) == all_plots


def test_the_style_of_the_user_does_not_count(all_plots: dict[str, Plot]) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert drawn(made_up(count=1, scale=0.1), 0.1) == all_plots
        assert matplotlib.rcParams["font.size"] == 30


def test_ids_are_different_in_all_plots(all_plots: dict[str, Plot]) -> None:
    ids = [each for plot in all_plots.values() for each in re.findall(r' id="(.*?)"', plot.svg)]
    uses = {
        each for plot in all_plots.values() for each in re.findall(r"#([\w-]+-[mp]\w+)", plot.svg)
    }
    assert len(ids) == len(set(ids)) and uses == set(ids)


@pytest.mark.parametrize(
    "name",
    ["$\\frac$", "_hidden", "<b>&\"'", "\x00\ud800", "日本語モデル", "", "a" * 300, "%s {0}\\1"],
)
def test_any_name_of_a_model_can_be_drawn(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = drawn(made_up([name], count=1, scale=0.05), 0.05)
    for plot in found.values():
        ElementTree.fromstring(plot.svg)
    assert found["asked"].series == {0: name}


def test_thirty_models_look_different() -> None:
    assert len({mark(number) for number in range(30)}) == 30 == len(SERIES) * len(MARKERS)


def test_without_matplotlib_a_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(UsageError) as error:
        check_installed()
    assert "polaris-story[report]" in error.value.hint
