"""The request refuses what cannot be right, and says what may be given."""

import math

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.request.story_request import MAX_WORDS, Sampling, StoryRequest


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_p", math.nan),
        ("top_k", -1),
        ("min_p", 2.0),
        ("repetition_penalty", 0.0),
        ("presence_penalty", 3.0),
        ("dry_multiplier", -1.0),
        ("seed", -1),
        ("max_new_tokens", 0),
        ("thinking_budget", -2),
    ],
)
def test_sampling_out_of_range_is_refused(field: str, value: float) -> None:
    with pytest.raises(UsageError) as refused:
        Sampling(**{"repetition_penalty": 1.0, field: value})  # type: ignore[arg-type]
    assert field.replace("_", "-") in refused.value.message
    assert refused.value.hint


def test_both_penalties_are_refused() -> None:
    with pytest.raises(UsageError, match="both set"):
        Sampling(repetition_penalty=1.1, presence_penalty=0.5)
    assert Sampling(repetition_penalty=1.0, presence_penalty=1.5).presence_penalty == 1.5


def test_a_budget_of_zero_means_no_thinking() -> None:
    assert Sampling().thinks
    assert not Sampling(thinking_budget=0).thinks
    assert not Sampling(thinking=False).thinks


@pytest.mark.parametrize("premise", ["", " \n\t"])
def test_an_empty_premise_is_refused(premise: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        StoryRequest(premise, 100)


@pytest.mark.parametrize("words", [0, -5, MAX_WORDS + 1])
def test_words_out_of_range_are_refused(words: int) -> None:
    with pytest.raises(UsageError, match="words"):
        StoryRequest("a fox", words)


@pytest.mark.parametrize(
    "wrong",
    [
        {"form": "sonnet"},
        {"quantize": "3bit"},
        {"engine": "magic"},
        {"band": (1.1, 1.2)},
        {"band": (0.0, 1.2)},
        {"band": (0.9, math.inf)},
        {"base_url": "http://127.0.0.1:1"},
    ],
)
def test_other_values_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        StoryRequest("a fox", 100, **wrong)  # type: ignore[arg-type]
    assert refused.value.hint
