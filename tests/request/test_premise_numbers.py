"""Numbers of words are found with their bounds and ranges, whether or not anybody asks for them."""

import pytest

from polaris_cli.request.premise import read_length
from polaris_cli.request.premise_numbers import amount_at, tokens_of


def amounts(text: str) -> list[tuple[float, float, str, str]]:
    """Low, high, bound and quote of every amount in a text."""
    tokens = tokens_of(text)
    words = [token.text for token in tokens]
    found = filter(None, (amount_at(words, place) for place in range(len(words))))
    return [
        (one.low, one.high, one.bound, text[tokens[one.first].start : tokens[one.last - 1].end])
        for one in found
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500 words", 500),
        ("2 thousand words", 2000),
        ("2.5k words", 2500),
        ("half a thousand words", 500),
        ("a thousand words", 1000),
        ("two and a half thousand words", 2500),
        ("Word count: 2k", 2000),
        ("Word count: 50", 50),
        ("十字", 10),
        ("二十三字", 23),
        ("三万字", 30_000),
        ("一万二千字", 12_000),
        ("十二万字", 120_000),
    ],
)
def test_a_number_is_read_to_its_first_word(text: str, number: int) -> None:
    assert amounts(text) == [(number, number, "", text)]


@pytest.mark.parametrize("text", ["2.0 words", "2.0005k words", "a words", "Word count: 49"])
def test_what_is_no_whole_number_of_words_is_left_alone(text: str) -> None:
    assert amounts(text) == []


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("about 500 words", "about"),
        ("at least 500 words", "least"),
        ("500 words at most", "most"),
        ("Word count: at least 500", "least"),
    ],
)
def test_a_bound_belongs_to_its_number(text: str, bound: str) -> None:
    assert amounts(text) == [(500, 500, bound, text)]


@pytest.mark.parametrize(
    "text",
    [
        "500 to 900 words",
        "between 500 and 900 words",
        "at least 500 and at most 900 words",
    ],
)
def test_a_range_has_two_ends(text: str) -> None:
    assert amounts(text) == [(500, 900, "", text)]


def test_each_end_of_a_range_may_have_its_unit() -> None:
    assert (500, 900, "", "500 words to 900 words") in amounts("500 words to 900 words")


@pytest.mark.parametrize("text", ["500 and 900 words", "at least 500 and 900 words"])
def test_numbers_joined_by_and_alone_are_no_range(text: str) -> None:
    assert amounts(text) == [(900, 900, "", "900 words")]


def test_a_small_low_end_shares_the_multiplier_and_a_large_one_does_not() -> None:
    assert amounts("2 to 3 thousand words") == [(2000, 3000, "", "2 to 3 thousand words")]
    assert amounts("100 to 1 thousand words") == [(100, 1000, "", "100 to 1 thousand words")]
    assert amounts("1000 to 2 thousand words") == [(1000, 2000, "", "1000 to 2 thousand words")]


def test_a_joint_without_a_number_before_it_makes_no_range() -> None:
    found = [(500, 500, "about", "about five hundred words")]
    assert amounts("to about five hundred words") == found


def test_a_number_too_long_for_any_length_is_still_told() -> None:
    assert read_length(f"{'1' * 5000} words").doubtful


def test_a_label_makes_a_length_of_a_number_at_the_end_of_a_request() -> None:
    length = read_length("Write a story about a fox word count: 800").length
    assert length and (length.words, length.quote) == (800, "word count: 800")
