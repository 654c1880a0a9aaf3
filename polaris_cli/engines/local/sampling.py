"""Samples the next token from a row of logits.

Does not know about models, text or the decoding loop. Everything stays on the logits' device, to
avoid transfers to the host.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from polaris_cli.engines.local.dry import Dry
from polaris_cli.request.story_request import Sampling

BLOCK = 4096  # random numbers generated at once
LIKELY = 1024  # tokens tried for top-p before the whole vocabulary is sorted
MARGIN = 1e-4  # so that rounding of the sums cannot leave out a token
TIES = 32  # tokens considered beyond top-k, to keep those tied with the last one


class Penalties:
    """The repetition penalty and the presence penalty for one sequence, updated token by token.

    The repetition penalty (Keskar et al. 2019, arXiv 1909.05858, section 4.1) applies to the tokens
    of prompt and output that are among the last `repetition_window` (0: all), which are in
    `recent`. The presence penalty is subtracted from the logit of each token of the output, once.
    `factor` and `discount` (vocabulary,) have the penalty of each token, None without a penalty.
    """

    def __init__(self, sampling: Sampling, prompt_ids: Sequence[int], logits: torch.Tensor) -> None:
        """`logits` (vocabulary,) sets the size, the dtype and the device."""
        self._repetition, self._presence = sampling.repetition_penalty, sampling.presence_penalty
        self.factor = torch.ones_like(logits) if self._repetition != 1.0 else None
        self.discount = torch.zeros_like(logits) if self._presence != 0.0 else None
        self._window = sampling.repetition_window
        self.recent = torch.empty(0, dtype=torch.long, device=logits.device)
        self._repeat(torch.tensor(prompt_ids, dtype=torch.long, device=logits.device))

    def add(self, tokens: torch.Tensor) -> None:
        """Add tokens of the output, (n,)."""
        self._repeat(tokens)
        if self.discount is not None:
            self.discount.index_fill_(0, tokens, self._presence)

    def _repeat(self, tokens: torch.Tensor) -> None:
        """Penalize these tokens from now on, and no longer those that have left the window."""
        if self.factor is None:
            return
        if self._window:
            tokens = self.recent = torch.cat([self.recent, tokens])[-self._window :]
            self.factor.fill_(1.0)
        self.factor.index_fill_(0, tokens, self._repetition)

    def apply(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores (vocabulary,) with both penalties applied."""
        if self.factor is not None:
            # A positive score is divided by the penalty, a negative one multiplied. That is the
            # smaller of the two results (the larger for a penalty below 1). A factor of 1 has no
            # effect.
            pick = torch.minimum if self._repetition > 1.0 else torch.maximum
            scores = pick(scores * self.factor, scores / self.factor)
        return scores if self.discount is None else scores - self.discount


def never() -> bool:
    """Always False: there is no thinking."""
    return False


@dataclass(frozen=True, slots=True)
class StopRule:
    """When the model may choose an end token, one of `ids`: after `min_tokens` of the answer.

    If `inside_thinking` returns True, the token `close_id` takes the place of the end tokens. It
    ends only the thinking, as an answer that ended there would have no story. Without such a token,
    `Generation` writes the closing tag in place of an end token.
    """

    ids: frozenset[int] = frozenset()
    min_tokens: int = 0
    inside_thinking: Callable[[], bool] = never
    close_id: int | None = None

    def after(self, tokens: int) -> tuple[bool, int | None]:
        """Whether an end token may come after so many, and the token that takes its place."""
        closing = self.close_id if self.inside_thinking() else None
        return closing is None and tokens >= self.min_tokens, closing


class CounterBasedRandom:
    """A counter-based random generator of uniform numbers from 0 to 1.

    Number n depends only on the seed and n, so a resumed run gets the same numbers as an
    uninterrupted one.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        # torch's generator on the CPU reads 32 bits, so the bits above them are mixed into these.
        self._seed, self._device = seed ^ ((seed >> 32) * 0x85EBCA6B), device
        self._block, self._numbers = -1, torch.empty(0)

    def at(self, counter: int) -> torch.Tensor:
        """Return number `counter`, as a tensor of one element."""
        block, offset = divmod(counter, BLOCK)
        if block != self._block:
            # With seed + block, runs with consecutive seeds would share blocks.
            mixed = (self._seed + block * 0x9E3779B97F4A7C15) % 2**63
            generator = torch.Generator().manual_seed(mixed)
            self._block = block
            self._numbers = torch.rand(BLOCK, generator=generator).to(self._device)
        return self._numbers[offset : offset + 1]


class Sampler:
    """Samples the tokens of one answer with the settings of `sampling`, reproducible from its seed.

    Every token of the output must be added with `add`, even if it was not chosen here. `after` are
    the token ids of an earlier run that is resumed. `summarized` are token ids of story text that
    is not in the prompt, to which the DRY penalty also applies; `exempt` are the token ids that it
    never applies to. The first `earlier` of the prompt's ids are earlier turns of the conversation,
    to which the repetition penalty does not apply.
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
        earlier: int = 0,
    ) -> None:
        self.sampling = sampling
        self._penalties = Penalties(sampling, prompt_ids[earlier:], logits)
        self._dry = _dry(sampling, [*summarized, *prompt_ids, *after], logits, exempt)
        self._random = CounterBasedRandom(sampling.seed, logits.device)
        self._position = len(after)
        self._stop = stop
        self._end_ids = torch.tensor(sorted(stop.ids), dtype=torch.long, device=logits.device)
        if after:
            self._penalties.add(torch.tensor(after, device=logits.device))

    @torch.inference_mode()
    def add(self, token: torch.Tensor) -> None:
        """Add one token of the output."""
        self._position += 1
        self._penalties.add(token)
        if self._dry:
            self._dry.add(token)

    def choose(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The next token for float32 logits (vocabulary,), and its log-probability.

        Both are tensors of one element.
        """
        token = sample(self.scores(logits), self.sampling, self.number)
        return token, log_probability(logits, token)

    @property
    def number(self) -> torch.Tensor:
        """The random number for the next token, a tensor of one element."""
        return self._random.at(self._position)

    @torch.inference_mode()
    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return float32 logits (vocabulary,) with penalties, and without tokens not allowed."""
        scores = self._penalties.apply(logits)
        may_end, close_id = self._stop.after(self._position)
        if close_id is not None:
            scores = self._replace_end_tokens(scores, close_id)
        elif not may_end:
            scores = scores.index_fill(0, self._end_ids, -torch.inf)
        # After the end tokens, as DRY keeps only what is plausible among the tokens allowed. A plan
        # may repeat itself.
        if self._dry and not self._stop.inside_thinking():
            scores = self._dry.apply(scores)
        return scores

    def _replace_end_tokens(self, scores: torch.Tensor, close_id: int) -> torch.Tensor:
        """Mask the end tokens; `close_id` gets their best score if it is higher than its own."""
        best = scores[self._end_ids].max() if len(self._end_ids) else scores[close_id]
        scores = scores.index_fill(0, self._end_ids, -torch.inf)
        scores[close_id] = torch.maximum(scores[close_id], best)
        return scores


def _dry(
    sampling: Sampling, ids: Sequence[int], logits: torch.Tensor, exempt: Sequence[int] = ()
) -> Dry | None:
    multiplier = sampling.dry_multiplier
    return Dry(multiplier, ids, logits.device, exempt) if multiplier else None


@torch.inference_mode()
def log_probability(logits: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """The natural logarithm of a token's probability in the model's own distribution.

    `logits` are float32, (..., vocabulary), before temperature and penalties; `token` (..., 1).
    """
    return logits.gather(-1, token) - logits.logsumexp(-1, keepdim=True)


@torch.inference_mode()
def sample(scores: torch.Tensor, sampling: Sampling, number: torch.Tensor) -> torch.Tensor:
    """Sample a token for each row of scores, (..., vocabulary); returns (..., 1).

    `number` (..., 1) is uniform from 0 to 1. Only temperature, top-k, top-p and min-p of `sampling`
    count.
    """
    if sampling.temperature == 0:
        return scores.argmax(-1, keepdim=True)
    weights, ids = candidates(scores, sampling)
    return ids.gather(-1, sample_index(weights, number))


def sample_index(weights: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
    """Sample an index in proportion to `weights` (..., n), by inverse transform sampling.

    `number` (..., 1) is uniform from 0 to 1. Returns indices, (..., 1).
    """
    cumulative = weights.cumsum(-1)
    # Rounding may give the whole sum, which is the last index with a weight above 0.
    last = cumulative.argmax(-1, keepdim=True)
    return torch.searchsorted(cumulative, number * cumulative[..., -1:], right=True).minimum(last)


def candidates(scores: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights (not normalized) and the ids of the tokens that may come next.

    `scores` are (..., vocabulary), the results too, or with fewer tokens. Applies temperature,
    top-k, top-p and min-p, in this order. With top-k, the results have only about k entries, so
    top-p does not sort the whole vocabulary.
    """
    values, ids = _top_k(scores / sampling.temperature, sampling)
    weights = torch.softmax(values, -1)
    if sampling.top_p < 1:
        preceding = weights.cumsum(-1) - weights
        weights = weights.masked_fill(preceding >= sampling.top_p, 0.0)
    if sampling.min_p > 0:
        weights = weights.masked_fill(
            weights < sampling.min_p * weights.amax(-1, keepdim=True), 0.0
        )
    return weights, ids


def _top_k(scores: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores and ids after top-k; in descending order if top-k or top-p is on."""
    size, k = scores.shape[-1], sampling.top_k
    if 0 < k < size:
        values, ids = scores.topk(min(k + TIES, size))
        return values.masked_fill(values < values[..., k - 1 : k], -torch.inf), ids
    if sampling.top_p < 1:
        return _most_likely(scores, sampling.top_p)
    return scores, torch.arange(size, device=scores.device).expand(scores.shape)


def _most_likely(scores: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores and ids in descending order: all, or as many as top-p can need.

    On a CPU, sorting a large vocabulary takes longer than all the rest of the sampling. The scores
    are then normalized, and the last of them is that of all tokens left out, so that a softmax
    gives each token its probability among all; that last place is beyond top-p.
    """
    if scores.device.type == "cpu" and scores.shape[-1] > LIKELY:
        values, ids = scores.topk(LIKELY)
        best = values[..., :1]  # subtracted first, as rounding grows with the numbers
        values = values - best - (scores - best).logsumexp(-1, keepdim=True)
        rest = 1 - values.double().exp().sum(-1, keepdim=True)
        if (rest < 1 - top_p - MARGIN).all():
            last = rest.clamp(min=0).log().to(values)
            return torch.cat([values, last], -1), torch.cat([ids, ids[..., -1:]], -1)
    return scores.sort(descending=True)
