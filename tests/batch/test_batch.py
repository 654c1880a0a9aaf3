"""A survey says what is to be written, and looks at no more than it needs."""

from dataclasses import replace
from pathlib import Path

import pytest

from polaris_cli.batch.batch import Batch
from polaris_cli.batch.premises import BadRow, Row
from polaris_cli.batch.results import Results
from polaris_cli.batch.tasks import Grid, Task, earlier_fingerprint
from polaris_cli.errors import ModelUnavailable, UsageError

ROWS = [Row(number, f"line {number}", "", f"premise {number}", {}) for number in (1, 2)]


def batch(results: Results, grid: Grid, **options: object) -> Batch:
    return Batch(lambda: iter(ROWS), {"model": "demo", "words": 8, **options}, grid, results)


def write(results: Results, *keys: str, fingerprint: str = "f") -> None:
    """Stories of the first row with these keys."""
    for key in keys:
        place = {"key": key, "fingerprint": fingerprint, "row": 1, "input_id": ""}
        record = {"schema": "polaris.story/1", "id": key, "premise": ROWS[0].premise}
        results.add({**record, "batch": place})


@pytest.mark.parametrize(
    ("settings", "environ"), [({}, {}), ({}, {"POLARIS_WORDS": "900"}), ({"preset": "flash"}, {})]
)
def test_the_longest_story_may_have_its_length_from_any_source(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, object],
    environ: dict[str, str],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    short = replace(ROWS[0], settings={"words": 30})
    with Results(tmp_path) as results:
        rows = (short, ROWS[1])
        options = {"model": "demo", **settings}
        found = Batch(lambda: iter(rows), options, Grid(), results).survey()
    (group,) = found.groups.values()
    assert (group.longest.key, group.count) == ("2", 2)


def test_a_story_that_this_batch_asks_for_keeps_its_key(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        place = Task("1", ROWS[0], {"model": "demo", "words": "8"}).job().place
        assert place
        write(results, "1, 8.0", fingerprint=place.fingerprint)
        survey = batch(results, Grid(("8", "8.0"))).survey()
        assert (survey.done, survey.extra) == (1, 0)
        assert results.fingerprint("1, 8") is None
        survey = batch(results, Grid(("8", "70"))).survey()
        assert (survey.done, survey.extra) == (1, 0)
        assert results.fingerprint("1, 8.0") is None


def test_a_story_with_the_fingerprint_of_an_earlier_version_gets_the_new_one(
    tmp_path: Path,
) -> None:
    job = Task("1", ROWS[0], {"model": "demo", "words": 8, "threads": 2}).job()
    with Results(tmp_path) as results:
        write(results, "1", fingerprint=earlier_fingerprint(job))
        assert batch(results, Grid(), threads=2).survey().done == 1
        survey = batch(results, Grid(), threads=3).survey()
        assert (survey.done, len(results)) == (1, 1)


def test_an_id_can_be_the_word_row_and_a_number(tmp_path: Path) -> None:
    good = Row(1, "line 1", "row 2", "a fox", {})
    bad = BadRow(2, "line 2", UsageError("It is wrong."))
    options = {"model": "demo", "words": 8}
    with Results(tmp_path) as results:
        first = Batch(lambda: iter((good, bad)), options, Grid(), results)
        (task,) = first.pending(Task("", good, options).loading)
        first.fail(task, UsageError("It failed."))
        first.fail_row(bad)
        assert len(results.failed) == 2
    with Results(tmp_path) as results:
        Batch(lambda: iter((good,)), options, Grid(), results).survey()
        assert [*results.failed] == ["row 2"]


@pytest.mark.parametrize("error", [ModelUnavailable("It is gone."), UsageError("It is wrong.")])
def test_a_story_that_cannot_be_compared_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(task: Task) -> None:
        raise error

    monkeypatch.setattr(Task, "job", fails)
    with Results(tmp_path) as results:
        write(results, "1")
        survey = batch(results, Grid(("8", "70"))).survey()
        assert (survey.total, survey.done, survey.changed, survey.extra) == (4, 0, 0, 1)
