"""The choice of tokens, held against transformers' own processors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from polaris_cli.engines.local.sampling import (
    BLOCK,
    CounterBasedRandom,
    Penalties,
    Sampler,
    StopRule,
    candidates,
    sample,
    sample_index,
)
from polaris_cli.request.story_request import COLDEST, Sampling

PROMPT, OUTPUT = [1, 2, 3, 5, 8, 1], [8, 9, 30, 9]
PLAIN = Sampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0)


def random_logits(seed: int, size: int = 120, *, tied: bool = False) -> torch.Tensor:
    logits = torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 3
    return logits.round() if tied else logits


def reference(
    logits: torch.Tensor, sampling: Sampling, prompt: list[int], output: list[int]
) -> torch.Tensor:
    ids = torch.tensor([prompt + output])
    scores = logits[None].clone()
    if sampling.repetition_penalty != 1.0:
        scores = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)(ids, scores)
    for token in set(output):
        scores[0, token] -= sampling.presence_penalty
    chain: list[Any] = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_k:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        chain.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        chain.append(MinPLogitsWarper(sampling.min_p))
    for warper in chain:
        scores = warper(ids, scores)
    return scores.softmax(-1)[0]


def token_probabilities(
    logits: torch.Tensor, sampling: Sampling, prompt: Sequence[int] = (), output: Sequence[int] = ()
) -> torch.Tensor:
    """The probability of each token to be the next one, by the parts that the sampler uses."""
    applied = Penalties(sampling, prompt, logits)
    for token in output:
        applied.add(torch.tensor([token]))
    weights, ids = candidates(applied.apply(logits), sampling)
    return torch.zeros_like(logits).index_copy(0, ids, weights / weights.sum())


penalties = st.one_of(
    st.tuples(st.floats(0.5, 2.0), st.just(0.0)), st.tuples(st.just(1.0), st.floats(-2.0, 2.0))
)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**31),
    temperature=st.floats(0.1, 3.0),
    top_p=st.floats(0.05, 1.0),
    top_k=st.sampled_from([0, 1, 2, 20, 119, 120, 500]),
    min_p=st.one_of(st.just(0.0), st.floats(0.01, 0.9)),
    penalty=penalties,
)
def test_the_probabilities_are_those_of_transformers(
    seed: int,
    temperature: float,
    top_p: float,
    top_k: int,
    min_p: float,
    penalty: tuple[float, float],
) -> None:
    sampling = Sampling(temperature, top_p, top_k, min_p, penalty[0], presence_penalty=penalty[1])
    logits = random_logits(seed)
    # Where the sum meets top-p to the last digits, rounding decides about the token at the edge.
    whole = token_probabilities(logits, replace(sampling, top_p=1.0, min_p=0.0), PROMPT, OUTPUT)
    sums = whole.sort(descending=True).values.cumsum(-1)
    assume(top_p == 1.0 or float((sums - top_p).abs().min()) > 1e-6)
    ours = token_probabilities(logits, sampling, PROMPT, OUTPUT)
    torch.testing.assert_close(
        ours, reference(logits, sampling, PROMPT, OUTPUT), atol=1e-6, rtol=1e-5
    )


@settings(max_examples=50)
@given(seed=st.integers(0, 2**31), top_k=st.integers(1, 60), temperature=st.floats(0.1, 3.0))
def test_tokens_tied_with_the_last_of_top_k_are_kept(
    seed: int, top_k: int, temperature: float
) -> None:
    sampling = replace(PLAIN, temperature=temperature, top_k=top_k)
    logits = random_logits(seed, tied=True)
    ours = token_probabilities(logits, sampling, PROMPT, OUTPUT)
    torch.testing.assert_close(
        ours, reference(logits, sampling, PROMPT, OUTPUT), atol=1e-6, rtol=1e-5
    )


def test_half_precision_logits_in_float32_agree_too() -> None:
    logits = random_logits(5, 5000).bfloat16().float()
    sampling = Sampling()
    torch.testing.assert_close(
        token_probabilities(logits, sampling, PROMPT, OUTPUT),
        reference(logits, sampling, PROMPT, OUTPUT),
        atol=1e-6,
        rtol=1e-5,
    )


def test_forbidden_tokens_stay_forbidden() -> None:
    logits = random_logits(1)
    logits[PROMPT[0]] = -torch.inf
    sampling = replace(PLAIN, repetition_penalty=1.3)
    probabilities = token_probabilities(logits, sampling, PROMPT)
    assert probabilities[PROMPT[0]] == 0
    assert probabilities.isfinite().all()


def test_the_presence_penalty_spares_the_prompt() -> None:
    logits, sampling = random_logits(2), replace(PLAIN, presence_penalty=1.5)
    without = token_probabilities(logits, PLAIN)
    torch.testing.assert_close(token_probabilities(logits, sampling, PROMPT), without)
    assert token_probabilities(logits, sampling, PROMPT, [9])[9] < without[9]


@given(
    ids=st.lists(st.integers(0, 9), max_size=30),
    split=st.integers(0, 30),
    window=st.integers(1, 12),
)
def test_the_repetition_penalty_looks_back_over_its_window(
    ids: list[int], split: int, window: int
) -> None:
    sampling = Sampling(repetition_penalty=2.0, repetition_window=window)
    penalties = Penalties(sampling, ids[:split], torch.ones(10))
    for token in ids[split:]:
        penalties.add(torch.tensor([token]))
    expected = [0.5 if token in ids[-window:] else 1.0 for token in range(10)]
    assert penalties.apply(torch.ones(10)).tolist() == expected


def test_top_p_takes_the_fewest_tokens_that_reach_it() -> None:
    weights, _ = candidates(torch.zeros(4), replace(PLAIN, top_p=0.5))
    assert weights.count_nonzero() == 2


def test_min_p_spares_a_token_that_just_reaches_it() -> None:
    weights, _ = candidates(torch.tensor([1.0, 1.0, 0.0]), replace(PLAIN, min_p=1.0))
    assert weights.count_nonzero() == 2


def test_top_p_after_top_k_sees_few_candidates() -> None:
    weights, ids = candidates(random_logits(3, 250_000), Sampling())
    assert len(weights) == len(ids) < 100


@pytest.mark.parametrize("sampling", [Sampling(), replace(PLAIN, min_p=0.05), PLAIN])
def test_tokens_come_as_often_as_they_are_probable(sampling: Sampling) -> None:
    logits, draws = random_logits(4, 40), 6000
    counts = torch.zeros(40)
    weights, ids = candidates(Penalties(sampling, PROMPT, logits).apply(logits), sampling)
    numbers = CounterBasedRandom(sampling.seed, logits.device)
    for place in range(draws):
        counts[ids[sample_index(weights, numbers.at(place))]] += 1
    expected = token_probabilities(logits, sampling, PROMPT)
    assert counts[expected == 0].sum() == 0
    assert (counts / draws - expected).abs().max() < 0.02


@settings(max_examples=60)
@given(
    rows=st.integers(1, 5),
    size=st.sampled_from([5, 40, 3_000]),
    spread=st.sampled_from([0.5, 20.0]),
    sampling=st.builds(
        Sampling,
        temperature=st.sampled_from([0, 0.6, 1.0]),
        top_k=st.sampled_from([0, 3, 20]),
        top_p=st.sampled_from([0.5, 0.95, 1.0]),
        min_p=st.sampled_from([0.0, 0.1]),
    ),
)
def test_rows_sampled_together_get_the_tokens_that_they_get_alone(
    rows: int, size: int, spread: float, sampling: Sampling
) -> None:
    generator = torch.Generator().manual_seed(rows * size)
    scores = torch.randn(rows, size, generator=generator).mul(spread).round(decimals=1)  # with ties
    numbers = torch.rand(rows, 1, generator=generator)
    alone = [sample(*each) for each in zip(scores, [sampling] * rows, numbers, strict=True)]
    assert sample(scores, sampling, numbers).tolist() == [token.tolist() for token in alone]


def test_noted_tokens_count_as_output() -> None:
    logits = torch.zeros(50)
    sampler = Sampler(
        Sampling(temperature=0, repetition_penalty=1.0, presence_penalty=1.0), [], logits
    )
    chosen = []
    for _ in range(50):
        token, _ = sampler.choose(logits)
        sampler.add(token)
        chosen.append(int(token))
    assert sorted(chosen) == list(range(50))


def test_earlier_turns_are_not_penalized() -> None:
    logits = torch.tensor([3.0, 2.0, 1.0])
    sampling = Sampling(temperature=0, repetition_penalty=4.0)
    assert int(Sampler(sampling, [0, 1], logits).choose(logits)[0]) == 2
    assert int(Sampler(sampling, [0, 1], logits, earlier=1).choose(logits)[0]) == 0


def draw(seed: int, n: int = 60) -> list[int]:
    logits = random_logits(6)
    sampler = Sampler(replace(PLAIN, seed=seed), PROMPT, logits)
    return [_next(sampler, logits) for _ in range(n)]


def _next(sampler: Sampler, logits: torch.Tensor) -> int:
    token, _ = sampler.choose(logits)
    sampler.add(token)
    return int(token)


def test_a_seed_repeats_its_choices() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


@pytest.mark.parametrize("done", [0, 1, 30, 59])
def test_a_run_taken_up_again_goes_on_as_it_would_have(done: int) -> None:
    whole, logits = draw(7), random_logits(6)
    sampler = Sampler(replace(PLAIN, seed=7), PROMPT, logits, after=whole[:done])
    assert [_next(sampler, logits) for _ in range(done, 60)] == whole[done:]


def test_blocks_of_draws_differ_and_repeat() -> None:
    first, second = (CounterBasedRandom(1, torch.device("cpu")) for _ in range(2))
    places = [0, BLOCK - 1, BLOCK, 2 * BLOCK + 5]
    numbers = [float(first.at(place)) for place in places]
    assert numbers == [float(second.at(place)) for place in reversed(places)][::-1]
    assert len(set(numbers)) == len(numbers)


def test_all_bits_of_a_seed_count() -> None:
    seeds = [7, 7 + 2**32, 7 + 2**33, 7 + 2**62, 2**32 - 1, 2**63 - 1, 0, 2**32]
    cpu = torch.device("cpu")
    for place in (0, BLOCK):
        assert len({float(CounterBasedRandom(seed, cpu).at(place)) for seed in seeds}) == len(seeds)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_numbers_of_small_seeds_are_those_of_torch(seed: int) -> None:
    numbers = CounterBasedRandom(seed, torch.device("cpu"))
    for block in (0, 1):
        generator = torch.Generator().manual_seed(seed + block * 0x9E3779B97F4A7C15 % 2**63)
        assert float(numbers.at(block * BLOCK)) == float(torch.rand(1, generator=generator))


@pytest.mark.parametrize("number", [0.0, 0.5, 1.0 - 2**-24, 1.0])
def test_a_draw_never_falls_on_a_weight_of_zero(number: float) -> None:
    weights = torch.tensor([0.0, 0.3, 0.7, 0.0])
    assert weights[sample_index(weights, torch.tensor([number]))] > 0


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_end_that_is_held_back_is_not_chosen(temperature: float) -> None:
    logits = torch.tensor([0.0, 9.0, 1.0, 8.0])
    sampling = Sampling(temperature=temperature, repetition_penalty=1.0)
    held = Sampler(sampling, [], logits, stop=StopRule(frozenset({1, 3}), 99))
    free = Sampler(sampling, [], logits, stop=StopRule(frozenset({1, 3})))
    assert {_next(held, logits) for _ in range(50)} <= {0, 2}
    assert _next(free, logits) in {1, 3}


def test_an_end_inside_the_thinking_ends_the_thinking_alone() -> None:
    logits = torch.tensor([0.0, 9.0, 1.0, 8.0])
    sampling = Sampling(temperature=0, repetition_penalty=1.0)
    inside = StopRule(frozenset({1, 3}), close_id=2, inside_thinking=lambda: True)
    assert _next(Sampler(sampling, [], logits, stop=inside), logits) == 2
    other = torch.tensor([10.0, 9.0, 1.0, 8.0])
    assert _next(Sampler(sampling, [], other, stop=inside), other) == 0


def test_an_end_outside_the_thinking_ends_the_text() -> None:
    logits = torch.tensor([0.0, 9.0, 1.0, 8.0])
    sampling = Sampling(temperature=0, repetition_penalty=1.0)
    outside = StopRule(frozenset({1, 3}), close_id=2, inside_thinking=lambda: False)
    assert _next(Sampler(sampling, [], logits, stop=outside), logits) == 1


def test_without_a_token_that_ends_the_thinking_the_end_tokens_stay() -> None:
    logits = torch.tensor([0.0, 9.0, 1.0, 8.0])
    sampling = Sampling(temperature=0, repetition_penalty=1.0)
    inside = StopRule(frozenset({1, 3}), inside_thinking=lambda: True)
    assert _next(Sampler(sampling, [], logits, stop=inside), logits) == 1


def test_a_model_without_ends_goes_on_thinking() -> None:
    logits = torch.tensor([0.0, 9.0, 1.0])
    sampling = Sampling(temperature=0, repetition_penalty=1.0)
    inside = StopRule(close_id=2, inside_thinking=lambda: True)
    assert _next(Sampler(sampling, [], logits, stop=inside), logits) == 1


@pytest.mark.parametrize("temperature", [1e-45, 1e-38, COLDEST])
@pytest.mark.parametrize("penalty", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("top_k", [0, 2])
def test_the_lowest_temperatures_take_the_best(
    temperature: float, penalty: float, top_k: int
) -> None:
    logits = torch.tensor([0.0, -90.0, 9.0, 100.0, 8.0])
    sampling = Sampling(temperature, top_p=0.95, top_k=top_k, repetition_penalty=penalty)
    assert _next(Sampler(sampling, [0, 3], logits), logits) == 3


def test_temperature_zero_takes_the_best_after_the_penalty() -> None:
    logits = torch.tensor([1.0, 2.0, 2.1, -1.0])
    sampling = Sampling(temperature=0, repetition_penalty=1.2)
    assert Sampler(sampling, [2], logits).choose(logits)[0].tolist() == [1]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([0.1, 1.0, 4.0, 20.0]),
    top_p=st.floats(0.01, 0.999),
    min_p=st.sampled_from([0.0, 0.02]),
)
def test_top_p_alone_needs_no_whole_vocabulary(
    seed: int, spread: float, top_p: float, min_p: float
) -> None:
    """The same weights as after sorting everything, whether or not the first tokens are enough."""
    scores = torch.randn(5_000, generator=torch.Generator().manual_seed(seed)) * spread
    asked = Sampling(temperature=1.0, top_k=0, top_p=top_p, min_p=min_p)
    weights, ids = candidates(scores, asked)
    found = torch.zeros(5_000).index_add(0, ids, weights)
    ordered, order = scores.sort(descending=True)
    every = ordered.softmax(-1)
    every = every.masked_fill(every.cumsum(-1) - every >= top_p, 0.0)
    every = every.masked_fill(every < min_p * every.max(), 0.0)
    expected = torch.zeros(5_000).index_copy(0, order, every)
    differs = (found > 0) != (expected > 0)
    assert int(differs.sum()) <= 1  # at the edge, rounding may decide about one token
    torch.testing.assert_close(found[~differs], expected[~differs], rtol=1e-4, atol=1e-7)
    assert (found.sum() - expected.sum()).abs() <= expected[expected > 0].min() + 1e-5
