"""The comparison of the ways to reach a length."""

import json
from pathlib import Path

import pytest

from polaris_cli.bench.length import (
    BASELINE,
    STRETCH,
    Written,
    repetition_by_stretch,
    summed_up,
    write_all,
)
from polaris_cli.commands import bench_length
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.errors import UsageError
from polaris_cli.words import self_repetition
from tests.cli import in_process
from tests.scripts import paragraph, script
from tests.servers.faulty import Faulty
from tests.stories import a_thai_story


def test_every_premise_is_written_in_every_way_at_every_length() -> None:
    engine = ScriptedEngine(*[script(paragraph(f"n{n}", 60)) for n in range(60)])
    options: dict[str, object] = {"model": "demo", "think": False}
    found = list(
        write_all(engine, ["a fox", "a hen"], [60, 120], ["single", "extend"], options, 50)
    )
    assert [(one.way, one.words) for one in found] == [
        (way, words)
        for way, words in [
            (BASELINE, 50), ("single", 60), ("extend", 60), ("single", 120), ("extend", 120),
        ]
        for _ in range(2)
    ]  # fmt: skip
    assert [one.story.request.sampling.seed for one in found] == [0, 1] * 5
    rows = list(summed_up(found))
    assert [(row.way, row.words, row.stories) for row in rows] == [
        (found[at].way, found[at].words, 2) for at in range(0, 10, 2)
    ]
    single = rows[1]
    assert (single.mean_ratio, single.lowest_ratio, single.highest_ratio) == (1, 1, 1)
    assert single.surprise is None and single.finish == {"stop": 2} and single.in_band == 1


def test_repetition_is_measured_over_equal_stretches() -> None:
    text = paragraph("a", STRETCH) + " " + paragraph("a", STRETCH)
    assert len(repetition_by_stretch(text)) == 2
    assert max(repetition_by_stretch(text)) < self_repetition(text)
    assert repetition_by_stretch("One two.") == [0.0]


def test_a_story_as_json_has_its_text_and_figures(tmp_path: Path) -> None:
    engine = ScriptedEngine(script(paragraph("a", 50)))
    (one,) = write_all(engine, ["a fox"], [], [], {"model": "demo", "think": False}, 50)
    assert isinstance(one, Written)
    record = json.loads(json.dumps(one.as_dict()))
    assert (record["premise"], record["seed"], record["ratio"]) == ("a fox", 0, 1.0)
    assert record["story"] == one.story.text


def test_the_words_are_those_that_the_ratio_is_of() -> None:
    record = Written("single", 8, a_thai_story(), 1.0).as_dict()
    assert record["ratio"] == record["written"] / 8


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--ways", "chapters,verse"), "does not know 'verse'"),
        (("--premises", "nowhere.txt"), "Cannot read nowhere.txt"),
        (("--words", "abc"), "abc"),
        (("--words", "abc,600"), "not a list of lengths"),
        (("--words", " , "), "has no value"),
        (("--words", "1,200"), "can be one length or several"),
    ],
)
def test_wrong_options_are_named(
    options: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = in_process(("bench", "length", *options), tmp_path, monkeypatch)
    assert done.returncode == 2 and told in done.stderr


def test_premises_are_the_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "premises.txt"
    file.write_text("\ufeffa fox\n\n  a hen \n")
    assert bench_length._premises(str(file)) == ["a fox", "a hen"]
    file.write_text(" \n")
    with pytest.raises(UsageError, match="no premises"):
        bench_length._premises(str(file))


def test_without_a_name_the_model_of_the_server_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = ScriptedEngine(*[script(paragraph(f"n{n}", 60)) for n in range(9)])
    monkeypatch.setattr(bench_length, "engine_for", lambda *_: opened)
    asked = ("bench", "length", "--words", "60", "--ways", "single,single", "--stories", "1")
    with Faulty() as server:
        done = in_process((*asked, "--json", "--base-url", server.url), tmp_path, monkeypatch)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and len(report["stories"]) == 2
    assert report["versions"]["python"] and "xllamacpp" in report["versions"]
