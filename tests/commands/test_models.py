"""`polaris models`: the tables, one model in full, JSON, and removing."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from polaris_cli.commands.models import app
from polaris_cli.errors import ModelUnavailable, UsageError
from tests.fake_hub import CONFIG, WEIGHTS, safetensors


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments, prog_name="models")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def table(*arguments: str) -> list[dict[str, str]]:
    lines = run(*arguments).stdout.partition("\n\n")[0].splitlines()
    headers, *rows = (line.split("\t") for line in lines)
    return [dict(zip(headers, row, strict=True)) for row in rows]


def cache(home: Path, repository: str) -> Path:
    """A small model in the hub's cache."""
    folder = home / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("c0ffee")
    (snapshot / "config.json").write_text(json.dumps(CONFIG))
    (snapshot / "tokenizer.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(safetensors(WEIGHTS))
    return snapshot


def test_the_table() -> None:
    rows = {row["model"]: row for row in table()}
    assert list(rows) == ["polaris", "no-hri", "base", "base-27b", "smollm2", "demo"]
    polaris = rows["polaris"]
    assert (polaris["access"], polaris["local"]) == ("gated", "no")
    assert (polaris["download"], polaris["bf16"], polaris["4-bit"]) == (
        "19.3 GB",
        "19.7 GB",
        "9.5 GB",
    )
    assert (polaris["quality"], polaris["length"]) == ("57/48/44", "0.99/0.87/0.72")
    assert rows["base-27b"]["length"] == "-/-/0.82"
    assert (rows["demo"]["access"], rows["demo"]["download"]) == ("built in", "-")


@pytest.mark.parametrize(
    ("words", "quality", "expected"),
    [("3000", "57.4", "about 2,970 (0.99)"), ("9k", "44.1", "about 6,480 (0.72)")],
)
def test_at_a_length(words: str, quality: str, expected: str) -> None:
    polaris = table("--words", words)[0]
    assert (polaris["quality"], polaris["expected words"]) == (quality, expected)


def test_the_recommendation() -> None:
    advice = run("--words", "9000").stdout.splitlines()[-1]
    assert advice.startswith("For 9,000 words, choose polaris: the card recommends it above 6,000")
    assert "no-hri is close" in run("--words", "2k").stdout.splitlines()[-1]


@pytest.mark.parametrize("words", ["many", "1.5"])
def test_an_invalid_length_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="--words: invalid value"):
        run("--words", words)


@pytest.mark.parametrize("words", ["0", "-5", "200001", "9" * 30])
def test_a_length_that_no_story_has_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match=r"^--words is -?[\d,]+, but must be from 1 to 200,000\.$"):
        run("--words", words)


def test_json() -> None:
    listed = json.loads(run("--json").stdout)
    assert listed["models"][0]["name"] == "polaris"
    assert "recommended" not in listed
    listed = json.loads(run("--json", "--words", "9k").stdout)
    assert (listed["words"], listed["recommended"]) == (9000, "polaris")
    assert listed["models"][0]["expected_words"] == 6480
    assert listed["models"][-1]["expected_words"] is None


def test_downloaded_models_are_marked_local(home: Path) -> None:
    cache(home, "Qwen/Qwen3.5-9B")
    assert {row["model"] for row in table() if row["local"] == "yes"} >= {"base"}


def facts(*arguments: str) -> dict[str, str]:
    return dict(line.split("\t") for line in run("show", *arguments).stdout.splitlines())


def test_show() -> None:
    shown = facts("polaris")
    assert shown["id"] == "rishanthrajendhran/POLARIS-9B"
    assert shown["page"].startswith("https://huggingface.co/")
    assert shown["context"] == "262,144"
    assert shown["good words"] == "1,000 to 3,000"
    assert shown["memory"] == "bf16 19.7 GB, 8-bit 12.8 GB, 4-bit 9.5 GB"
    assert shown["quality"] == "ID 57.4, Near 48.2, Far 44.1, all 52.1, slope -3"
    assert shown["on this machine"] == "no"


def test_show_leaves_out_unknown_figures() -> None:
    assert not {"quality", "page", "writingbench d4", "download bytes"} & set(facts("demo"))


def test_show_reads_the_files_of_other_models(home: Path) -> None:
    folder = cache(home, "owner/tiny")
    for name in (str(folder), "owner/tiny"):
        shown: dict[str, Any] = json.loads(run("show", name, "--json").stdout)
        assert shown["parameters"] == 500 * 64 + 4000 * 64
        assert shown["context"] == 4096
        assert shown["on_this_machine"] == str(folder)


def test_a_model_that_is_not_downloaded_is_an_error() -> None:
    with pytest.raises(ModelUnavailable, match="not in the catalogue and not downloaded"):
        run("show", "owner/tiny")
    with pytest.raises(ModelUnavailable) as caught:
        run("show", "polarsi")
    assert "Did you mean polaris?" in caught.value.hint


def test_a_folder_with_damaged_files_is_an_error(home: Path) -> None:
    folder = cache(home, "owner/tiny")
    (folder / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors cannot be read"):
        run("show", str(folder))


def test_remove(home: Path) -> None:
    folder = cache(home, "owner/tiny")
    with pytest.raises(UsageError, match="Cannot ask for confirmation") as caught:
        run("rm", "owner/tiny")
    assert caught.value.hint == "Delete without asking: polaris models rm owner/tiny --yes"
    assert folder.exists()
    assert run("rm", "owner/tiny", "--yes").stdout == "0.6 MB freed.\n"
    assert not folder.exists()
    with pytest.raises(ModelUnavailable, match="not on this machine"):
        run("rm", "owner/tiny", "--yes")


def test_the_demo_model_cannot_be_removed() -> None:
    with pytest.raises(ModelUnavailable, match="not downloaded"):
        run("rm", "demo", "--yes")


def test_fetching_the_demo_model_needs_no_hub() -> None:
    assert run("fetch", "demo").stdout.strip().endswith("model")


@pytest.mark.parametrize("command", [[], ["show"], ["fetch"], ["rm"]])
def test_help_has_an_example(command: list[str]) -> None:
    assert "Example:  polaris models" in run(*command, "--help").stdout


@pytest.mark.parametrize("command", ["show", "fetch"])
def test_a_revision_of_a_model_that_is_not_from_the_hub_is_told(command: str) -> None:
    done = run(command, "demo", "--revision", "x")
    assert done.exit_code == 0 and "demo" in done.stdout
    assert done.stderr == (
        "polaris: note: --revision has no effect: demo is not loaded from the hub.\n"
    )
    assert not run(command, "demo").stderr
