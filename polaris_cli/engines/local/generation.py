"""An answer as it is written: `Answer`, one for each run of a model, alone or beside others.

Knows when to stop and when to close the thinking; knows neither models nor loops. Choosing tokens
is `sampling`'s matter, wording them `detokenizer`'s.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from polaris_cli.engines.base import MayEnd, always
from polaris_cli.engines.local.detokenizer import TextDecoder, token_id, word_insides
from polaris_cli.engines.local.sampling import Ends, Sampler
from polaris_cli.errors import PolarisError
from polaris_cli.events import Finish, Piece, Reason
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import CLOSE, CLOSING, Splitter

STORY_SHARE = 1 / 16  # of all new tokens, what thinking leaves at the least


class Answer:
    """One answer as it is written: which token must come, what text has come, whether it is over.

    `room` is how many tokens it may have, `prompt_tokens` how many its prompt has; the rest is as
    for `decode`. `opening` are the tokens right before the answer's first. `reason` says why the
    answer is over, None while it goes on; `exempt` are the tokens that a penalty on repeats leaves
    alone.
    """

    def __init__(
        self,
        tokenizer: Any,
        prompt_tokens: int,
        sampling: Sampling,
        room: int,
        stop_ids: frozenset[int],
        *,
        inside_thinking: bool,
        may_end: MayEnd = always,
        opening: Sequence[int] = (),
    ) -> None:
        self.thinking = _thinking_budget(tokenizer, sampling, room, inside=inside_thinking)
        self.ends = Ends(stop_ids, may_end, token_id(tokenizer, CLOSE), self.thinking.inside)
        self.exempt = word_insides(tokenizer) if sampling.dry_multiplier else ()
        self.reason: Reason | None = None if room else "length"
        self._text = TextDecoder(tokenizer, opening)
        self._prompt_tokens, self._room = prompt_tokens, room

    @property
    def tokens(self) -> int:
        """How many tokens there are, prompt and answer together."""
        return self._prompt_tokens + self._text.count

    def choose(self, sampler: Sampler, logits: torch.Tensor) -> torch.Tensor:
        """Return the next token for a row of logits, as a tensor of one element; it is noted."""
        forced = self.thinking.due()
        if forced is None:
            token = sampler.choose(logits)
        else:
            token = torch.tensor([forced], device=logits.device)
        sampler.note(token)
        return token

    def add(self, token: int) -> Piece | None:
        """Take the next token; return the text that it completed, None while there is none."""
        if token in self.ends.ids:
            self.reason = "stop"
            return None
        piece = self._text.add(token)
        self.thinking.count(piece)
        if self._text.count == self._room:
            self.reason = "length"
        return piece

    def end(self, error: PolarisError | None = None) -> Iterator[Piece | Finish]:
        """Yield the text held back and the `Finish`; `error` is what broke the answer off."""
        if rest := self._text.rest():
            yield rest
        yield Finish(self.reason or "error", prompt_tokens=self._prompt_tokens, error=error)


class ThinkingBudget:
    """Counts the tokens of the thinking and hands out those that close it when it is used up.

    `closing` are the ids of the closing text, `limit` how many tokens all the thinking may take
    (infinity for no limit), `inside` whether it is already open.
    """

    def __init__(self, closing: Sequence[int], limit: float, *, inside: bool) -> None:
        self._closing, self._left = closing, limit
        self._splitter = Splitter(inside)
        self._due: deque[int] = deque()

    def inside(self) -> bool:
        """Whether the text so far ends inside the thinking."""
        return self._splitter.inside

    def due(self) -> int | None:
        """Return the token to go on with, None where the model is free to choose."""
        if not self._due and self._left <= 0 and self._splitter.inside:
            self._due.extend(self._closing)
        return self._due.popleft() if self._due else None

    def count(self, piece: Piece | None) -> None:
        """Take note of one more token, with the text that it completed."""
        self._left -= self._splitter.inside
        if piece:
            deque(self._splitter.feed(piece), maxlen=0)  # read for its state alone


def _thinking_budget(
    tokenizer: Any, sampling: Sampling, room: int, *, inside: bool
) -> ThinkingBudget:
    """Return the budget for `room` new tokens; unless it has no limit, some stay for the story."""
    closing = tokenizer.encode(CLOSING, add_special_tokens=False)
    budget = sampling.thinking_budget if sampling.thinking else 0
    story = max(len(closing) + 1, int(room * STORY_SHARE))
    limit = math.inf if budget < 0 else min(budget, room - story)
    return ThinkingBudget(closing, limit, inside=inside)
