"""A stated length is left out or replaced, or the premise stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.request.premise import read_length
from polaris_cli.request.stated_length import with_length, without_length
from tests.request.test_premise import PREMISES


@given(PREMISES)
def test_what_is_left_without_a_length_is_part_of_the_phrase(premise: str) -> None:
    rest = without_length(premise)
    assert rest in premise and (rest or not premise)
    if not read_length(premise).length:
        assert rest == premise


@given(PREMISES, st.integers(1, 200_000))
def test_a_replaced_length_is_read_again(premise: str, words: int) -> None:
    replaced = with_length(premise, words)
    stated = read_length(replaced).length
    assert replaced == premise or (stated and stated.words == words)


@pytest.mark.parametrize(
    ("premise", "replaced"),
    [
        ("Write a 2 thousand word story", "Write an 800 word story"),
        ("Write a 500-word story on a grade A essay", "Write an 800-word story on a grade A essay"),
        ("a fox (max 500 words)", "a fox (max 500 words)"),
        ("Escribe un cuento de 1.500 palabras", "Escribe un cuento de 800 palabras"),
        ("Two. About 500 words. In all, 500 words.", "Two. About 500 words. In all, 500 words."),
        ("a fox, 500 words +/- 10%", "a fox, 500 words +/- 10%"),
    ],
)
def test_one_plain_number_is_replaced(premise: str, replaced: str) -> None:
    assert with_length(premise, 800) == replaced
