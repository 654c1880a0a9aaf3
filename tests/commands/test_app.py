"""The list of commands: each is imported only when it runs, and has its own summary."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from polaris_cli.commands.app import COMMANDS, _load_command, app


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_lists_each_command_with_its_own_summary(name: str) -> None:
    assert _load_command(name).get_short_help_str(1000) == COMMANDS[name][1]


def test_the_help_lists_every_command_and_imports_none() -> None:
    program = """
import sys
from polaris_cli.__main__ import main
sys.argv = ["polaris", "--help"]
try:
    main()
except SystemExit:
    pass
found = {name for name in sys.modules if name.startswith("polaris_cli.commands.")}
light = {"app", "home", "quick", "signals", "standard_streams"}
assert found == {f"polaris_cli.commands.{name}" for name in light}, found
"""
    shown = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert all(f"\n  {name} " in shown.stdout for name in COMMANDS)


def test_an_unknown_command_gets_a_suggestion() -> None:
    result = CliRunner().invoke(app, ["writ"])
    assert result.exit_code == 2
    assert "No such command 'writ'" in result.output and "write" in result.output


def test_given_options_are_still_validated() -> None:
    result = CliRunner().invoke(app, ["library", "--limit", "0"])
    assert result.exit_code == 2
    assert "--limit" in result.output


@pytest.mark.parametrize("command", ["presets", "models", "library"])
def test_completion_of_commands(command: str) -> None:
    asked = {"_POLARIS_COMPLETE": "complete_bash", "COMP_WORDS": f"polaris {command}"}
    result = CliRunner().invoke(app, [], prog_name="polaris", env={**asked, "COMP_CWORD": "1"})
    assert result.output.split() == [command]


@pytest.mark.parametrize("arguments", [["--help"], ["library", "--help"], ["models", "--help"]])
def test_help_fits_a_narrow_terminal(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = CliRunner().invoke(app, arguments).output.splitlines()
    assert len(lines) > 20
    # Commands to copy keep their lines; the terminal wraps them.
    assert [line for line in lines if len(line) > 40 and "polaris " not in line] == []


@pytest.mark.slow
def test_ctrl_c_while_polaris_is_imported_gets_one_line() -> None:
    program = """
import sys
class Interrupting:
    def find_spec(self, name, *rest):
        if name == "polaris_cli.commands.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from polaris_cli.__main__ import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "polaris: interrupted.\n")
