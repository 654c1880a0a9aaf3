"""Texts are read from results of polaris and of other projects; what cannot be used is named."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.evaluate.reading import (
    sample_of_row,
    samples_in,
    samples_of_library,
    without_thinking,
)
from polaris_cli.evaluate.samples import Sample
from polaris_cli.formats.export import render
from polaris_cli.library.store import Library
from polaris_cli.story.quality import Quality
from polaris_cli.story.result import Place
from tests.stories import a_story

LONG = "Write a story. It is approximately 800 words long."
OBJECT = '{"output": "A.", "length": 5}'
GROUPED = "Write 1,000 words on x."


def written(folder: Path, *rows: Any, name: str = "stories.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def good(source: str) -> list[Sample]:
    found = list(samples_in(source))
    assert all(isinstance(one, Sample) for one in found), found
    return [one for one in found if isinstance(one, Sample)]


def test_a_record_of_polaris_brings_all_that_is_known(tmp_path: Path) -> None:
    story = a_story(text="It came.", words=900, finish="loop", place=Place("1", "f", 1, "u7", 0.5))
    story = replace(story, quality=Quality(surprise_mean=1.5, surprise_worst=2.25))
    (found,) = good(written(tmp_path, story.as_dict()))
    facts = ("It came.", 900, "demo", "a lighthouse keeper", "u7", 0, "loop", 1.5, 2.25)
    assert found == Sample(*facts, made=found.made, scale=0.5, story_id=story.id)
    assert found.made["weights"] == "polaris/demo" and found.made["written"] == story.created[:10]
    assert "temperature 0.6" in found.made["sampling"] and "polaris" in found.made["versions"]
    assert good(str(tmp_path)) == [found]  # the folder of a batch


def test_a_record_says_whether_the_text_was_closed_at_its_length(tmp_path: Path) -> None:
    stories = [a_story(str(closed), "It came.", finish="stop", closed=closed) for closed in (1, 0)]
    found = good(written(tmp_path, *(story.as_dict() for story in stories)))
    assert [(one.finish, one.closed) for one in found] == [("stop", True), ("stop", False)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {
                "input": LONG,
                "output": "A.",
                "model": "m",
            },
            Sample("A.", 800, "m", LONG),
        ),
        ({"prompt": "p", "story": "A.", "id": 3, "length": 500.0}, Sample("A.", 500, "", "p", "3")),
        (
            {"prompt": "p", "type": "t", "length": 4000, "response_length": 2, "response": "A."},
            Sample("A.", 4000, "", "p"),
        ),
        (
            {
                "category": "c",
                "title": "t",
                "writing_prompt": GROUPED,
                "output": "A",
            },
            Sample("A", 1000, "", GROUPED),
        ),
        (
            {
                "uid": "u",
                "prompt": "p",
                "target_word_count": "2k",
                "output": "<think>b</think>\n\nA.",
            },
            Sample("A.", 2000, "", "p", "u"),
        ),
    ],
)
def test_rows_of_other_projects(row: dict[str, Any], expected: Sample) -> None:
    assert sample_of_row(row) == expected


@pytest.mark.parametrize(
    "stated", ["2500", "2,500", "2.500", "2.5k", "2'500", "2 500", "2000-3000"]
)
def test_a_length_in_the_prompt_may_have_separators(stated: str) -> None:
    row = {"prompt": f"Write a story that is {stated} words long about a fox.", "output": "A."}
    assert sample_of_row(row).asked == 2500


@pytest.mark.parametrize(
    "prompt",
    [
        "A fox finds a letter 100 words long. The story should be approximately 3000 words long.",
        "Write 500 words. Instead of that length, it should be approximately 3,000 words long.",
        "Write a tale. It should be set in Rome, told by the fox, and be about 3000 words long.",
        "The letters should be 100 words long. It should be 200 words long. Be 3000 words long.",
    ],
)
def test_the_length_of_the_text_counts_and_not_that_of_a_letter_in_it(prompt: str) -> None:
    assert sample_of_row({"prompt": prompt, "output": "A."}).asked == 3000


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"prompt": "Write a 3000-word story.", "word_count": 2412}, 3000),
        ({"prompt": "Write a story.", "word_count": 2412}, 2412),
        ({"prompt": "Write a 3000-word story.", "length": "single"}, 3000),
        ({"length": "very long", "word_count": "2k"}, 2000),
    ],
)
def test_a_field_that_may_mean_something_else_is_no_length_where_there_is_one(
    row: dict[str, Any], asked: int
) -> None:
    assert sample_of_row({**row, "output": "A."}).asked == asked


def test_a_table_needs_texts_and_no_premises(tmp_path: Path) -> None:
    table = tmp_path / "stories.csv"
    table.write_text("text,words\nIt came.,3\n")
    assert good(str(table)) == [Sample("It came.", 3, model_id=str(table))]
    table.write_text("premise,words\na fox,3\n")
    with pytest.raises(UsageError, match="no column 'output' or 'story'") as caught:
        good(str(table))
    assert caught.value.hint.endswith("such as: text,words")


def test_the_names_of_columns_may_have_capitals_and_blanks(tmp_path: Path) -> None:
    table = tmp_path / "stories.csv"
    table.write_text("Text, Target-Word-Count ,MODEL,Seed\nIt came.,3,m,2.0\n")
    assert good(str(table)) == [Sample("It came.", 3, "m", seed=2)]


@pytest.mark.parametrize(("seed", "read"), [(7, 7), ("7", 7), (7.0, 7), ("x", None), (True, None)])
def test_a_row_may_have_a_seed(seed: object, read: int | None) -> None:
    assert sample_of_row({"output": "A.", "length": 5, "seed": seed}).seed == read


def test_an_empty_cell_is_no_length() -> None:
    row = {"output": "A.", "words": float("nan"), "length": 5}
    assert sample_of_row(row) == Sample("A.", 5)


def test_the_last_story_of_a_key_counts_where_a_batch_was_killed(tmp_path: Path) -> None:
    first = a_story(text="It came.", place=Place("1", "f", 1)).as_dict()
    other = a_story("bbbb0000", "It went.", place=Place("2", "f", 2)).as_dict()
    again = a_story("cccc0000", "It came back.", place=Place("1", "g", 1)).as_dict()
    source = written(tmp_path, first, other, again)
    assert [one.text for one in good(source)] == ["It went.", "It came back."]
    assert good(str(tmp_path)) == good(source)
    joined = written(tmp_path, first, other, again, name="of-two-batches.jsonl")
    assert len(good(joined)) == 3


def test_a_story_counts_once_where_a_batch_was_killed_as_it_got_another_key(tmp_path: Path) -> None:
    story = a_story(text="It came.", place=Place("1", "f", 1))
    other = a_story("bbbb0000", "It came.", place=Place("2", "f", 2)).as_dict()
    renamed = replace(story, place=Place("1, demo", "f", 1)).as_dict()
    source = written(tmp_path, story.as_dict(), other, renamed)
    assert len(good(source)) == 2


def test_rows_may_be_counted_from_0() -> None:
    assert sample_of_row({"index": 0, "output": "A.", "length": 5}).pair == ("0", 5, None)


def test_a_judge_needs_no_length_and_gets_a_rows_own_checklist(tmp_path: Path) -> None:
    criteria = [{"name": "Pace", "criteria_description": "It moves.", "9-10": "Always."}, "Plain"]
    row = {"index": 7, "domain1": "Literature & Arts", "query": "q", "checklist": criteria}
    path = written(tmp_path, {**row, "response": "A."})
    (found,) = [one for one in samples_in(path, with_length=False) if isinstance(one, Sample)]
    pace = "name: Pace\ncriteria_description: It moves.\n9-10: Always."
    expected = Sample("A.", 0, "", "q", "7", checklist=(pace, "Plain"), model_id=path)
    assert found == expected
    assert [*map(type, samples_in(path))] == [UsageError]


def test_a_checklist_may_be_a_json_list_in_a_cell(tmp_path: Path) -> None:
    table = tmp_path / "stories.csv"
    criteria = [{"name": "Pace", "says": "It moves."}, "Plain"]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["text", "words", "checklist"], ["A.", 5, json.dumps(criteria)]]
        )
    (found,) = good(str(table))
    assert found.checklist == ("name: Pace\nsays: It moves.", "Plain")


@pytest.mark.parametrize(("own", "read"), [(3.0, "3"), (" 3 ", "3"), (0.0, "0"), (1.5, "1.5")])
def test_ids_pair_whether_a_table_has_made_decimals_of_them(own: object, read: str) -> None:
    assert sample_of_row({"id": own, "output": "A.", "length": 5}).prompt_id == read


@pytest.mark.parametrize("checklist", [None, "Pace", 5, {"a": 1}, "[Pace", '{"a": 1}', "[" * 9999])
def test_a_checklist_of_another_kind_is_none(checklist: object) -> None:
    row = {"output": "A.", "length": 5, "checklist": checklist}
    assert sample_of_row(row) == Sample("A.", 5)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt": "p", "length": 5}, "it has no text"),
        ({"output": 5, "length": 5}, "it has no text"),
        ({"output": "A."}, "it has no length"),
        ({"output": "A.", "length": 0}, "its length is 0"),
        ({"output": "A.", "length": "long"}, "it has no length"),
        (
            {"output": "A.", "length": "1 km"},
            "its length is '1 km', which is not a number of words",
        ),
        ({"output": "A.", "length": [1]}, "its length is [1], which is not a number of words"),
        ({"output": "A.", "length": True}, "its length is True, which is not a number of words"),
        ({"schema": "polaris.story/1"}, "is missing"),
    ],
)
def test_what_cannot_be_used_is_named_and_costs_no_other(
    tmp_path: Path, row: dict[str, Any], told: str
) -> None:
    fine = {"output": "A.", "length": 5}
    source = written(tmp_path, fine, row, fine)
    one, problem, other = samples_in(source)
    assert one == other == Sample("A.", 5, model_id=source)
    assert isinstance(problem, UsageError)
    assert problem.message.startswith(f"{source}, line 2: ") and told in problem.message


def test_a_torn_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"output": "A.", "length": 5}\n{"output": "A')
    _, problem = samples_in(str(path))
    assert isinstance(problem, PolarisError) and "line 2" in problem.message


@pytest.mark.parametrize(
    "content", ['{"output": "A.", "length": 5}', '[{"output": "A.", "length": 5}]']
)
def test_a_json_file_is_one_text_or_a_list(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    path = str(tmp_path / "a.json")
    assert good(path) == [Sample("A.", 5, model_id=path)]


@pytest.mark.parametrize(
    "item", ["3", '"A."', "null", "[]", '{"output": "A.", "length": Infinity}']
)
def test_an_item_of_a_json_file_that_cannot_be_used_costs_no_other(
    tmp_path: Path, item: str
) -> None:
    (tmp_path / "a.json").write_text(f"[{OBJECT}, {item}, {OBJECT}]")
    one, problem, other = samples_in(str(tmp_path / "a.json"))
    assert one == other == Sample("A.", 5, model_id=str(tmp_path / "a.json"))
    assert isinstance(problem, UsageError) and "item 2: " in problem.message


def test_a_folder_of_text_files_states_its_lengths(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.txt").write_text("A fox.")
    (folder / "lengths.toml").write_text('"a.txt" = "1k"\n"b.md" = 500\n"c.txt" = "x"\n')
    (folder / "c.txt").write_text("C")
    found, missing, invalid = samples_in(str(folder))
    expected = Sample("A fox.", 1000, "mine", prompt_id="a.txt", model_id=str(folder))
    assert found == expected
    assert isinstance(missing, UsageError) and "b.md" in missing.message
    assert isinstance(invalid, UsageError) and "'x', which is not a number" in invalid.message


def test_a_folder_has_a_name_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.md").write_text("A fox.")
    monkeypatch.chdir(folder / "inner")
    (found,) = samples_in("..", with_length=False)
    assert isinstance(found, Sample)
    assert (found.model, found.model_id) == ("mine", str(folder))


def test_an_exported_story_says_its_length_itself(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    story = a_story(text="It came.", words=900)
    (folder / "a.md").write_bytes(render(story, "md"))
    (folder / "b.md").write_text("---\ntitle: B\n---\n\n<think>A fox?</think>It went.")
    expected = Sample("It came.\n", 900, "demo", story.premise, "a.md", story_id=story.id)
    assert good(str(folder / "a.md")) == [expected]
    found, problem = samples_in(str(folder))
    assert found == expected
    assert isinstance(problem, UsageError) and problem.message.endswith("asked for: b.md.")
    (folder / "lengths.toml").write_text('"b.md" = 500\n"a.md" = 600\n')
    assert good(str(folder)) == [
        Sample("It went.", 500, "mine", "", "b.md", model_id=str(folder)),
        replace(expected, asked=600),
    ]


def test_the_text_files_that_have_no_length_are_named_together(tmp_path: Path) -> None:
    for name in ("a.txt", "b.TXT", "c.md", "d.csv"):
        (tmp_path / name).write_text("A fox.")
    (tmp_path / "lengths.toml").write_text('"a.txt" = 500\n')
    found, problem = samples_in(str(tmp_path))
    assert isinstance(found, Sample) and isinstance(problem, UsageError)
    assert problem.message.endswith("how many words were asked for: b.TXT, c.md.")
    assert len([*samples_in(str(tmp_path), with_length=False)]) == 3


@pytest.mark.parametrize("name", ["tale.epub", "tale.docx", "tale.html", "tale", "tale.JSONL.gz"])
def test_a_file_in_another_format_is_refused_by_its_suffix(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("A fox.")
    with pytest.raises(UsageError, match="in no format that polaris eval reads") as refused:
        list(samples_in(str(tmp_path / name)))
    assert ".jsonl" in refused.value.hint and ".md" in refused.value.hint


@pytest.mark.parametrize("name", ["no.jsonl", "tale.txt", "empty", "bad.json", "no.md"])
def test_a_source_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "tale.txt").write_text("A.")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError):
        list(samples_in(str(tmp_path / name)))


def test_the_library_gives_its_finished_stories(tmp_path: Path) -> None:
    library = Library(tmp_path / "library.db")
    library.finish(a_story("aaaa0000", "A fox.", finish="stop"))
    library.finish(a_story("bbbb0000", "A hen.", finish="interrupted"))
    library.finish(a_story("cccc0000", "A cat.", finish="length"))
    assert {one.text for one in samples_of_library(library, ["*"])} == {"A fox.", "A cat."}
    assert [one.text for one in samples_of_library(library, ["cat"])] == ["A cat."]


@pytest.mark.parametrize(
    ("text", "story"),
    [
        ("a</think>\n\nb", "b"),
        ("<think>a</think>\n\nb ", "b "),
        ("<thinking>a</thinking>b", "b"),
        ("<think>a</think> <think>b</think> c", "c"),
        ("\n<think>\na fox that never ends", ""),
        ("<thinking>a fox", ""),
        ("A fox. <think> is a tag.", "A fox. <think> is a tag."),
        ("a</think>A fox. </think> is a tag.", "A fox. </think> is a tag."),
        (" no tag ", " no tag "),
        ("", ""),
    ],
)
def test_thinking_is_not_the_story(text: str, story: str) -> None:
    assert without_thinking(text) == story == sample_of_row({"output": text, "length": 5}).text


@pytest.mark.parametrize("name", ["stories.csv", "stories.tsv"])
def test_an_empty_cell_is_a_text_of_no_words(tmp_path: Path, name: str) -> None:
    table, comma = tmp_path / name, "\t" if name.endswith("tsv") else ","
    rows = [("Output", "words", "id"), ("It came.", "3", "a"), ("", "5", "b"), ("  ", "5", "c")]
    table.write_text("".join(f"{comma.join(row)}\n" for row in rows))
    assert [(one.text, one.asked, one.prompt_id) for one in good(str(table))] == [
        ("It came.", 3, "a"), ("", 5, "b"), ("", 5, "c"),
    ]  # fmt: skip
    assert sample_of_row({"output": "", "length": 5}).text == ""


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
ROWS = st.dictionaries(
    st.sampled_from(["schema", "output", "story", "length", "words", "prompt", "model", "batch"]),
    VALUES | st.just("polaris.story/1"),
)


@given(st.lists(ROWS, max_size=4))
def test_any_row_is_a_text_or_an_error(tmp_path_factory: Any, rows: list[dict[str, Any]]) -> None:
    found = list(samples_in(written(tmp_path_factory.mktemp("rows"), *rows)))
    assert all(isinstance(one, Sample | PolarisError) for one in found)
    assert all(one.asked >= 1 for one in found if isinstance(one, Sample))
