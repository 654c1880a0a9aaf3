"""The choice of the next token from a model's logits.

Knows no model, no text and no loop: a row of logits goes in, one token comes out. Everything
stays on the logits' device, so that choosing costs no round trip to the host.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from polaris_cli.engines.base import MayStop, always
from polaris_cli.engines.local.dry import Dry
from polaris_cli.request.story_request import Sampling

BLOCK = 4096  # random numbers made at once
TIES = 32  # tokens looked at beyond top-k, so that those tied with the last one are not dropped


class Penalties:
    """What the tokens seen so far do to the logits, kept up to date token by token.

    The repetition penalty (Keskar et al. 2019, arXiv 1909.05858, section 4.1) counts prompt and
    output; the presence penalty is taken once from each token of the output.
    """

    def __init__(self, sampling: Sampling, prompt_ids: Sequence[int], logits: torch.Tensor) -> None:
        """`logits` gives the vocabulary's size and the device."""
        self._repetition, self._presence = sampling.repetition_penalty, sampling.presence_penalty
        self._factor = torch.ones_like(logits) if self._repetition != 1.0 else None
        self._discount = torch.zeros_like(logits) if self._presence != 0.0 else None
        if self._factor is not None:
            self._factor[torch.tensor(prompt_ids, device=logits.device)] = self._repetition

    def add(self, token: torch.Tensor) -> None:
        """Count one token of the output."""
        if self._factor is not None:
            self._factor.index_fill_(0, token, self._repetition)
        if self._discount is not None:
            self._discount.index_fill_(0, token, self._presence)

    def apply(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores with both penalties taken."""
        if self._factor is not None:
            # A score above 0 is divided, one below multiplied: of the two results that is always
            # the smaller one (the larger for a penalty below 1), and 1.0 changes nothing.
            pick = torch.minimum if self._repetition > 1.0 else torch.maximum
            scores = pick(scores * self._factor, scores / self._factor)
        return scores if self._discount is None else scores - self._discount


def never() -> bool:
    """No thinking is open."""
    return False


@dataclass(frozen=True, slots=True)
class StopRule:
    """When the tokens that end a text may be chosen: `ids`, while `may_stop` says yes.

    While `inside_thinking` says yes, a model that would end gets the token `close_id` instead,
    which ends the thinking alone: a text that ended there would hold no story.
    """

    ids: frozenset[int] = frozenset()
    may_stop: MayStop = always
    inside_thinking: Callable[[], bool] = never
    close_id: int | None = None


class CounterBasedRandom:
    """A counter-based random generator: uniform numbers from 0 to 1, of which number n depends on
    the seed and n alone, so that a run that is resumed draws what it would have drawn."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self._block, self._numbers = -1, torch.empty(0)

    def at(self, counter: int) -> torch.Tensor:
        """Return the number of one counter, as a tensor of one element."""
        block, offset = divmod(counter, BLOCK)
        if block != self._block:
            # Seeds of neighbouring runs must not share blocks, so the block is mixed in.
            mixed = (self._seed + block * 0x9E3779B97F4A7C15) % 2**63
            generator = torch.Generator().manual_seed(mixed)
            self._block = block
            self._numbers = torch.rand(BLOCK, generator=generator).to(self._device)
        return self._numbers[offset : offset + 1]


class Sampler:
    """Chooses one token after another by the rules of `sampling`, reproducibly from its seed.

    Every token of the output must be given to `add`, chosen here or not; `after` are those
    of an earlier run that is resumed. `summarized` are tokens of the story that the prompt does not
    hold and that should not come again either, `exempt` those that the DRY penalty leaves alone.
    """

    def __init__(
        self,
        sampling: Sampling,
        prompt_ids: Sequence[int],
        logits: torch.Tensor,
        after: Sequence[int] = (),
        stop: StopRule = StopRule(),
        summarized: Sequence[int] = (),
        exempt: Sequence[int] = (),
    ) -> None:
        self._sampling = sampling
        self._penalties = Penalties(sampling, prompt_ids, logits)
        self._dry = _dry(sampling, [*summarized, *prompt_ids, *after], logits, exempt)
        self._random = CounterBasedRandom(sampling.seed, logits.device)
        self._place = len(after)
        self._stop = stop
        self._end_ids = torch.tensor(sorted(stop.ids), dtype=torch.long, device=logits.device)
        if after:
            self._penalties.add(torch.tensor(after, device=logits.device))

    @torch.inference_mode()
    def add(self, token: torch.Tensor) -> None:
        """Count one token of the output."""
        self._place += 1
        self._penalties.add(token)
        if self._dry:
            self._dry.add(token)

    @torch.inference_mode()
    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the next token for one row of float32 logits, as a tensor of one element."""
        scores = self._penalties.apply(logits)
        if self._dry and not self._stop.inside_thinking():  # a plan may repeat itself
            scores = self._dry.apply(scores)
        if self._stop.inside_thinking() and self._stop.close_id is not None:
            scores = self._ending_the_thinking(scores, self._stop.close_id)
        elif not self._stop.may_stop():
            scores = scores.index_fill(0, self._end_ids, -torch.inf)
        if self._sampling.temperature == 0:
            return scores.argmax(-1, keepdim=True)
        weights, ids = candidates(scores, self._sampling)
        return ids[drawn(weights, self._random.at(self._place))]

    def _ending_the_thinking(self, scores: torch.Tensor, instead: int) -> torch.Tensor:
        """Give what the ends would have to the token that ends the thinking."""
        best = scores[self._end_ids].max() if len(self._end_ids) else scores[instead]
        scores = scores.index_fill(0, self._end_ids, -torch.inf)
        scores[instead] = torch.maximum(scores[instead], best)
        return scores


def _dry(
    sampling: Sampling, ids: Sequence[int], logits: torch.Tensor, exempt: Sequence[int] = ()
) -> Dry | None:
    multiplier = sampling.dry_multiplier
    return Dry(multiplier, ids, logits.device, exempt) if multiplier else None


def drawn(weights: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
    """Return the index that a number from 0 to 1 falls on, as a tensor of one element.

    Each index takes its weight's share of the stretch from 0 to 1, in order.
    """
    ladder = weights.cumsum(-1)
    # The number may round up to the whole sum: the last index with a weight is then meant.
    last = ladder.argmax(-1)
    return torch.searchsorted(ladder, number * ladder[-1], right=True).minimum(last)


def candidates(scores: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens that may come next: their weights (not normalised) and their ids.

    Temperature, top-k, top-p, min-p, in this order. After top-k only k entries are left, so that
    top-p never sorts the whole vocabulary.
    """
    values, ids = _ranked(scores / sampling.temperature, sampling)
    weights = torch.softmax(values, -1)
    if sampling.top_p < 1:
        before = weights.cumsum(-1) - weights
        weights = weights.masked_fill(before >= sampling.top_p, 0.0)
    if sampling.min_p > 0:
        weights = weights.masked_fill(weights < sampling.min_p * weights.max(), 0.0)
    return weights, ids


def _ranked(scores: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores and ids after top-k, best first where a later step needs the order."""
    size, k = scores.shape[-1], sampling.top_k
    if 0 < k < size:
        values, ids = scores.topk(min(k + TIES, size))
        return values.masked_fill(values < values[k - 1], -torch.inf), ids
    if sampling.top_p < 1:
        values, ids = scores.sort(descending=True)
        return values, ids
    return scores, torch.arange(size, device=scores.device)


def token_probabilities(
    logits: torch.Tensor,
    sampling: Sampling,
    prompt_ids: Sequence[int] = (),
    output_ids: Sequence[int] = (),
) -> torch.Tensor:
    """Return the probability of each token of the vocabulary as the next one.

    `logits` is one row of float32; temperature 0 gives all to the best token.
    """
    penalties = Penalties(sampling, prompt_ids, logits)
    for token in output_ids:
        penalties.add(torch.tensor(token, device=logits.device))
    scores = penalties.apply(logits)
    if dry := _dry(sampling, [*prompt_ids, *output_ids], logits):
        scores = dry.apply(scores)
    if sampling.temperature == 0:
        return torch.nn.functional.one_hot(scores.argmax(), len(scores)).to(logits)
    weights, ids = candidates(scores, sampling)
    return torch.zeros_like(scores).index_copy(0, ids, weights / weights.sum())
