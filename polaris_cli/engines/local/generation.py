"""One answer while it is written: `Generation`, alone or as one row of a batch.

Knows when to stop and when to close the thinking; knows neither models nor loops. Choosing tokens
is done by `sampling`, turning them into text by `detokenizer`, telling thinking from story by the
splitter.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from polaris_cli.engines.base import MayStop, always
from polaris_cli.engines.local.detokenizer import TextDecoder
from polaris_cli.engines.local.sampling import Sampler, StopRule
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import PolarisError
from polaris_cli.events import AnswerEvent, Chunk, Finish, Reason
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import Splitter

STORY_SHARE = 1 / 16  # of all new tokens, what thinking leaves at the least


@dataclass(frozen=True, slots=True)
class TokenizedRequest:
    """A `GenerationRequest` in token ids.

    `prompt_ids` end with `opening`, the part of the answer that is given and not written out.
    `inside_thinking` says whether they end inside the thinking. `summarized` are tokens of the
    story that the prompt holds a summary of only, and that should not come again. The rest is as
    in `GenerationRequest`.
    """

    prompt_ids: Sequence[int]
    sampling: Sampling
    max_new_tokens: int
    inside_thinking: bool = False
    opening: Sequence[int] = ()
    after: Sequence[int] = ()
    summarized: Sequence[int] = ()
    may_stop: MayStop = always


class Generation:
    """One answer while it is written: which token comes next, what text there is, when it is over.

    `context` is how many tokens fit the model, prompt and answer together. `reason` says why the
    answer is over, None while it goes on.
    """

    def __init__(self, vocabulary: Vocabulary, request: TokenizedRequest, context: int) -> None:
        self.request = request
        after, prompt_tokens = len(request.after), len(request.prompt_ids)
        self._room = after + max(min(request.max_new_tokens, context - prompt_tokens - after), 0)
        self.reason: Reason | None = None if self._room else "length"
        self._vocabulary = vocabulary
        self._splitter = Splitter(request.inside_thinking)
        self._budget = self._thinking_budget()
        self._text = TextDecoder(vocabulary, request.opening)
        self._sampler: Sampler | None = None

    @property
    def tokens(self) -> int:
        """How many tokens there are, prompt and answer together."""
        return len(self.request.prompt_ids) + self._text.count

    @property
    def most_tokens(self) -> int:
        """How many tokens there can be, prompt and answer together."""
        return len(self.request.prompt_ids) + self._room

    def replay(self) -> Iterator[int]:
        """The tokens of the earlier run, one after another, each to be given to `add`."""
        for token in self.request.after:
            self._budget.due()
            yield token

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """The next token for a row of logits, as a tensor of one element."""
        sampler = self._sampler = self._sampler or self._make_sampler(logits)
        forced = self._budget.due()
        if forced is None:
            token = sampler.choose(logits)
        else:
            token = torch.tensor([forced], device=logits.device)
        sampler.add(token)
        return token

    def add(self, token: int) -> list[Chunk]:
        """Take the next token; return the chunks that it completed."""
        if token in self._vocabulary.stop_ids:
            self.reason = "stop"
            return []
        self._budget.count()
        piece = self._text.add(token)
        if self._text.count == self._room:
            self.reason = "length"
        return list(self._splitter.feed(piece)) if piece else []

    def rest(self) -> Iterator[Chunk]:
        """The text that is still held back."""
        if piece := self._text.rest():
            yield from self._splitter.feed(piece)
        yield from self._splitter.flush()

    def end(self, error: PolarisError | None = None) -> Iterator[AnswerEvent]:
        """The text held back and the `Finish`; `error` is what broke the answer off."""
        yield from self.rest()
        yield Finish(self.reason or "error", len(self.request.prompt_ids), error)

    def _make_sampler(self, logits: torch.Tensor) -> Sampler:
        request, vocabulary = self.request, self._vocabulary
        stop = StopRule(
            vocabulary.stop_ids,
            request.may_stop,
            lambda: self._splitter.inside,
            vocabulary.close_id,
        )
        return Sampler(
            request.sampling,
            request.prompt_ids,
            logits,
            request.after,
            stop,
            request.summarized,
            vocabulary.word_insides if request.sampling.dry_multiplier else (),
        )

    def _thinking_budget(self) -> "ThinkingBudget":
        """The budget of the thinking; unless it has no limit, some tokens stay for the story."""
        sampling, closing = self.request.sampling, self._vocabulary.closing_ids
        budget = sampling.thinking_budget if sampling.thinking else 0
        story = max(len(closing) + 1, int(self._room * STORY_SHARE))
        limit = math.inf if budget < 0 else min(budget, self._room - story)
        return ThinkingBudget(closing, limit, self._splitter)


class ThinkingBudget:
    """Counts the tokens of the thinking and hands out those that close it when it is used up.

    `closing` are the ids of the closing text, `limit` how many tokens all the thinking may take
    (infinity for no limit), `splitter` knows whether the text ends inside it.
    """

    def __init__(self, closing: Sequence[int], limit: float, splitter: Splitter) -> None:
        self._closing, self._left, self._splitter = closing, limit, splitter
        self._due: deque[int] = deque()

    def due(self) -> int | None:
        """The token that must come next, None where the model is free to choose."""
        if not self._due and self._left <= 0 and self._splitter.inside:
            self._due.extend(self._closing)
        return self._due.popleft() if self._due else None

    def count(self) -> None:
        """Count one more token, before its text is split."""
        self._left -= self._splitter.inside
