"""`polaris bench score`: texts of the length asked for, scored in constant memory."""

import json

import pytest
from typer.testing import CliRunner

from polaris_cli.bench.scoring import _samples, scoring_speed
from polaris_cli.commands.app import app
from polaris_cli.words import count_words


def test_texts_have_the_words_asked_for_and_differ() -> None:
    one, other = _samples(2, 100)
    assert count_words(one.text) == 100 == one.asked and one.text != other.text
    assert one.text.count("\n\n") == 1


@pytest.mark.parametrize(("texts", "marks"), [(40, [10, 20, 30, 40]), (11, [2, 5, 8, 11])])
def test_time_and_memory_are_taken_four_times(texts: int, marks: list[int]) -> None:
    assert [mark.texts for mark in scoring_speed(texts, 20)] == marks


def test_the_table_and_json() -> None:
    asked = ["bench", "score", "--texts", "8", "--words", "30"]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0 and "texts\tseconds\ttexts/s\tmemory" in shown.stdout
    report = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert [mark["texts"] for mark in report["marks"]] == [2, 4, 6, 8]
    assert report["schema"] == "polaris.bench-score/1" and report["versions"]["python"]


@pytest.mark.bench
def test_ten_thousand_stories_take_linear_time_and_constant_memory() -> None:
    first, *_, last = scoring_speed(10_000, 4_000)
    assert last.seconds < 120
    assert last.seconds < 4.6 * first.seconds
    assert last.memory_mb < first.memory_mb + 60
