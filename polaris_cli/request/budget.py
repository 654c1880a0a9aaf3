"""Token budgets: how many tokens a story and its thinking may use within a context.

Only arithmetic; the numbers of a model are arguments.
"""

import math
from dataclasses import dataclass

from polaris_cli.errors import UsageError
from polaris_cli.request.story_request import Sampling

# Room for a third more than the words asked for, so that a story that is too long can still end.
HEADROOM = 1.35
CARD_FLOOR_WORDS, CARD_FLOOR_TOKENS = 8_000, 14_336
DEFAULT_TOKENS_PER_WORD = 1.4  # English prose is 1.3-1.4 tokens a word with Qwen's vocabulary


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens a run may use.

    `story` is the estimate for the words asked for, `thinking` the reserve for the thinking, and
    `max_new_tokens` the engine's limit for both together.
    """

    story: int
    thinking: int
    max_new_tokens: int


def token_budget(
    words: int,
    sampling: Sampling,
    *,
    context: int,
    prompt_tokens: int,
    tokens_per_word: float = DEFAULT_TOKENS_PER_WORD,
    drafted: int = 0,
    chapter: int = 0,
) -> Budget:
    """The budget for a story of `words` in a context of `context` tokens.

    `drafted` is the number of words of the draft that the prompt ends with; they are not of these.
    `chapter` is the number of words of the longest chapter, if the story has some: only a chapter
    has to fit, as earlier ones that do not are left out of its prompt.

    From 8,000 words on, the limit is at least 14,336 tokens, as the model card says. It is replaced
    by `sampling.max_new_tokens` if that is set. Raises UsageError if the words do not fit.
    """
    room = context - prompt_tokens
    answer = math.ceil((chapter or words) * tokens_per_word)
    if answer > room:
        raise _does_not_fit(words, context, int(room / tokens_per_word), drafted, chapter)
    story = math.ceil(words * tokens_per_word)
    thinking = _thinking_reserve(sampling, room - answer)
    wanted = sampling.max_new_tokens or _limit(words, story, thinking)
    return Budget(story, thinking, min(wanted, room))


def usual_thinking(sampling: Sampling) -> int:
    """The tokens of the thinking, if it is not unusually long; without a limit, the default one."""
    given = sampling.thinking_budget
    return (given if given >= 0 else Sampling().thinking_budget) if sampling.thinks else 0


def usual_tokens(words: int, sampling: Sampling, tokens_per_word: float) -> int:
    """The tokens of an answer of `words` with its thinking, if that is not unusually long."""
    usual = _with_headroom(math.ceil(words * tokens_per_word)) + usual_thinking(sampling)
    return min(sampling.max_new_tokens or usual, usual)


def _limit(words: int, story: int, thinking: int) -> int:
    limit = _with_headroom(story) + thinking
    return max(limit, CARD_FLOOR_TOKENS) if words >= CARD_FLOOR_WORDS else limit


def _with_headroom(story: int) -> int:
    return math.ceil(story * HEADROOM) + 64


def _thinking_reserve(sampling: Sampling, room: int) -> int:
    if not sampling.thinks:
        return 0
    return room if sampling.thinking_budget < 0 else min(sampling.thinking_budget, room)


def _does_not_fit(words: int, context: int, most: int, drafted: int, chapter: int) -> UsageError:
    if most < 1:
        what = "draft" if drafted else "premise"
        return UsageError(
            f"The {what} does not fit the model's context of {context:,} tokens.",
            hint=f"Shorten the {what}.",
        )
    if chapter:
        return UsageError(
            f"A chapter of {chapter:,} words does not fit the model's context of {context:,} "
            "tokens.",
            hint=f"Ask for chapters of at most {most:,} words.",
        )
    most += drafted
    return UsageError(
        f"{words + drafted:,} words do not fit the model's context of {context:,} tokens.",
        hint=f"Ask for at most {most:,} words, --words {most}, or for chapters: --length chapters",
    )
