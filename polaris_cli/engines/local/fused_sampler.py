"""CUDA only: `FusedSampler`, which chooses a token in three Triton kernels.

`suits` says for which settings, `pays` whether it works on this device and is faster. Does not know
how the kernels work.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import torch

from polaris_cli.engines.kernels import triton_sampling as kernels
from polaris_cli.engines.kernels.timing import fastest_run
from polaris_cli.engines.local.sampling import Sampler, StopRule
from polaris_cli.request.story_request import Sampling

MOST = 128  # a larger top-k is slower than torch's
SPARE = 12  # tokens kept beyond top-k, as some may be tied with the last one
TRIALS = 8  # tokens chosen by both samplers to compare them
RUNS = 20  # timed together


def suits(sampling: Sampling) -> bool:
    """Whether the kernels can apply these settings: without DRY, and with a moderate top-k."""
    return not sampling.dry_multiplier and (_is_greedy(sampling) or 0 < sampling.top_k <= MOST)


def _is_greedy(sampling: Sampling) -> bool:
    return sampling.temperature == 0


class FusedSampler(Sampler):
    """Chooses the tokens that a `Sampler` chooses, except for rounding. The settings must suit."""

    def __init__(
        self,
        sampling: Sampling,
        prompt_ids: Sequence[int],
        logits: torch.Tensor,
        *others: Any,
        **named: Any,
    ) -> None:
        super().__init__(sampling, prompt_ids, logits, *others, **named)
        window, recent = sampling.repetition_window, self._penalties.recent
        # The last tokens in a ring: a new one takes the place of the oldest.
        self._recent = recent.new_full((window,), -1) if window else None
        self._place = len(recent)
        if self._recent is not None:
            self._recent[: len(recent)] = recent

    @torch.inference_mode()
    def choose(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The next token for float32 logits (vocabulary,), and its log-probability."""
        sampling, greedy = self.sampling, _is_greedy(self.sampling)
        top_k = 1 if greedy else sampling.top_k
        may_end, close_id = self._stop.now()
        keys, sums = kernels.shortlist(
            logits,
            self._penalties.factor,
            self._penalties.discount,
            self._end_ids,
            above_one=sampling.repetition_penalty > 1.0,
            temperature=1.0 if greedy else sampling.temperature,
            keep=1 if greedy else min(top_k + SPARE, len(logits)),
            banned=not may_end,
            close_id=close_id,
        )
        return kernels.draw(
            logits, keys, sums, self.number, top_k=top_k, top_p=sampling.top_p, min_p=sampling.min_p
        )

    @torch.inference_mode()
    def add(self, token: torch.Tensor) -> None:
        """Add one token of the output."""
        self._position += 1
        kernels.note_token(
            token,
            self._penalties.factor,
            self._penalties.discount,
            self._recent,
            self._place % len(self._recent) if self._recent is not None else 0,
            repetition=self.sampling.repetition_penalty,
            presence=self.sampling.presence_penalty,
        )
        self._place += 1


@cache
def pays(device: torch.device, vocabulary: int) -> bool:
    """Whether the kernels choose the same tokens as torch on this device, in less time.

    Compiles them, which takes seconds the first time on a machine.
    """
    with suppress(Exception):  # a compiler or a driver may raise any exception
        return agrees(device, vocabulary) and _is_faster(device, vocabulary)
    return False


def agrees(device: torch.device, vocabulary: int) -> bool:
    """Whether the kernels choose the same tokens as torch, inside thinking and after it."""
    logits = _logits(device, vocabulary)
    thinking = StopRule(frozenset({1, 2}), inside_thinking=lambda: True, close_id=3)
    return all(
        _chosen(Sampler, logits, rule) == _chosen(FusedSampler, logits, rule)
        for rule in (thinking, StopRule())
    )


def _chosen(make: type[Sampler], logits: torch.Tensor, stop: StopRule) -> list[int]:
    sampler = make(Sampling(repetition_window=TRIALS // 2), [0, 1], logits, stop=stop)
    tokens = list[int]()
    for _ in range(TRIALS):
        token, _ = sampler.choose(logits)
        sampler.add(token)
        tokens.append(int(token))
    return tokens


def _logits(device: torch.device, vocabulary: int) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(0)
    return (2 * torch.randn(vocabulary, generator=numbers)).to(device)


def _is_faster(device: torch.device, vocabulary: int) -> bool:
    logits = _logits(device, vocabulary)

    def seconds(make: type[Sampler]) -> float:
        sampler = make(Sampling(), [0, 1], logits)

        def step() -> torch.Tensor:
            token, _ = sampler.choose(logits)
            sampler.add(token)
            return token

        return fastest_run(step, device, RUNS)

    return seconds(FusedSampler) < seconds(Sampler)
