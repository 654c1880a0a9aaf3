"""`FusedSampler` against `Sampler`: in Triton's interpreter, or on a card (`tests.card`)."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("triton")
from polaris_cli.engines.kernels import triton_sampling
from polaris_cli.engines.local import fused_sampler
from polaris_cli.engines.local.fused_sampler import SPARE, FusedSampler, agrees, pays, suits
from polaris_cli.engines.local.generation import sampler_class
from polaris_cli.engines.local.sampling import Sampler, StopRule
from polaris_cli.request.story_request import Sampling
from tests.card import DEVICE, IS_CARD

ENDS = frozenset({3, 5})
RULES = {
    "free": StopRule(ENDS),
    "held": StopRule(ENDS, 99),
    "thinking": StopRule(ENDS, inside_thinking=lambda: True, close_id=7),
    "no end": StopRule(inside_thinking=lambda: True, close_id=7),
}
samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_p=st.sampled_from([0.3, 0.95, 1.0]),
    top_k=st.sampled_from([1, 4]),
    min_p=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 2**31),
)
penalties = st.one_of(
    st.fixed_dictionaries(
        {
            "repetition_penalty": st.sampled_from([0.8, 1.0, 1.3]),
            "repetition_window": st.sampled_from([0, 1, 3]),
        }
    ),
    st.just({"repetition_penalty": 1.0, "presence_penalty": 1.5}),
)


def run(
    make: type[Sampler], sampling: Sampling, logits: torch.Tensor, stop: StopRule, count: int
) -> tuple[list[int], list[float]]:
    """The tokens chosen one after another, each with its log-probability."""
    sampler = make(sampling, [0, 1, 2, 1], logits, stop=stop)
    tokens, log_probs = list[int](), list[float]()
    for shift in range(count):
        token, log_prob = sampler.choose(logits.roll(shift))
        sampler.add(token)
        tokens.append(int(token))
        log_probs.append(float(log_prob))
    return tokens, log_probs


def random_logits(seed: int, vocabulary: int) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(vocabulary, generator=numbers)).to(DEVICE)


@settings(max_examples=15)
@given(sampling=samplings, penalty=penalties, rule=st.sampled_from(sorted(RULES)))
@pytest.mark.slow
def test_it_chooses_what_the_sampler_chooses(
    sampling: Sampling, penalty: dict[str, float], rule: str
) -> None:
    sampling = replace(sampling, **penalty)  # type: ignore[arg-type]
    logits = random_logits(sampling.seed, 50)
    found, expected = (
        run(make, sampling, logits, RULES[rule], 4) for make in (FusedSampler, Sampler)
    )
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1], abs=1e-4)


@pytest.mark.slow
def test_a_large_vocabulary_is_read_in_parts() -> None:
    logits = random_logits(1, 9000)
    logits[8999], logits[100] = 9.0, -torch.inf
    sampling = replace(Sampling(), temperature=1.5, top_k=10, repetition_window=2)
    found, expected = (
        run(make, sampling, logits, StopRule(), 3) for make in (FusedSampler, Sampler)
    )
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1], abs=1e-4)


@pytest.mark.slow
def test_tokens_tied_with_the_last_one_may_come() -> None:
    logits = torch.zeros(40, device=DEVICE)
    sampling = replace(Sampling(), top_k=2, top_p=1.0, repetition_penalty=1.0, temperature=1.0)
    chosen = {
        int(FusedSampler(replace(sampling, seed=seed), [], logits).choose(logits)[0])
        for seed in range(16)
    }
    assert len(chosen) > 4
    assert max(chosen) < 2 + SPARE


def test_of_equal_tokens_the_greedy_one_is_the_first() -> None:
    sampling = replace(Sampling(), temperature=0.0, repetition_penalty=1.0)
    logits = torch.zeros(40, device=DEVICE)
    assert [int(FusedSampler(sampling, [], logits).choose(logits)[0])] == [0]


@pytest.mark.slow
def test_a_resumed_answer_goes_on_alike() -> None:
    logits = random_logits(3, 60)
    sampling = Sampling(repetition_window=3, repetition_penalty=1.5, top_k=5, temperature=1.2)
    whole, _ = run(FusedSampler, sampling, logits, StopRule(), 7)
    resumed = FusedSampler(sampling, [0, 1, 2, 1], logits, after=whole[:4])
    for shift in range(4, 7):
        token, _ = resumed.choose(logits.roll(shift))
        resumed.add(token)
        assert int(token) == whole[shift]


def test_a_token_stays_penalized_while_it_is_in_the_window_a_second_time() -> None:
    logits = torch.zeros(10, device=DEVICE)
    sampling = replace(Sampling(), repetition_penalty=2.0, repetition_window=3)
    sampler = FusedSampler(sampling, [4], logits)
    for token in (4, 6, 7, 4):
        sampler.add(torch.tensor([token], device=DEVICE))
    factor = sampler._penalties.factor
    assert factor is not None
    assert {place for place, each in enumerate(factor.tolist()) if each != 1.0} == {4, 6, 7}


def test_settings_that_the_kernels_do_not_know_have_the_other_sampler() -> None:
    assert suits(Sampling())
    assert suits(Sampling(temperature=0.0, top_k=0))
    assert not suits(Sampling(top_k=0))
    assert not suits(Sampling(top_k=1000))
    assert not suits(Sampling(dry_multiplier=1.0))


def test_the_kernels_are_for_cuda() -> None:
    assert sampler_class(Sampling(), torch.device("cpu"), 100) is Sampler


KINDS = [
    Sampling(repetition_window=8192, top_k=4),
    Sampling(repetition_penalty=1.0, presence_penalty=0.5, top_k=4),
    Sampling(repetition_penalty=0.9, temperature=0.0),
]


@pytest.mark.slow
@pytest.mark.parametrize("sampling", KINDS)
def test_a_test_of_both_agrees_on_this_device(sampling: Sampling) -> None:
    assert agrees(replace(sampling, repetition_window=3), torch.device(DEVICE), 100)


@pytest.mark.slow
def test_a_test_of_both_finds_a_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_end(*args: Any, banned: bool, **named: Any) -> Any:
        return shortlist(*args, banned=False, **named)

    shortlist = triton_sampling.shortlist
    monkeypatch.setattr(triton_sampling, "shortlist", no_end)
    assert not agrees(KINDS[0], torch.device(DEVICE), 100)


def test_settings_of_one_kind_are_tested_once() -> None:
    kind = fused_sampler._of_its_kind
    assert kind(Sampling(seed=3, temperature=0.7)) == kind(Sampling(top_p=0.5))
    assert kind(Sampling(repetition_window=8192)) == kind(Sampling(repetition_window=4096))
    assert len({*map(kind, KINDS), kind(Sampling())}) == 4


@pytest.mark.skipif(not IS_CARD, reason="the interpreter is not faster")
@pytest.mark.parametrize("sampling", KINDS)
def test_it_pays_on_a_card(sampling: Sampling) -> None:
    assert pays(sampling, torch.device(DEVICE), 248_320)
