"""The prompts of an evaluation have one length each, at any scale."""

from collections import Counter

import pytest

from polaris_cli.batch.premises import Row
from polaris_cli.evaluate.groups import LEAST_SCALE, Groups
from polaris_cli.evaluate.prompts import builtin_prompts, chosen
from polaris_cli.request.premise import read_length
from polaris_cli.request.prompts import story_prompt
from polaris_cli.request.story_request import StoryRequest


def one(premise: str, scale: float, **settings: object) -> Row:
    (found,) = chosen(iter([Row(1, "line 1", "", premise, settings)]), None, scale)
    assert isinstance(found, Row)
    return found


@pytest.mark.parametrize(
    ("premise", "said"),
    [
        ("A fox. It should be approximately 3000 words long.", "be approximately 150 words long."),
        ("Write a 3,000-word story about a fox.", "Write a 150-word story about a fox."),
        ("a fox", "Write a 150-word story about a fox."),
    ],
)
def test_the_prompt_has_the_scaled_length(premise: str, said: str) -> None:
    found = one(premise, 0.05, words=3000)
    assert (found.settings, found.scale, found.premise) == ({"words": 150}, 0.05, premise)
    assert story_prompt(StoryRequest(premise, 150)).endswith(said)


def test_each_bucket_has_its_prompts_at_the_least_scale() -> None:
    counts = Counter(
        Groups(LEAST_SCALE).bucket(int(str(row.settings["words"])))
        for row in chosen(builtin_prompts(), None, LEAST_SCALE)
        if isinstance(row, Row)
    )
    assert [counts[bucket] for bucket in Groups(LEAST_SCALE).buckets] == [10] * 6


def test_the_built_in_premises_state_no_length() -> None:
    rows = [*chosen(builtin_prompts(), 1, 0.05)]
    assert next(row.settings["words"] for row in rows if isinstance(row, Row)) == 55
    assert not any(read_length(row.premise).length for row in builtin_prompts())
