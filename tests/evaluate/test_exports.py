"""Every row of the CSV says what it is of."""

import csv

from polaris_cli.evaluate.exports import as_csv
from polaris_cli.evaluate.figures import figures_of
from polaris_cli.evaluate.judgements import judged
from polaris_cli.evaluate.judging import text_key
from polaris_cli.evaluate.rubric import load_rubric
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.tables import Evaluation
from tests.evaluations import a_judgement

RUBRIC = load_rubric("longbench-write")
OTHER = {"judge": "qwen", "thinks": True}


def lines_of(found: Evaluation) -> list[dict[str, str]]:
    return list(csv.DictReader(as_csv(found.tables()).splitlines()))


def test_rows_of_judges_with_other_settings_and_rubrics_can_be_told_apart() -> None:
    found, samples = Evaluation(), [Sample("A.", 1500, model, "p") for model in "ab"]
    for sample in samples:
        found.add(sample, figures_of(sample))
        more = {"text": text_key(sample), "model": sample.model}
        found.judged += judged([a_judgement(RUBRIC, 3, **more)])
        found.judged += judged([a_judgement(RUBRIC, 3, judge=OTHER, date="2026-02-01", **more)])
        found.judged += judged([a_judgement(RUBRIC, 3, rubric_key="edited", **more)])
    lines = lines_of(found)
    of_a_judge = [line for line in lines if line["table"] == "longbench-write by qwen"]
    measured = {"mean", "low", "high", "count"}
    named = [tuple(line[name] for name in line if name not in measured) for line in lines]
    assert len(set(named)) == len(named) and len(of_a_judge) % 3 == 0
    assert {(line["settings"], line["rubric_key"], line["days"]) for line in of_a_judge} == {
        ("thinks false", RUBRIC.key, "2026-01-31"),
        ("thinks true", RUBRIC.key, "2026-02-01"),
        ("thinks false", "edited", "2026-01-31"),
    }
    assert {line["settings"] for line in lines if line not in of_a_judge} == {""}
