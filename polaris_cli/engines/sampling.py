"""The choice of the next token from a model's logits.

Knows no model, no text and no loop: a row of logits goes in, one token comes out. Everything
stays on the logits' device, so that choosing costs no round trip to the host.
"""

from collections.abc import Sequence

import torch

from polaris_cli.request import Sampling

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

    def note(self, token: torch.Tensor) -> None:
        """Count one token of the output."""
        if self._factor is not None:
            self._factor[token] = self._repetition
        if self._discount is not None:
            self._discount[token] = self._presence

    def apply(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores with both penalties taken."""
        if self._factor is not None:
            # A score above 0 is divided, one below multiplied: of the two results that is always
            # the smaller one (the larger for a penalty below 1), and 1.0 changes nothing.
            pick = torch.minimum if self._repetition > 1.0 else torch.maximum
            scores = pick(scores * self._factor, scores / self._factor)
        return scores if self._discount is None else scores - self._discount


class Sampler:
    """Chooses one token after another by the rules of `sampling`, reproducibly from its seed.

    Every token of the output must be given to `note`, chosen here or not.
    """

    def __init__(self, sampling: Sampling, prompt_ids: Sequence[int], logits: torch.Tensor) -> None:
        self._sampling = sampling
        self._penalties = Penalties(sampling, prompt_ids, logits)
        self._generator = torch.Generator(logits.device).manual_seed(sampling.seed)
        self.note = torch.inference_mode()(self._penalties.note)

    @torch.inference_mode()
    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the next token for one row of float32 logits, as a tensor of one element."""
        scores = self._penalties.apply(logits)
        if self._sampling.temperature == 0:
            return scores.argmax(-1, keepdim=True)
        probabilities, ids = candidates(scores, self._sampling)
        return ids[torch.multinomial(probabilities, 1, generator=self._generator)]


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
        penalties.note(torch.tensor(token, device=logits.device))
    scores = penalties.apply(logits)
    if sampling.temperature == 0:
        return torch.nn.functional.one_hot(scores.argmax(), len(scores)).to(logits)
    weights, ids = candidates(scores, sampling)
    return torch.zeros_like(scores).index_copy(0, ids, weights / weights.sum())
