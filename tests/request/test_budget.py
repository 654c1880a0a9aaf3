"""The token budget follows the words, leaves room for thinking and keeps to the context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.errors import UsageError
from polaris_cli.request.budget import Budget, token_budget
from polaris_cli.request.story_request import Sampling

CONTEXT = 262_144


def budget(words: int, context: int = CONTEXT, prompt: int = 50, **sampling: int | bool) -> Budget:
    return token_budget(
        words,
        Sampling(**sampling),  # type: ignore[arg-type]
        context=context,
        prompt_tokens=prompt,
    )


def holds_the_words(made: Budget) -> bool:
    """Whether the limit has room for the thinking and the words asked for."""
    return made.max_new_tokens >= made.story + made.thinking


def limit_without_thinking(words: int, tokens_per_word: float) -> int:
    return token_budget(
        words,
        Sampling(thinking=False),
        context=CONTEXT,
        prompt_tokens=50,
        tokens_per_word=tokens_per_word,
    ).max_new_tokens


def test_the_budget_follows_the_words() -> None:
    assert budget(3000) == Budget(4200, 4096, 5670 + 64 + 4096)


def test_the_model_cards_minimum_applies_from_8000_words() -> None:
    assert limit_without_thinking(8000, 1.2) == 14_336  # the words alone would get 13,024
    assert limit_without_thinking(7999, 1.2) < 14_336
    assert limit_without_thinking(8000, 1.4) > 14_336  # a floor, no ceiling


def test_no_thinking_needs_no_reserve() -> None:
    assert budget(1000, thinking=False).thinking == 0
    assert budget(1000, thinking_budget=0).thinking == 0


def test_thinking_without_a_limit_can_use_the_whole_context() -> None:
    assert budget(1000, thinking_budget=-1).max_new_tokens == CONTEXT - 50


def test_max_new_tokens_replaces_the_limit_even_if_it_is_too_small() -> None:
    assert budget(3000, max_new_tokens=100) == Budget(4200, 4096, 100)
    assert not holds_the_words(budget(3000, max_new_tokens=100))
    exact = 4200 + 4096
    assert holds_the_words(budget(3000, max_new_tokens=exact))
    assert not holds_the_words(budget(3000, max_new_tokens=exact - 1))


def test_words_that_just_fit_the_context_leave_none_for_the_thinking() -> None:
    assert budget(1000, context=1450) == Budget(1400, 0, 1400)


def test_words_beyond_the_context_are_refused_with_the_most_that_fits() -> None:
    with pytest.raises(UsageError, match="do not fit") as refused:
        budget(1000, context=1000)
    assert "--words 678" in refused.value.hint


def test_the_words_of_a_draft_are_counted_in_what_fits() -> None:
    def refused(drafted: int) -> tuple[str, str]:
        with pytest.raises(UsageError) as error:
            token_budget(900, Sampling(), context=1000, prompt_tokens=2 * drafted, drafted=drafted)
        return error.value.message, error.value.hint

    message, hint = refused(300)
    assert message.startswith("1,200 words do not fit") and "--words 585," in hint
    message, hint = refused(700)
    assert message.startswith("The draft does not fit") and hint == "Shorten the draft."


def test_only_a_chapter_has_to_fit_the_context() -> None:
    def chapters(longest: int) -> Budget:
        return token_budget(
            5000, Sampling(thinking=False), context=1000, prompt_tokens=50, chapter=longest
        )

    assert chapters(600) == Budget(7000, 0, 950)
    with pytest.raises(UsageError, match="A chapter of 700 words does not fit") as refused:
        chapters(700)
    assert "at most 678 words" in refused.value.hint


@pytest.mark.parametrize("prompt", [999, 1000, 1001])
def test_a_premise_that_leaves_no_room_for_a_word_is_refused(prompt: int) -> None:
    with pytest.raises(UsageError, match="premise does not fit"):
        budget(10, context=1000, prompt=prompt)


@given(st.integers(1, 150_000), st.integers(0, 30_000), st.integers(-1, 50_000))
def test_a_budget_holds_the_words_and_fits_the_context(words: int, prompt: int, think: int) -> None:
    made = budget(words, prompt=prompt, thinking_budget=think)
    assert holds_the_words(made)
    assert prompt + made.max_new_tokens <= CONTEXT
