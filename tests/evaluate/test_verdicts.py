"""Any answer of a judge is scores within their scales, or an error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.evaluate.rubric import Criterion, Rubric
from polaris_cli.evaluate.verdicts import Verdict, mismatches, read_verdict

CRITERIA = (Criterion("a", 0, 20, "A."), Criterion("b", 1, 5, "B."))
RUBRIC = Rubric("r", "mean", "Judge.", CRITERIA, totals=("total",))


def read(answer: str) -> Verdict:
    return read_verdict(answer, RUBRIC, CRITERIA)


GOOD = {"a_justification": "So {it} is.", "a_score": 12, "b_score": 4.5, "total": 16}


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(GOOD),
        f"```json\n{json.dumps(GOOD, indent=2)}\n```",
        f"Here it is: {{}} and {json.dumps(GOOD)} Thanks! {{",
        '{"a_score": "12/20", "b_score": " 4.5 ", "total": "16",}',
        '{"a": 12, "b": 4.5, "total": 16}',
        json.dumps({"scores": 1}) + json.dumps(GOOD),
        f'The form: {{"a_score": 0, "b_score": 1, "total": 0}}. My scores: {json.dumps(GOOD)}',
        json.dumps({"evaluation": GOOD}),
        json.dumps(GOOD).replace("So {it} is.", "So {it}\nis\tso."),
        f'{{"a_score": 1, "b_score": 1}} or {{"a_score": 1}}? {json.dumps(GOOD)[:-1]},}}',
        json.dumps({**GOOD, "draft": {"a_score": 1, "b_score": 1}}),
        json.dumps({"draft": {"a_score": 1, "b_score": 1}, "final": GOOD}),
        json.dumps({"result": {"title": "Fog", "scores": GOOD}}),
        json.dumps({"draft": {"scores": {"a": 1, "b": 1}}, "final": {"scores": GOOD}}),
        '{"a": {"score": "12/20", "justification": "So."}, "b": {"score": 4.5}, "total": 16}',
        '{"scores": {"a_score": {"reason": "So.", "score": 12}, "b": 4.5, "total": 16}}',
    ],
)
def test_scores_are_found_in_many_answers(answer: str) -> None:
    assert read(answer) == Verdict({"a": 12, "b": 4.5}, {"total": 16})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("", "no JSON object"),
        ("I like it. 12 of 20.", "no JSON object"),
        ('{"a_score": 12', "no JSON object"),
        ('{"a_score": 12}', "b is missing"),
        ('{"a_score": 12, "b_score": null}', "b is missing"),
        ('{"a_score": true, "b_score": 1}', "a is missing"),
        ('{"a_score": 21, "b_score": 1}', "a is 21, outside"),
        ('{"a_score": "6/10", "b_score": 1}', "a is 6/10, on another scale"),
        ('{"a_score": -1, "b_score": 1}', "a is -1, outside"),
        ('{"a_score": NaN, "b_score": 1}', "a is missing"),
        ('{"a_score": 1e999, "b_score": 1}', "a is missing"),
        ('{"a_score": [12], "b_score": 1}', "a is missing"),
        ('{"a": {"justification": "12"}, "b": 1}', "a is missing"),
        ('{"a": {"score": 12, "max": 100}, "b": 1}', "a is missing"),
        ('{"a": {"score": {"score": 12}}, "b": 1}', "a is missing"),
        ('{"a": {"score": 0, "justification": "..."}, "b": 1}', "a is missing"),
        ('{"a": {"score": "6/10"}, "b": 1}', "a is 6/10, on another scale"),
        ('{"a": {"score": 21}, "b": 1}', "a is 21, outside"),
        ('{"x":' * 500 + '{"a": 12, "b": 1}' + "}" * 500, "no JSON object"),
        ("{" * 5000, "no JSON object"),
        ('{"a":' * 5000, "no JSON object"),
    ],
)
def test_other_answers_are_errors(answer: str, told: str) -> None:
    found = read(answer)
    assert told in found.error and found.scores == {}


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.text() | st.dictionaries(st.sampled_from(["a_score", "b_score", "total"]), VALUES))
def test_any_answer_is_scores_or_an_error(answer: object) -> None:
    found = read(answer if isinstance(answer, str) else f"So: {json.dumps(answer)}.")
    assert bool(found.error) != bool(found.scores)
    for one in CRITERIA:
        assert found.error or one.low <= found.scores[one.key] <= one.high


FORM = json.dumps({"a_justification": "...", "a_score": 0, "b_score": 1, "total": 0})
CUT = json.dumps(GOOD)[:-1]
QUOTED = json.dumps(GOOD).replace("So {it} is.", 'So "it" is.')


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (FORM, "no JSON object"),
        (f"The form is {FORM} and my answer is {CUT}", "no JSON object"),
        (f"{FORM} {QUOTED}", "no JSON object"),
        (f"A draft: {json.dumps(GOOD)} Better: {CUT}", "not valid JSON"),
        (f"A draft: {json.dumps(GOOD)} Better: {QUOTED}", "not valid JSON"),
        (f'{json.dumps(GOOD)} {{"parts": {{"x": 1}}, "a": 1', "not valid JSON"),
    ],
)
def test_neither_the_form_nor_a_draft_is_scored_where_the_last_answer_is_damaged(
    answer: str, told: str
) -> None:
    found = read(answer)
    assert told in found.error and found.scores == {}


@pytest.mark.parametrize(
    "answer",
    [
        f"{json.dumps(GOOD)} I kept to the form: {FORM}",
        f"{CUT} No: {json.dumps(GOOD)}",
        f"{json.dumps(GOOD)} {{so be it}}",
        f'{json.dumps(GOOD)} My "a_score": it is high.',
    ],
)
def test_a_whole_answer_is_scored_in_spite_of_what_is_beside_it(answer: str) -> None:
    assert read(answer).scores == {"a": 12, "b": 4.5}


@pytest.mark.parametrize("other", ["6", '"4.5/20"', "null", "NaN"])
def test_a_draft_is_not_scored_where_the_last_answer_is_in_error(other: str) -> None:
    draft, last = json.dumps(GOOD), f'{{"a_score": 3, "b_score": {other}}}'
    assert read(f"Draft: {draft}\nFinal: {last}") == read(last) != read(draft)
    assert read(f'{draft} Final: {{"a_score": 3}}').scores == {}


def test_sums_are_checked() -> None:
    assert mismatches({"total": 16, "other": 1}, {"total": 16.4}) == []
    assert mismatches({"total": 16}, {"total": 17}) == ["total"]
