"""A judge's answers are kept as they come, by one process, whatever ends it."""

import json
from pathlib import Path

import pytest

from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.evaluate.judge_file import JudgeFile, read_records
from polaris_cli.evaluate.rubric import load_rubric
from tests.evaluations import a_judgement


def a_record(key: str) -> dict[str, object]:
    return {"key": key, **a_judgement(load_rubric("writingbench"), 1)}


def test_records_are_on_the_disk_at_once_and_read_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "new" / "judged.jsonl"
    with JudgeFile(path) as file:
        file.add(a_record("1"))
        assert json.loads(path.read_text()) == a_record("1")
        file.add(a_record("2"))
    with JudgeFile(path) as file:
        assert [*file.records] == ["1", "2"] and file.records["2"] == a_record("2")


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    with JudgeFile(path) as file:
        file.add(a_record("1"))
    with path.open("a") as torn:
        torn.write('{"key": "2", "te')
    with JudgeFile(path) as file:
        assert [*file.records] == ["1"]
        file.add(a_record("3"))
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["1", "3"]


def test_two_processes_do_not_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    with JudgeFile(path), pytest.raises(UsageError, match="Another polaris eval judge"):
        JudgeFile(path)
    with JudgeFile(path):
        pass


def test_the_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    path.write_text('{"mine": 1}\n')
    with pytest.raises(UsageError):
        JudgeFile(path)
    assert path.read_text() == '{"mine": 1}\n'


@pytest.mark.parametrize("kind", ["folder", "text", "below a file"])
def test_what_is_in_the_way_is_told_in_the_words_of_a_judge(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "judged.jsonl"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("<html>\n")
    with pytest.raises(PolarisError) as caught:
        JudgeFile(path / "inner.jsonl" if kind == "below a file" else path)
    assert "batch" not in caught.value.message
    assert caught.value.hint == "Use another file with -o."


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": 1}, {"date": None}, {"asked": "1500"}, {"all_criteria": 0}, {"judge": "qwen"},
        {"judge": {}}, {"scores": {"a": "5"}}, {"scores": {"a": float("nan")}},
        {"stated": []}, {"aggregation": "none"}, {"checklist": []},
    ],
)  # fmt: skip
def test_what_is_no_record_is_passed_over(tmp_path: Path, wrong: dict[str, object]) -> None:
    path = tmp_path / "judged.jsonl"
    lines = [json.dumps(each) for each in ({**a_record("1"), **wrong}, a_record("2"), [1])]
    path.write_text("\n".join([*lines, '{"key": "3']))
    assert list(read_records(path)) == [a_record("2")]


def test_a_file_without_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "judged.jsonl"
    path.write_text("<html>\n")
    with pytest.raises(UsageError, match="has no records"):
        list(read_records(path))
    path.write_text("")
    assert not list(read_records(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Cannot read .*judged"):
        list(read_records(tmp_path / "judged.jsonl"))
