"""The values that several commands read alike: lists, stories at once, and an input."""

from pathlib import Path

import pytest

from polaris_cli.commands.option_values import (
    MOST_AT_ONCE,
    at_once_in,
    compared,
    lengths_in,
    listed,
    rows_of,
)
from polaris_cli.errors import UsageError


def test_a_list_has_each_value_once() -> None:
    assert listed("--words", ["8, 1200,3k,,8"]) == ("8", "1200", "3k")
    assert listed("--words", ["8", "1200,8", "3k"]) == ("8", "1200", "3k")
    assert listed("--words", None) == ()
    with pytest.raises(UsageError, match="--each: ' , ' has no value"):
        listed("--each", ["md", " , "])


def test_equal_lengths_are_one() -> None:
    assert lengths_in(["1k,1000", "1.0k, 2k", "many, many"]) == ("1k", "2k", "many")


def test_a_length_with_a_comma_may_be_two() -> None:
    assert lengths_in(["200, 1200", "3k"]) == ("200", "1200", "3k")
    with pytest.raises(UsageError, match="can be one length or several") as refused:
        lengths_in(["8", "1,200"])
    assert "For one: --words 1200" in refused.value.hint


def test_models_to_compare_have_different_names(tmp_path: Path) -> None:
    one, two, link = (tmp_path / name for name in ("a/final", "b/final", "c"))
    one.mkdir(parents=True)
    two.mkdir(parents=True)
    link.symlink_to(two)
    assert compared(["demo", str(one)]) == ("demo", str(one))
    for other in (two, link):
        with pytest.raises(UsageError, match="called final"):
            compared([f"{one}, {other}"])


@pytest.mark.parametrize("jobs", ["0", "-1", "x", "1.5", "", "\N{SUPERSCRIPT TWO}", "9" * 12])
def test_a_number_at_once_is_one_that_can_be(jobs: str) -> None:
    assert (at_once_in("auto"), at_once_in(str(MOST_AT_ONCE))) == (None, MOST_AT_ONCE)
    with pytest.raises(UsageError, match="--jobs"):
        at_once_in(jobs)


def test_the_rows_of_an_input_can_be_read_again_and_are_told_of_once(tmp_path: Path) -> None:
    file, told = tmp_path / "premises.txt", list[str]()
    file.write_text("a fox\n\nthat slept\nfor long\n\na hen\n")
    rows = rows_of(str(file), told.append)
    assert [*rows()] == [*rows()]
    assert len(told) == 1
