"""CUDA only: `FusedSampler`, which chooses a token in three Triton kernels.

`pays` says for which settings it works on a device and is faster. Does not know how the kernels
work.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import torch

from polaris_cli.engines.kernels import triton_sampling as kernels
from polaris_cli.engines.kernels.timing import fastest_run, recorded
from polaris_cli.engines.local.sampling import Sampler, StopRule
from polaris_cli.request.story_request import Sampling

MOST = 64  # the kernels take the best tokens one by one, so a large top-k costs them more
SPARE = 12  # tokens kept beyond top-k, as some may be tied with the last one
TRIALS = 8  # tokens chosen by both samplers to compare them
RUNS = 20  # timed together
NEAR = 1e-3  # nats; as near are two log-probabilities that differ by rounding
GAIN = 0.9  # of the time of torch, or a difference in the noise could decide


def suits(sampling: Sampling) -> bool:
    """Whether the kernels can apply these settings: without DRY, and with a moderate top-k."""
    return not sampling.dry_multiplier and (_is_greedy(sampling) or 0 < sampling.top_k <= MOST)


def _is_greedy(sampling: Sampling) -> bool:
    return sampling.temperature == 0


class FusedSampler(Sampler):
    """Chooses the tokens that a `Sampler` chooses, except for rounding and ties.

    Of equal tokens, the one with the lower id comes first; more than `SPARE` that are tied with the
    last one of top-k are left out. The settings must suit.
    """

    def __init__(
        self,
        sampling: Sampling,
        prompt_ids: Sequence[int],
        logits: torch.Tensor,
        *others: Any,
        **named: Any,
    ) -> None:
        super().__init__(sampling, prompt_ids, logits, *others, **named)
        recent = self._penalties.recent
        self._count = len(recent)  # tokens so far, as far as the window counts them
        self._recent = recent.new_full((sampling.repetition_window,), -1)
        self._recent[: self._count] = recent

    @torch.inference_mode()
    def choose(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The next token for float32 logits (vocabulary,), and its log-probability."""
        sampling, greedy = self.sampling, _is_greedy(self.sampling)
        top_k = 1 if greedy else sampling.top_k
        may_end, close_id = self._stop.after(self._position)
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
            self._count,
            repetition=self.sampling.repetition_penalty,
            presence=self.sampling.presence_penalty,
        )
        self._count += 1


def pays(sampling: Sampling, device: torch.device, vocabulary: int) -> bool:
    """Whether the kernels choose what torch chooses on this device, in less time.

    The first time for a kind of settings, they are compiled and tested, which takes seconds.
    """
    return suits(sampling) and _pays(_of_its_kind(sampling), device, vocabulary)


def _of_its_kind(sampling: Sampling) -> Sampling:
    """The same for all settings that run the same kernels, with a short window and more chance."""
    greedy, repetition = _is_greedy(sampling), sampling.repetition_penalty
    return Sampling(
        temperature=0.0 if greedy else 1.0,
        top_k=0 if greedy else sampling.top_k,
        repetition_penalty=1.0 if repetition == 1.0 else 1.5 if repetition > 1.0 else 0.7,
        repetition_window=min(sampling.repetition_window, TRIALS // 2),
        presence_penalty=float(sampling.presence_penalty != 0.0),
    )


@cache
def _pays(sampling: Sampling, device: torch.device, vocabulary: int) -> bool:
    with suppress(Exception):  # a compiler or a driver may raise any exception
        return agrees(sampling, device, vocabulary) and _is_faster(sampling, device, vocabulary)
    return False


def agrees(sampling: Sampling, device: torch.device, vocabulary: int) -> bool:
    """Whether the kernels choose the same tokens as torch, inside thinking and after it."""
    logits = _logits(device, vocabulary)
    ends = frozenset({1, 2})
    rules = (StopRule(ends, inside_thinking=lambda: True, close_id=3), StopRule(ends))
    chosen = (
        [_chosen(make, sampling, logits, rule) for make in (FusedSampler, Sampler)]
        for rule in rules
    )
    return all(_agree(*both) for both in chosen)


def _chosen(
    make: type[Sampler], sampling: Sampling, logits: torch.Tensor, stop: StopRule
) -> list[tuple[int, float]]:
    """Tokens, each with its log-probability."""
    sampler = make(sampling, [0, 1], logits, stop=stop)
    tokens = list[tuple[int, float]]()
    for _ in range(TRIALS):
        token, log_prob = sampler.choose(logits)
        sampler.add(token)
        tokens.append((int(token), float(log_prob)))
    return tokens


def _agree(one: list[tuple[int, float]], other: list[tuple[int, float]]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(a == b and abs(p - q) < NEAR for (a, p), (b, q) in pairs)


def _logits(device: torch.device, vocabulary: int) -> torch.Tensor:
    """Random logits; those of the first tokens, for the prompt and the ends, are high."""
    numbers = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(vocabulary, generator=numbers)
    logits[:4] = torch.tensor([10.3, 12.1, 11.2, 8.0])
    return logits.to(device)


def _is_faster(sampling: Sampling, device: torch.device, vocabulary: int) -> bool:
    logits = _logits(device, vocabulary)

    def seconds(make: type[Sampler]) -> float:
        sampler = make(sampling, [0, 1], logits)

        def step() -> torch.Tensor:
            token, _ = sampler.choose(logits)
            sampler.add(token)
            return token

        # Recorded, as launches cost nothing while the device still computes the step before.
        return fastest_run(recorded(step, device), device, RUNS)

    return seconds(FusedSampler) < GAIN * seconds(Sampler)
