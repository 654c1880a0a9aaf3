"""Votes become a share for each pair of models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.evaluate.tally import tally
from polaris_cli.library.votes import Vote

MODELS = ("a", "b", "c")


def vote(chosen: str, *models: str) -> Vote:
    return Vote(tuple("0" for _ in models), models, chosen)


def test_the_preferred_model_comes_first() -> None:
    (found,) = tally([vote("b", "a", "b"), vote("b", "b", "a"), vote("a", "a", "b")])
    assert (found.model, found.other, found.wins, found.votes) == ("b", "a", 2, 3)
    assert found.share == pytest.approx(2 / 3) and found.low < 2 / 3 < found.high


def test_the_interval_is_wilsons() -> None:
    (found,) = tally([vote("a", "a", "b")] * 8 + [vote("b", "a", "b")] * 2)
    assert [found.low, found.high] == pytest.approx([0.490162, 0.943318], abs=1e-6)


def test_a_choice_among_three_is_one_against_each() -> None:
    assert {(one.model, one.other) for one in tally([vote("c", *MODELS)])} == {
        ("c", "a"),
        ("c", "b"),
    }


def test_a_vote_for_none_counts_nowhere() -> None:
    assert tally([vote("", "a", "b")]) == tally([]) == []


@given(st.lists(st.sampled_from(["", *MODELS]), max_size=30))
def test_every_pair_is_counted_once(chosen: list[str]) -> None:
    found = tally(vote(name, *MODELS) for name in chosen)
    pairs = [frozenset((one.model, one.other)) for one in found]
    assert len(pairs) == len({*pairs}) and all(one.share >= 0.5 for one in found)
    given_votes = sum(name != "" for name in chosen)
    assert sum(one.votes for one in found) == 2 * given_votes
