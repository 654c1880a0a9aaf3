"""The DRY penalty, compared with its definition computed token by token."""

import math
import time
from collections.abc import Collection
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.engines.base import DRY_GROWTH as GROWTH
from polaris_cli.engines.local.dry import FADE, FREE, LONGEST, LOOP, NEAR, Dry
from polaris_cli.engines.local.sampling import Sampler, StopRule
from polaris_cli.request.story_request import Sampling

SIZE = 6
FLAT = torch.zeros(SIZE)
CPU = torch.device("cpu")
GREEDY = Sampling(temperature=0, repetition_penalty=1.0)
texts = st.lists(st.integers(0, SIZE - 1), max_size=80)


def run_up_to(place: int, ids: list[int]) -> int:
    """The length of the run that ends at a place, that token included, and also ends the text."""
    length = 0
    while length <= place and ids[place - length] == ids[-1 - length]:
        length += 1
    return length


def reference(ids: list[int], multiplier: float, exempt: Collection[int] = ()) -> torch.Tensor:
    costs = [0.0] * SIZE
    for place in range(len(ids) - 1):
        run, following = min(run_up_to(place, ids), LONGEST), ids[place + 1]
        if run >= FREE and following not in exempt:
            nearness = 1 + NEAR * math.exp(-(len(ids) - place - 1) / FADE)
            cost = multiplier * GROWTH ** (run - FREE) * nearness
            costs[following] = max(costs[following], cost)
    return torch.tensor(costs)


@settings(max_examples=200)
@given(
    ids=texts,
    multiplier=st.floats(0.1, 5.0),
    exempt=st.lists(st.integers(0, SIZE - 1), unique=True, max_size=2),
)
def test_the_penalty_matches_its_definition(
    ids: list[int], multiplier: float, exempt: list[int]
) -> None:
    taken = FLAT - Dry(multiplier, ids, CPU, exempt).apply(FLAT)
    torch.testing.assert_close(taken, reference(ids, multiplier, exempt))


@settings(max_examples=200)
@given(before=texts, after=texts)
def test_tokens_one_by_one_give_the_same_as_all_at_once(
    before: list[int], after: list[int]
) -> None:
    noted = Dry(1.0, before, CPU)
    for token in after:
        noted.add(torch.tensor([token]))
    assert noted.apply(FLAT).tolist() == Dry(1.0, [*before, *after], CPU).apply(FLAT).tolist()


def test_the_buffers_grow_with_the_text() -> None:
    text = torch.randint(SIZE, (2500,), generator=torch.Generator().manual_seed(1)).tolist()
    noted = Dry(1.0, [], CPU)
    for token in text:
        noted.add(torch.tensor([token]))
    torch.testing.assert_close(FLAT - noted.apply(FLAT), reference(text, 1.0))


def test_recent_repeats_cost_more() -> None:
    far, near = [1, 2, 3, *[0] * 500, 1, 2], [1, 2, 3, *[0] * 5, 1, 2]
    costs = [float(FLAT[3] - Dry(1.0, ids, CPU).apply(FLAT)[3]) for ids in (far, near)]
    assert costs[0] == pytest.approx(1, abs=0.05) and costs[1] > 2.5


def test_a_text_that_repeats_a_single_token_stays_finite() -> None:
    """The growth to the power of 340 is more than float32 holds."""
    assert Dry(1.0, [3] * 500, CPU).apply(FLAT).isfinite().all()


def test_a_penalty_does_not_make_an_implausible_token_the_best() -> None:
    sure = torch.tensor([0.0, 0.0, 0.0, 9.0, 0.0, 7.0])
    dry = Dry(100.0, [1, 2, 3, 1, 2], CPU)
    assert dry.apply(sure).argmax() == 5
    assert dry.apply(sure).isfinite().tolist() == [False, False, False, True, False, True]
    assert Dry(100.0, [1, 2, 3, 2, 1], CPU).apply(sure).tolist() == sure.tolist()


def test_a_name_goes_on_but_a_loop_does_not() -> None:
    sure = torch.tensor([0.0, 0.0, 0.0, 9.0, 0.0, 0.0])
    assert Dry(100.0, [1, 2, 3, 1, 2], CPU).apply(sure).argmax() == 3
    assert Dry(100.0, [3] * (LOOP + 1), CPU).apply(sure).argmax() != 3


def test_a_sure_end_that_is_held_back_leaves_the_other_tokens() -> None:
    logits = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.5, 50.0])
    stop = StopRule(frozenset({5}), 99)
    sampling = replace(GREEDY, dry_multiplier=1.0)
    assert int(Sampler(sampling, [1, 2, 3, 1, 2], logits, stop=stop).choose(logits)[0]) == 4


def test_a_long_loop_is_ready_at_once() -> None:
    """Comparing all pairs of positions would take minutes."""
    start = time.perf_counter()
    Dry(1.0, [3] * 50_000, CPU)
    assert time.perf_counter() - start < 5


LOGITS = torch.tensor([1.0, 0.5, 0.4, 0.3, 0.2, 0.1])


def chosen(sampler: Sampler, n: int) -> list[int]:
    tokens = []
    for _ in range(n):
        token, _ = sampler.choose(LOGITS)
        sampler.add(token)
        tokens.append(int(token))
    return tokens


def test_it_breaks_a_loop_and_is_off_by_default() -> None:
    assert set(chosen(Sampler(GREEDY, [], LOGITS), 20)) == {0}
    assert set(chosen(Sampler(replace(GREEDY, dry_multiplier=1.0), [], LOGITS), 20)) > {0, 1}


def test_an_exempt_token_may_repeat() -> None:
    sampling = replace(GREEDY, dry_multiplier=1.0)
    assert set(chosen(Sampler(sampling, [], LOGITS, exempt=[0]), 20)) == {0}


def test_thinking_is_exempt_but_counts() -> None:
    open_thinking = [True]
    stop = StopRule(inside_thinking=lambda: open_thinking[0])
    sampler = Sampler(replace(GREEDY, dry_multiplier=1.0), [], LOGITS, stop=stop)
    assert chosen(sampler, 10) == [0] * 10
    open_thinking[0] = False
    assert chosen(sampler, 1) == [1]


@pytest.mark.parametrize("done", [0, 1, 30, 59])
def test_a_resumed_run_continues_the_same_way(done: int) -> None:
    sampling = replace(GREEDY, temperature=1.0, seed=3, dry_multiplier=1.0)
    whole = chosen(Sampler(sampling, [1, 2], LOGITS), 60)
    again = Sampler(sampling, [1, 2], LOGITS, after=whole[:done])
    assert chosen(again, 60 - done) == whole[done:]
