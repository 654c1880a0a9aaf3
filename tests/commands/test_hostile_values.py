"""Whatever value an option or argument gets, the answer is one clear sentence."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from polaris_cli.commands.app import _load_command, app
from tests.cli import environment

VALUES = ["", "x" * 5000, "\udcff\udc80", "9" * 400]
MORE_VALUES = [
    *("nan", "-inf", "0", "-5", "1e999", "١٢", "[[" * 3000, "a b " * 2000, "http://☃", "\x1b[2J"),
    *("~nobody/x", "/", "-", "{}", "0-0", "\n"),
]
SERVER = {"--base-url", "--connect-timeout", "--stall-timeout"}
ARGUMENTS = [
    ["write", "{}", "-m", "demo", "--dry-run"],
    ["write", "a fox", "--engine", "endpoint", "--base-url={}", "--dry-run"],
    ["write", "a fox", "--continue", "{}", "-m", "demo", "--dry-run"],
    ["library", "show", "{}"],
    ["library", "search", "{}"],
    ["library", "rm", "--yes", "{}"],
    ["library", "--limit", "{}"],
    ["library", "export", "last", "-o", "{}"],
    ["models", "show", "{}"],
    ["models", "--words", "{}"],
    ["presets", "show", "{}"],
    ["help", "{}"],
    ["resume", "{}"],
    ["resume", "--words={}"],
    ["bench", "length", "-m", "nobody/none", "--words={}"],
    ["bench", "length", "-m", "nobody/none", "--ways={}"],
    ["bench", "length", "-m", "nobody/none", "--premises={}"],
    ["bench", "batch", "-m", "nobody/none", "--sizes={}"],
    ["bench", "-m", "nobody/none", "--at={}"],
    ["batch", "{}", "-o", "out", "-m", "nobody/none"],
    ["batch", "-", "-m", "nobody/none", "-o={}"],
    *(
        ["batch", "-", "-o", "out", "-m", "nobody/none", f"--{name}={{}}"]
        for name in ("words", "seeds", "jobs", "each", "temperature")
    ),
    ["{}"],
]


def options() -> list[list[str]]:
    """Each option of `write` that takes a value, in a dry run."""
    given: list[Any] = [
        param.opts[0]
        for param in _load_command("write").params
        if param.param_type_name == "option" and not param.is_flag and param.opts[0] not in SERVER
    ]
    return [["write", "a fox", "--dry-run", "-m", "demo", f"{name}={{}}"] for name in given]


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    monkeypatch.chdir(tmp_path)
    return {**environment(tmp_path)}


def check(arguments: list[str], value: str, variables: dict[str, str | None]) -> None:
    given = [argument.replace("{}", value) for argument in arguments]
    ended = CliRunner().invoke(app, given, prog_name="polaris", env=variables)
    said = ended.stderr.splitlines()
    assert ended.exit_code in (0, 2, 3), (given, ended.stderr[:500])
    assert len(said) <= 3 and max(map(len, said), default=0) < 1_300, (given, ended.stderr[:500])


@pytest.mark.parametrize("arguments", options() + ARGUMENTS, ids=" ".join)
def test_no_value_is_unexpected(
    arguments: list[str], variables: dict[str, str | None], tmp_path: Path
) -> None:
    for value in VALUES:
        check(arguments, value, variables)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", options() + ARGUMENTS, ids=" ".join)
def test_no_other_value_is_unexpected(
    arguments: list[str], variables: dict[str, str | None], tmp_path: Path
) -> None:
    for value in MORE_VALUES:
        check(arguments, value, variables)
