"""Limits the thinking of an answer: `ThinkingBudget` closes it when its tokens are used up.

Knows token ids. Does not know how tokens are generated.
"""

import math
from collections import deque
from collections.abc import Sequence

from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import Splitter

STORY_SHARE = 1 / 16  # of the new tokens: at least this share is kept for the story


def thinking_budget(
    sampling: Sampling, limit: int, closing: Sequence[int], splitter: Splitter
) -> "ThinkingBudget":
    """The budget of an answer of at most `limit` tokens.

    Unless the thinking is unlimited, some tokens are left for the story.
    """
    budget = sampling.thinking_budget if sampling.thinking else 0
    story = max(len(closing) + 1, int(limit * STORY_SHARE))
    allowed = math.inf if budget < 0 else min(budget, limit - story)
    return ThinkingBudget(closing, allowed, splitter)


class ThinkingBudget:
    """Counts the tokens of the thinking, and forces the closing tag when the budget is used up.

    `closing` are the token ids of the closing tag, `limit` is the maximum number of thinking tokens
    (infinity for no limit), `splitter` knows whether the text ends inside the thinking.
    """

    def __init__(self, closing: Sequence[int], limit: float, splitter: Splitter) -> None:
        self._closing, self._remaining, self._splitter = closing, limit, splitter
        self._pending: deque[int] = deque()

    @property
    def used_up(self) -> bool:
        """Whether the text is inside the thinking, and no token of the budget is left."""
        return self._remaining <= 0 and self._splitter.inside

    def forced(self) -> int | None:
        """The id of the token that must come next, or None if the model may choose."""
        if not self._pending and self.used_up:
            self._pending.extend(self._closing)
        return self._pending.popleft() if self._pending else None

    def use_up(self) -> None:
        """Leave nothing of the budget, so that the thinking is closed next."""
        self._remaining = 0

    def count(self) -> None:
        """Count one more token; call this before its text goes to the splitter."""
        self._remaining -= self._splitter.inside
