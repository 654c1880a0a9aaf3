"""The state of one answer during decoding: `Generation`, alone or as one row of a batch.

Applies the stop conditions and closes the thinking. `sampling` chooses tokens, `detokenizer` turns
them into text, and the splitter separates thinking from story. Does not run the model.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from polaris_cli.engines.kernels.patching import has_triton
from polaris_cli.engines.local.detokenizer import TextDecoder
from polaris_cli.engines.local.sampling import Sampler, StopRule, log_probability, sample
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.engines.thinking_budget import thinking_budget
from polaris_cli.errors import PolarisError
from polaris_cli.events import AnswerEvent, Chunk, Finish, Piece, Reason
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import Splitter


@dataclass(frozen=True, slots=True)
class TokenizedRequest:
    """A `GenerationRequest` in token ids.

    `prompt_ids` end with `opening`, the given start of the answer, which is not streamed.
    `turn_start` is where the answer's turn starts in them, 0 if unknown, `earlier` about how many
    of them are of the earlier turns of a conversation. `inside_thinking` says
    whether they end inside the thinking. `summarized` are token ids of earlier story text that the
    prompt only summarizes, for the DRY penalty. The other fields are those of `GenerationRequest`.
    """

    prompt_ids: Sequence[int]
    sampling: Sampling
    max_new_tokens: int
    inside_thinking: bool = False
    opening: Sequence[int] = ()
    after: Sequence[int] = ()
    summarized: Sequence[int] = ()
    turn_start: int = 0
    earlier: int = 0
    min_new_tokens: int = 0


class Generation:
    """The state of one answer: its next token, its text, and whether it is finished.

    `context` is the model's maximum number of tokens, prompt and answer together. `reason` is the
    finish reason, None until then.
    """

    def __init__(self, vocabulary: Vocabulary, request: TokenizedRequest, context: int) -> None:
        self.request = request
        after, prompt_tokens = len(request.after), len(request.prompt_ids)
        self._limit = after + max(min(request.max_new_tokens, context - prompt_tokens - after), 0)
        self.reason: Reason | None = None if self._limit else "length"
        self._vocabulary = vocabulary
        self._splitter = Splitter(request.inside_thinking)
        self._budget = thinking_budget(
            request.sampling, self._limit, vocabulary.closing_ids, self._splitter
        )
        self._text = TextDecoder(vocabulary, request.opening)
        self._log_probs: list[float] = []  # of the tokens that are not in a piece yet
        self._sampler: Sampler | None = None

    @property
    def tokens(self) -> int:
        """The number of tokens so far, prompt and answer together."""
        return len(self.request.prompt_ids) + self._text.count

    @property
    def max_tokens(self) -> int:
        """The maximum number of tokens, prompt and answer together."""
        return len(self.request.prompt_ids) + self._limit

    def replay(self) -> Iterator[int]:
        """Yield the token ids of the earlier run; the caller adds each one with `add`."""
        for token in self.request.after:
            self._budget.forced()
            yield token

    def choose(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The next token for a row of logits (vocabulary,), and its log-probability.

        Both are tensors of one element.
        """
        sampler = self.sampler(logits, alone=True)
        token = self.forced(logits)
        if token is None:
            chosen, log_prob = sampler.choose(logits)
            token = self.allowed(chosen, logits)
            if token is not chosen:
                log_prob = log_probability(logits, token)
        else:
            log_prob = log_probability(logits, token)
        sampler.add(token)
        return token, log_prob

    def forced(self, logits: torch.Tensor) -> torch.Tensor | None:
        """The token that has to come next, None if it is to be sampled."""
        forced = self._budget.forced()
        return None if forced is None else torch.tensor([forced], device=logits.device)

    def allowed(self, token: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """A sampled token, or the first of the closing tag if it would end the thinking.

        Only for a vocabulary that has no token for the tag; for the others, `StopRule` does it
        without waiting for the device.
        """
        spelt = self._vocabulary.close_id is None and self._splitter.inside
        if not spelt or int(token) not in self._vocabulary.stop_ids:
            return token
        self._budget.use_up()
        closing = self.forced(logits)
        return token if closing is None else closing

    def sampler(self, logits: torch.Tensor, *, alone: bool = False) -> Sampler:
        """What samples the tokens; logits (vocabulary,) set its size and device.

        `alone` says that its tokens are not chosen together with those of other answers.
        """
        if self._sampler is None:
            sampling = self.request.sampling
            make = sampler_class(sampling, logits.device, len(logits)) if alone else Sampler
            self._sampler = self._make_sampler(make, logits)
        return self._sampler

    def add(self, token: int, log_prob: float | None = None) -> list[Chunk]:
        """Add the next token, with its log-probability if known; return the chunks completed."""
        if token in self._vocabulary.stop_ids:
            self.reason = "stop"
            return []
        self._budget.count()
        if log_prob is not None:
            self._log_probs.append(log_prob)
        piece = self._text.add(token)
        if self._text.count == self._limit:
            self.reason = "length"
        return list(self._feed(piece)) if piece else []

    def flush(self) -> Iterator[Chunk]:
        """Yield the text that is still held back."""
        if piece := self._text.flush():
            yield from self._feed(piece)
        yield from self._splitter.flush()

    def end(self, error: PolarisError | None = None) -> Iterator[AnswerEvent]:
        """Yield the held text and the `Finish`; `error` is what stopped the answer, if anything."""
        yield from self.flush()
        yield Finish(self.reason or "error", len(self.request.prompt_ids), error)

    def _feed(self, piece: Piece) -> Iterator[Chunk]:
        piece = replace(piece, log_probs=tuple(self._log_probs))
        self._log_probs.clear()
        return self._splitter.feed(piece)

    def _make_sampler(self, make: type[Sampler], logits: torch.Tensor) -> Sampler:
        request, vocabulary = self.request, self._vocabulary
        stop = StopRule(
            vocabulary.stop_ids,
            len(request.after) + request.min_new_tokens,
            lambda: self._splitter.inside,
            vocabulary.close_id,
        )
        return make(
            request.sampling,
            request.prompt_ids,
            logits,
            request.after,
            stop,
            request.summarized,
            vocabulary.word_continuations if request.sampling.dry_multiplier else (),
            request.earlier,
        )


def sampler_class(sampling: Sampling, device: torch.device, vocabulary: int) -> type[Sampler]:
    """The fastest kind of sampler for a single answer with these settings on this device."""
    if device.type == "cuda" and has_triton():
        with suppress(Exception):  # what an installation of Triton lacks shows at the import
            from polaris_cli.engines.local import fused_sampler

            if fused_sampler.pays(sampling, device, vocabulary):
                return fused_sampler.FusedSampler
    return Sampler


def choose_all(generations: Sequence[Generation], logits: torch.Tensor) -> torch.Tensor:
    """The next token of each answer, (rows,), for logits (rows, vocabulary).

    The same as `choose` for each, but answers with the same settings are sampled together: on a
    GPU, starting an operation takes longer than computing it for many rows.
    """
    rows = list(zip(generations, logits, strict=True))
    tokens: dict[int, torch.Tensor] = {}
    together: dict[tuple[float, ...], list[int]] = {}
    for place, (generation, each) in enumerate(rows):
        if (forced := generation.forced(each)) is not None:
            tokens[place] = forced
        else:
            together.setdefault(_drawing(generation), []).append(place)
    for places in together.values():
        tokens |= zip(places, _sampled([rows[place] for place in places]), strict=True)
    for place, (generation, each) in enumerate(rows):
        tokens[place] = generation.allowed(tokens[place], each)
        generation.sampler(each).add(tokens[place])
    return torch.cat([tokens[place] for place in range(len(rows))])


def _drawing(generation: Generation) -> tuple[float, ...]:
    """The settings that `sample` uses."""
    asked = generation.request.sampling
    return (asked.temperature, asked.top_k, asked.top_p, asked.min_p)


def _sampled(rows: Sequence[tuple[Generation, torch.Tensor]]) -> torch.Tensor:
    """A token for each of these rows, (rows, 1); all are drawn by the same settings."""
    samplers = [generation.sampler(logits) for generation, logits in rows]
    scores = [sampler.scores(each) for sampler, (_, each) in zip(samplers, rows, strict=True)]
    numbers = torch.stack([sampler.number for sampler in samplers])
    return sample(torch.stack(scores), samplers[0].sampling, numbers)
