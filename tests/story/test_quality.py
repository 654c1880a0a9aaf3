"""Surprise, its curve and short paragraphs."""

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.story.quality import POINTS, Quality, means, quality_of, short_paragraphs
from polaris_cli.streaming.surprise import WINDOW

LOG_PROBS = st.lists(st.floats(-20, 0), max_size=400)


@given(LOG_PROBS)
def test_figures_are_those_of_the_log_probabilities(log_probs: list[float]) -> None:
    found = quality_of("One two.", log_probs)
    assert found.tokens == len(log_probs)
    if not log_probs:
        assert found == Quality(self_repetition=found.self_repetition, meta_talk=0)
        return
    assert found.surprise_mean == pytest.approx(-fmean(log_probs), abs=1e-3)
    assert len(found.curve) == (POINTS if len(log_probs) >= POINTS else 0)
    windows = [
        -fmean(log_probs[at : at + WINDOW]) for at in range(max(len(log_probs) - WINDOW + 1, 0))
    ]
    worst = pytest.approx(max(windows), abs=1e-3) if windows else None
    assert found.surprise_worst == worst


def test_a_passage_that_decays_is_the_worst_and_stands_in_the_curve() -> None:
    found = quality_of("", [-1.5] * 900 + [-4.0] * 100)
    assert found.surprise_worst == 4.0 and found.curve[:18] == (1.5,) * 18
    assert found.curve[-1] == 4.0


def test_means_of_every_window() -> None:
    assert list(means([1, 2, 3, 4], 2)) == [1.5, 2.5, 3.5]
    assert list(means([1], 2)) == []


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("The sea was calm that day, and nobody came.", 0.0),
        ("The sea.\n\nThe sky.\n\nThe sea was calm that day, and nobody came.", 2 / 3),
        (
            "# Fog\n\nChapter 1\n\nThe sea.\n\n* * *\n\n**Chapter 2**\nThe sea was calm that day.",
            1.0,
        ),
        ("It was calm that day, and nobody came.\n\n***\n\n## Two", 0.0),
        ("“Come in.”\n\n- Yes.\n\n'No.'\n\n\"Why?\"\n\n「はい」", 0.0),
        ("The keeper's lamp.\n\nIt's dark.", 1.0),  # an apostrophe is no dialogue
    ],
)
def test_short_paragraphs_without_dialogue(text: str, share: float) -> None:
    assert short_paragraphs(text) == pytest.approx(share)
