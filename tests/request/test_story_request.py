"""Requests refuse invalid values and name the valid ones."""

import math

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import COLDEST, MAX_WORDS, Draft, Sampling, StoryRequest


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
        ("repetition_penalty", 1e-40),
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
    assert field in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("temperature", 0.0, 5.0),
        ("top_k", 0, 1_000_000),
        ("min_p", 0.0, 1.0),
        ("repetition_penalty", 0.01, 10.0),
        ("presence_penalty", -2.0, 2.0),
        ("dry_multiplier", 0.0, 100.0),
        ("seed", 0, 2**63 - 1),  # what a generator of torch takes
        ("max_new_tokens", 1, 1_000_000),
        ("thinking_budget", -1, 1_000_000),
    ],
)
def test_both_ends_of_a_range_are_allowed(field: str, least: float, most: float) -> None:
    def sampling(value: float) -> Sampling:
        return Sampling(**{"repetition_penalty": 1.0, field: value})  # type: ignore[arg-type]

    assert [getattr(sampling(value), field) for value in (least, most)] == [least, most]
    for beyond in (least - 1, most + 1):
        with pytest.raises(UsageError, match=field):
            sampling(beyond)


@pytest.mark.parametrize("cold", [1e-6, 1e-38, 5e-324])
def test_a_temperature_near_0_is_greedy(cold: float) -> None:
    assert Sampling(temperature=cold).temperature == 0
    assert Sampling(temperature=COLDEST).temperature == COLDEST


def test_new_seeds_all_differ_and_stay_in_range() -> None:
    drawn = [Sampling(seed=seed).redrawn(times).seed for seed in range(50) for times in range(4)]
    assert len(set(drawn)) == 200
    last = Sampling(seed=2**63 - 1)
    assert last.redrawn().redrawn() == last.redrawn(2) != last


@pytest.mark.parametrize("value", ["40", 40.5, None, True, [40]])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match=r"words is .*, but must be a whole number\.$"):
        StoryRequest("a fox", value)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"seed is .*, but must be a whole number"):
        Sampling(seed=value)  # type: ignore[arg-type]


def test_large_numbers_are_readable() -> None:
    with pytest.raises(UsageError, match=r"words is 40,000,000, but must be from 1 to 200,000\.$"):
        StoryRequest("a fox", 40_000_000)


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


def test_one_word_and_the_most_words_are_allowed() -> None:
    assert [StoryRequest("a fox", words).words for words in (1, MAX_WORDS)] == [1, MAX_WORDS]


def test_a_band_can_end_at_ratio_1() -> None:
    for band in ((0.8, 1.0), (1.0, 1.2), (1.0, 1.0)):
        assert StoryRequest("a fox", 100, band=band).band == band


def test_a_draft_cannot_have_chapters_or_thinking() -> None:
    draft, plain = Draft("Once upon a time"), Sampling(thinking=False)
    assert StoryRequest("a fox", 100, sampling=plain, draft=draft).draft is draft
    with pytest.raises(UsageError, match="draft"):
        StoryRequest("a fox", 100, draft=draft)
    with pytest.raises(UsageError, match="draft"):
        StoryRequest("a fox", 100, sampling=plain, draft=draft, length="chapters")


def test_a_draft_without_a_premise_uses_its_first_words() -> None:
    assert Draft("One.\nTwo three.", premise="a fox").about == "a fox"
    assert Draft("One.\nTwo three.").about == "One. Two three."
    assert len(Draft("word " * 500).about.split()) < 100
    assert len(Draft("从前有一只狐狸。" * 500).about) == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"form": "sonnet"},
        {"quantize": "3bit"},
        {"engine": "magic"},
        {"length": "endless"},
        {"length": "chapters", "chapters": 1},
        {"band": (1.1, 1.2)},
        {"band": (0.8, 0.9)},
        {"band": (0.0, 1.2)},
        {"band": (0.9, math.inf)},
        {"band": (math.nan, 1.1)},
        {"band": None},
        {"band": 1.0},
        {"band": ("0.9", "1.1")},
        {"band": (0.9, 1.0, 1.1)},
        {"engine": "endpoint"},
        {"engine": "gguf", "server": ServerAddress("http://127.0.0.1:1")},
        {"threads": 0},
    ],
)
def test_invalid_choices_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        StoryRequest("a fox", 100, **wrong)  # type: ignore[arg-type]
    assert refused.value.hint


@pytest.mark.parametrize(
    ("premise", "narrative"),
    [
        ("an essay on silence", False),
        ("Write a review of a novel", False),
        ("Write a story about an essay", True),
        ("the essay that won", True),
        ("a fox", True),
    ],
)
def test_the_form_that_the_premise_asks_for_counts(premise: str, narrative: bool) -> None:
    assert StoryRequest(premise, 500).narrative is narrative
    assert not StoryRequest(premise, 500, form="essay").narrative
