"""The catalogue: names, similar names, the model card's figures and the recommendation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.models import catalogue
from polaris_cli.models.catalogue import BASE, BASE_27B, CATALOGUE, DEMO, NO_HRI, POLARIS


@pytest.mark.parametrize("name", ["polaris", "POLARIS", " rishanthrajendhran/polaris-9b "])
def test_find_takes_a_name_or_a_hub_id_in_any_case(name: str) -> None:
    assert catalogue.find(name) is POLARIS


@pytest.mark.parametrize("name", ["", " ", "auto", "gpt2", "./polaris"])
def test_find_knows_nothing_else(name: str) -> None:
    assert catalogue.find(name) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("polarsi", "polaris"),
        ("no_hri", "no-hri"),
        ("base27b", "base-27b"),
        ("Qwen/Qwen3.5-9b-Instruct", "Qwen/Qwen3.5-9B"),
        ("xyzzy", None),
    ],
)
def test_near(typed: str, meant: str | None) -> None:
    assert catalogue.near(typed) == meant


def test_names_and_hub_ids_differ() -> None:
    assert len({e.name for e in CATALOGUE}) == len(CATALOGUE)
    assert len({e.hub_id for e in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("words", "ratio"),
    [(300, 0.99), (3000, 0.99), (4000, 0.99), (4001, 0.87), (8000, 0.87), (12000, 0.72)],
)
def test_the_card_reports_lower_ratios_for_longer_stories(words: int, ratio: float) -> None:
    assert POLARIS.profile.length_ratio.at(words) == ratio


def test_beyond_the_card_the_nearest_stage_is_used() -> None:
    assert NO_HRI.profile.length_ratio.at(50_000) == 0.70
    assert BASE.profile.length_ratio.at(1) == 1.09


def test_a_missing_figure_is_none() -> None:
    assert DEMO.profile.length_ratio.at(300) is None
    assert BASE_27B.profile.length_ratio.at(3000) is None
    assert BASE_27B.profile.length_ratio.at(9000) == 0.82


@given(st.integers(1, 200_000))
def test_the_recommended_model_is_the_best_of_the_card(words: int) -> None:
    name, reason = catalogue.recommended(words)
    assert name == "polaris"
    assert ("recommends" in reason) == (words > 6000)
    points = [e.quality.at(words) for e in (POLARIS, NO_HRI, BASE, BASE_27B)]
    assert max(p for p in points if p is not None) == POLARIS.quality.at(words)


def test_sizes_follow_from_the_shape() -> None:
    assert POLARIS.weights_bytes == pytest.approx(18e9, rel=0.01)
    assert POLARIS.cache_bytes_per_token == 32_768
    for entry in CATALOGUE:
        assert 0 < entry.linear_parameters < entry.parameters
