"""Usage errors get a message and a hint with a suggestion."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from polaris_cli.commands.app import app

CASES = [
    (["write", "x", "--extend"], "no option --extend", "Did you mean --length extend?"),
    (["write", "x", "--4bit"], "no option --4bit", "Did you mean --quantize 4bit?"),
    (["write", "x", "--wrods", "9"], "no option --wrods", "Did you mean --words?"),
    (
        ["write", "x", "--tempreature", "1"],
        "no option --tempreature",
        "Did you mean --temperature?",
    ),
    (["write", "x", "--xyzzy"], "no option --xyzzy", "See: polaris write --help"),
    (["resume", "--thinking-outptu", "x"], "no option", "Did you mean --thinking-output?"),
    (["write", "x", "--top-k", "many"], "--top-k: invalid value 'many'", "Give a whole number"),
    (
        ["write", "x", "--temperature", "warm"],
        "--temperature: invalid value 'warm'",
        "Give a number",
    ),
    (["write", "x", "--temperature", "9"], "temperature is 9", "--temperature"),
    (["write", "x", "--form"], "--form", "--help"),
    (["write", "a", "lighthouse", "keeper"], "one argument", 'in quotes: polaris write "a'),
    (["compare", "a", "lighthouse", "keeper"], "one argument", 'in quotes: polaris compare "a'),
    (["wirte", "x"], "wirte", "Did you mean write?"),
    (["config"], "No such command 'config'", "There is a help page: polaris help config"),
    (["write", "-5 degrees", "-w", "9"], "no option -5", 'polaris write -- "-5 degrees"'),
    (["compare", "--a 'fox' says \"x\""], "no option --a", "compare -- '--a"),
    (["write", "-z", "a fox"], "no option -z", "See: polaris write --help"),
    (["--colour"], "no option --colour", "See: polaris --help"),
    (["library", "shwo"], "shwo", "Did you mean show?"),
    (["write", "x", "--words"], "--words", "See: polaris write --help"),
    (["write", "x", "--no-save=1"], "does not take a value", "See: polaris write --help"),
    (["eval", "run", "-m"], "-m", "See: polaris eval run --help"),
    (["library", "--limit"], "--limit", "See: polaris library --help"),
    (["library", "show"], "ID", "See: polaris library show --help"),
    (["models", "list"], "'list'", "To list them: polaris models. See: polaris models --help"),
    (["bench", "list"], "'list'", "See: polaris bench --help"),
    (["models", "rm", "auto", "-y"], "can stand for several", "polaris models rm no-hri"),
    (["library", "--limit", "0"], "--limit", "See: polaris library --help"),
    (
        ["library", "--json", "show", "x"],
        "--json has no effect before show",
        "See: polaris library show --help",
    ),
    (["models", "-w", "9", "show", "demo"], "--words has no effect", "See: polaris models show"),
    (["bench", "--repeats", "2", "start"], "--repeats has no effect", "See: polaris bench start"),
    (["doctor", "--api-key-env", "KEY"], "--api-key-env needs a server", "Add --base-url URL"),
    (["batch", "x", "-o", "y", "--workers", "2"], "needs --cluster", "Add --cluster local"),
    (["write", "x", "--form", "stroy"], "'stroy' is not one of", "Did you mean story?"),
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="polaris")


@pytest.mark.parametrize(("arguments", "said", "hint"), CASES)
def test_a_usage_error_gets_a_message_and_a_hint(
    arguments: list[str], said: str, hint: str
) -> None:
    refused = run(*arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    error, help_ = refused.stderr.splitlines()
    assert error.startswith("polaris: error: ") and said in error and "Possible" not in error
    assert help_.startswith("polaris: hint: ") and hint in help_


BATCH = ["batch", "premises.txt", "-o", "out", "-m", "demo"]
WITHOUT_EFFECT = [
    (["write", "x", "-m", "demo", "--rubric", "longform"], "--rubric", "--best judge"),
    (["write", "x", "-m", "demo", "--judge-model", "m"], "--judge-model", "--best judge"),
    ([*BATCH, "--rubric", "longform"], "--rubric", "--judge"),
    ([*BATCH, "--judge-url", "http://127.0.0.1:1"], "--judge-url", "--judge"),
    ([*BATCH, "--workers", "8"], "--workers", "--cluster"),
    ([*BATCH, "--gpus-per-worker", "1"], "--gpus-per-worker", "--cluster"),
    (["eval", "run", "-o", "out", "-m", "demo", "--workers", "8"], "--workers", "--cluster"),
    (["bench", "batch", "--words", "200"], "--words", "--stories"),
    (["bench", "batch", "--engine", "gguf"], "--engine", "--stories"),
    (["bench", "batch", "--workers", "2"], "--workers", "--stories"),
]


@pytest.mark.parametrize(("arguments", "option", "needed"), WITHOUT_EFFECT)
def test_an_option_that_needs_another_says_so(
    arguments: list[str], option: str, needed: str
) -> None:
    refused = run(*arguments)
    assert refused.exit_code == 2 and f"{option} needs {needed}." in refused.stderr
    assert f"polaris: hint: Add {needed}" in refused.stderr


EMPTY = [
    (["write", "x", "--continue", ""], "--continue", "Name a file, or leave out --continue."),
    (["write", "x", "--plan", ""], "--plan", "Name a file, or leave out --plan."),
    (["write", "x", "-o", "a.md", "-o", ""], "--output", "Name a file, or leave out --output."),
    (["batch", "p.txt", "-o", ""], "--output", "Name a folder."),
    (["batch", "p.txt", "-o", " "], "--output", "Name a folder."),
    (["batch", "", "-o", "out"], "PREMISES", "Name a file."),
    (["eval", "judge", "", "--rubric", "x", "--judge-model", "m"], "STORIES", "Name a file."),
    (["library", "backup", ""], "FILE", "Name a file."),
]


@pytest.mark.parametrize(("arguments", "name", "hint"), EMPTY)
def test_an_empty_name_of_a_file_is_refused(arguments: list[str], name: str, hint: str) -> None:
    refused = run(*arguments)
    assert refused.exit_code == 2 and f"error: {name} is empty." in refused.stderr
    assert f"hint: {hint}\n" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["write", "x", "-m", "demo", "--output=~/nosuch/x.md"],
        ["write", "x", "-m", "demo", "--plan=~/nosuch/x.md"],
        ["write", "--continue=~/nosuch/x.md"],
        ["library", "backup", "~/nosuch/x.md"],
    ],
)
def test_a_file_may_begin_with_the_home_folder(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    refused = run(*arguments)
    assert refused.exit_code and f"{tmp_path}/nosuch" in refused.stderr


def test_whole_stories_have_no_random_weights() -> None:
    refused = run("bench", "batch", "--stories", "2", "--shape", "qwen3.5-0.8b")
    assert refused.exit_code == 2 and "--stories and --shape contradict" in refused.stderr


def test_an_option_similar_to_none_gets_no_suggestion() -> None:
    assert "Did you mean" not in run("write", "x", "--xyzzy").stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["write", "--help"]])
def test_help_and_version_are_not_errors(arguments: list[str]) -> None:
    shown = run(*arguments)
    assert (shown.exit_code, shown.stderr) == (0, "") and shown.stdout


def test_no_arguments_show_the_help() -> None:
    shown = run()
    assert shown.exit_code == 2 and "Commands:\n" in shown.stderr


def test_a_file_is_no_premise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("premise.txt").write_text("a fox")
    for command, models in (("write", "demo"), ("compare", "demo,smollm2")):
        refused = run(command, "premise.txt", "-w", "9", "-m", models)
        assert refused.exit_code == 2 and "The premise is the name of a file" in refused.stderr
        assert "use < premise.txt" in refused.stderr
