"""From words to tokens: how many a story may take, with room for the thinking, within a context.

Knows arithmetic only; the figures of a model come in as arguments.
"""

import math
from dataclasses import dataclass

from polaris_cli.errors import UsageError
from polaris_cli.request.story_request import Sampling

# A model that overshoots should still end by itself: room for a third more than was asked for.
HEADROOM = 1.35
CARD_FLOOR_WORDS, CARD_FLOOR_TOKENS = 8_000, 14_336
DEFAULT_TOKENS_PER_WORD = 1.4  # English prose is 1.3-1.4 tokens a word with Qwen's vocabulary


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens a run may take.

    `story` is what the words asked for are expected to need, `thinking` what is kept for the
    thinking, `max_new_tokens` the limit of both together that the engine obeys.
    """

    story: int
    thinking: int
    max_new_tokens: int

    @property
    def holds_the_words(self) -> bool:
        """Whether the limit leaves room for the words asked for after the thinking."""
        return self.max_new_tokens >= self.story + self.thinking


def token_budget(
    words: int,
    sampling: Sampling,
    *,
    context: int,
    prompt_tokens: int,
    tokens_per_word: float = DEFAULT_TOKENS_PER_WORD,
) -> Budget:
    """The budget for a story of `words` in a context of `context` tokens.

    Follows the model card's floor of 14,336 tokens from 8,000 words on. `max_new_tokens` of the
    sampling replaces the limit. Raises UsageError when the words cannot fit the context.
    """
    story = math.ceil(words * tokens_per_word)
    room = context - prompt_tokens
    if story > room:
        _refuse(words, context, room, tokens_per_word)
    thinking = _thinking_reserve(sampling, room - story)
    wanted = sampling.max_new_tokens or _limit(words, story, sampling, thinking)
    return Budget(story, thinking, min(wanted, room))


def _limit(words: int, story: int, sampling: Sampling, thinking: int) -> int:
    limit = math.ceil(story * HEADROOM) + 64 + thinking
    return max(limit, CARD_FLOOR_TOKENS) if words >= CARD_FLOOR_WORDS else limit


def _thinking_reserve(sampling: Sampling, room: int) -> int:
    if not sampling.thinks:
        return 0
    return room if sampling.thinking_budget < 0 else min(sampling.thinking_budget, room)


def _refuse(words: int, context: int, room: int, tokens_per_word: float) -> None:
    if room <= 0:
        raise UsageError(
            f"The premise does not fit the model's context of {context:,} tokens.",
            hint="Shorten the premise.",
        )
    most = int(room / tokens_per_word)
    raise UsageError(
        f"{words:,} words do not fit the model's context of {context:,} tokens.",
        hint=f"Ask for at most {most:,} words: --words {most}",
    )
