"""The prompt states the length in digits, whatever the premise looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.prompts import length_in, messages_for
from polaris_cli.request import StoryRequest


@pytest.mark.parametrize(
    ("premise", "words"),
    [
        ("a 500-word tale", 500),
        ("3,000 words on rain", 3000),
        ("a story of 2.5k words", 2500),
        ("about 1200 words long", 1200),
        ("write 1 word", 1),
        ("the 100 words of the king: 50 words", 100),
        ("a story", None),
        ("the year 1999", None),
        ("2.5 words", None),
        ("v1.200 words", None),
        ("a crossword of 12", None),
    ],
)
def test_a_length_is_read_out_of_a_premise(premise: str, words: int | None) -> None:
    assert length_in(premise) == words


def asked(premise: str, words: int = 800, **more: str) -> str:
    (message,) = messages_for(StoryRequest(premise, words, **more))  # type: ignore[arg-type]
    assert message.role == "user"
    return message.content


def test_the_card_wording() -> None:
    assert asked("a fox", 3000) == "Write a 3000-word story about a fox."


@pytest.mark.parametrize("words", [8, 80, 800, 8000, 11, 11000, 18])
def test_the_article_fits_the_number(words: int) -> None:
    assert asked("a fox", words) == f"Write an {words}-word story about a fox."


def test_a_final_stop_is_not_doubled() -> None:
    assert asked("A fox.").endswith("about A fox.")


def test_an_instruction_is_kept_and_given_the_length() -> None:
    assert asked("Write a fable about a fox") == (
        "Write a fable about a fox. The story should be approximately 800 words long."
    )
    assert asked("Write an 800-word fable!") == "Write an 800-word fable!"


def test_a_premise_of_several_lines_follows_the_wording() -> None:
    assert asked("A fox.\nA hen.") == (
        "Write an 800-word story about the following premise.\n\nA fox.\nA hen."
    )


def test_the_form_has_its_name() -> None:
    assert "book review about" in asked("a fox", form="review")


@given(st.text(min_size=1).filter(lambda text: text.strip()), st.integers(1, 200_000))
def test_any_premise_stands_in_the_prompt_with_its_length(premise: str, words: int) -> None:
    prompt = asked(premise, words)
    assert premise.strip().rstrip(". ") in prompt
    assert str(words) in prompt
