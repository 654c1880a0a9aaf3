"""A command line that cannot be read is answered like every other error, with what was meant."""

from pathlib import Path

import pytest

from tests.cli import polaris_command, run

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
    (["write", "x", "--top-k", "many"], "--top-k: 'many'", "Give a whole number"),
    (["write", "x", "--temperature", "warm"], "--temperature: 'warm'", "Give a number"),
    (["write", "x", "--temperature", "9"], "temperature is 9", "--temperature"),
    (["write", "x", "--form"], "--form", "--help"),
    (["write", "a", "lighthouse", "keeper"], "one argument", "in quotes"),
    (["wirte", "x"], "wirte", "Did you mean write?"),
    (["--colour"], "no option --colour", "See: polaris --help"),
    (["library", "shwo"], "shwo", "Did you mean show?"),
    (["library", "show"], "ID", "See: polaris library show --help"),
    (["library", "--limit", "0"], "--limit", "See: polaris library --help"),
    (["write", "x", "--form", "stroy"], "'stroy' is not one of", "Did you mean story?"),
]


@pytest.mark.parametrize(("arguments", "said", "hint"), CASES)
def test_a_mistake_gets_two_lines(
    tmp_path: Path, arguments: list[str], said: str, hint: str
) -> None:
    refused = run(polaris_command(*arguments), tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    error, help_ = refused.stderr.splitlines()
    assert error.startswith("polaris: error: ") and said in error and "Possible" not in error
    assert help_.startswith("polaris: hint: ") and hint in help_


def test_an_option_that_is_like_none_gets_no_guess(tmp_path: Path) -> None:
    refused = run(polaris_command("write", "x", "--xyzzy"), tmp_path)
    assert "Did you mean" not in refused.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["write", "--help"]])
def test_what_is_no_mistake_ends_well(tmp_path: Path, arguments: list[str]) -> None:
    shown = run(polaris_command(*arguments), tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "") and shown.stdout


def test_nothing_at_all_shows_the_help(tmp_path: Path) -> None:
    shown = run(polaris_command(), tmp_path)
    assert shown.returncode == 2 and "Commands" in shown.stdout + shown.stderr
