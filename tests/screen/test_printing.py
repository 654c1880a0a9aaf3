"""What is printed is harmless to a terminal, and plain output has one way out."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from polaris_cli.library.store import Library
from polaris_cli.screen.printing import print_json, print_text
from tests.cli import ROOT, environment, polaris_command
from tests.screens import Tty
from tests.stories import a_story

EVIL = "A fox\x1b]52;c;ZXZpbA==\x07\x1b]0;title\x1b\\\x1b[2J\x9b2J\x7f\x00."
# Messages before the modules of `screen` are imported.
PRINTS_ITSELF = {"__main__.py", "commands/app.py"}


@pytest.mark.slow
def test_nothing_prints_beside_the_screen_package() -> None:
    package = ROOT / "polaris_cli"
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if path.parent.name not in ("screen", "demo")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write")
    }
    assert found == PRINTS_ITSELF


def test_a_pipe_gets_the_text_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+", encoding="utf-8") as out:
        print_text(EVIL, "second", stream=out)
        out.seek(0)
        assert out.read() == f"{EVIL}\nsecond\n"


def test_a_terminal_gets_long_lines_wrapped_between_words(tty: Tty) -> None:
    tty.resize(20)
    print_text(
        "  a line of several words", "/a/long/path/to/a/file.md", "", stream=tty.stream, wrap=True
    )
    assert tty.raw() == ("  a line of several\r\nwords\r\n/a/long/path/to/a/file.md\r\n\r\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_is_the_same_value_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    data = {"premise": EVIL, "title": "Füchse 狐 \udc80 \u2028"}
    file = tmp_path / "out"
    with file.open("w", encoding=encoding) as out:
        print_json(data, stream=out, indent=2)
    text = file.read_text(encoding)
    assert json.loads(text) == data
    assert not {"\x1b", "\x9b", "\x7f", "\u2028"} & {*text}


COMMANDS = [
    ["write", EVIL.replace("\x00", ""), "--dry-run", "-m", "demo"],
    ["write", EVIL.replace("\x00", ""), "--dry-run", "-m", "demo", "--json"],
    ["write", "a fox", "--dry-run", "-m", "demo", "-p", "evil"],
    ["write", "a fox", "-m", EVIL.replace("\x00", "")],
    ["presets"],
    ["presets", "show", "evil"],
    ["library"],
    ["library", "show", "last"],
    ["library", "show", "last", "--json"],
    ["library", "search", "fox", "--json"],
]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command)[:40])
def test_no_control_code_of_others_reaches_a_terminal(
    tty: Tty, tmp_path: Path, command: list[str]
) -> None:
    presets = tmp_path / "config" / "polaris" / "presets"
    presets.mkdir(parents=True)
    text = EVIL.replace("\x00", "").replace("\x7f", "")
    told = json.dumps(text)  # escapes, which TOML reads as the characters
    template = json.dumps(f"{{premise}} {{words}} {text}")
    lines = [f"description = {told}", f"template = {template}", "# \x9b2J fox"]
    (presets / "evil.toml").write_text("\n".join(lines))
    Library(tmp_path / "library.db").finish(a_story(text=EVIL, premise=EVIL))
    subprocess.run(
        polaris_command(*command), stdin=subprocess.DEVNULL, stdout=tty.stream, stderr=tty.stream,
        env=environment(tmp_path), timeout=60,
    )  # fmt: skip
    shown = re.sub(r"\x1b\[[\d;]*m", "", tty.raw())
    assert "fox" in shown
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", shown), shown
