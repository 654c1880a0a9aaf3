"""The prompts of an evaluation have one length each, at any scale."""

import pytest

from polaris_cli.batch.premises import Row
from polaris_cli.evaluate.prompts import builtin_prompts, chosen
from polaris_cli.request.premise import read_length


def one(premise: str, scale: float, **settings: object) -> Row:
    (found,) = chosen(iter([Row(1, "line 1", "", premise, settings)]), None, scale)
    assert isinstance(found, Row)
    return found


@pytest.mark.parametrize(
    ("premise", "scaled"),
    [
        ("A fox. It should be approximately 3000 words long.", "be approximately 150 words long."),
        ("Write a 3,000-word story about a fox.", "Write a 150-word story about a fox."),
        ("a fox", "a fox"),
    ],
)
def test_a_length_that_a_premise_states_is_scaled_too(premise: str, scaled: str) -> None:
    found = one(premise, 0.05, words=3000)
    assert found.settings == {"words": 150} and found.premise.endswith(scaled)
    assert one(premise, 1.0, words=3000).premise == premise


def test_a_length_is_read_out_of_a_premise_before_it_is_scaled() -> None:
    found = one("Write a 2,000-word story about a letter of 300 words.", 0.1)
    assert found.premise == "Write a 200-word story about a letter of 300 words."
    assert (found.settings, found.scale) == ({"words": 200}, 0.1)


def test_the_built_in_premises_state_no_length() -> None:
    rows = [*chosen(builtin_prompts(), 1, 0.05)]
    assert next(row.settings["words"] for row in rows if isinstance(row, Row)) == 55
    assert not any(read_length(row.premise).length for row in builtin_prompts())
