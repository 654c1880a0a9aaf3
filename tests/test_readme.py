"""The README tells the truth: its help texts, project tree and presets are those of the code.

`python -m tests.test_readme` writes the generated parts anew.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
COMMANDS = [
    "", "write", "resume", "rerun", "library", "models", "presets", "doctor", "bench",
    "bench length", "bench batch",
]  # fmt: skip


def help_text(command: str) -> str:
    arguments = [*command.split(), "--help"]
    environ = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}
    shown = subprocess.run(
        [sys.executable, "-m", "polaris_cli", *arguments],
        capture_output=True, text=True, check=True, env=environ,
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in shown.stdout.strip().splitlines())


def reference() -> Iterator[str]:
    for command in COMMANDS:
        name = f"polaris {command}".strip()
        yield f"<details><summary><code>{name} --help</code></summary>\n"
        yield f"```\n{help_text(command)}\n```\n"
        yield "</details>\n"


def tree() -> Iterator[str]:
    """Every module with the first line of its docstring."""
    yield "```"
    yield "presets/                  prompt wordings and sampling settings, TOML"
    yield "polaris_cli/"
    for path in sorted((ROOT / "polaris_cli").rglob("*.py"), key=_in_folders):
        parts = path.relative_to(ROOT / "polaris_cli").parts
        if parts[-1] == "__init__.py" and len(parts) > 1:
            yield f"{'  ' * (len(parts) - 1)}{parts[-2]}/".ljust(26) + _summary(path)
        else:
            yield f"{'  ' * len(parts)}{parts[-1]}".ljust(26) + _summary(path)
    yield "tests/                    mirror the modules"
    yield "```"


def _in_folders(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(ROOT / "polaris_cli").parts
    folder = parts[:-1]
    return (*(f"~{name}" for name in folder), "" if parts[-1] == "__init__.py" else parts[-1])


def _summary(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").rstrip(".")


PARTS = {"reference": reference, "tree": tree}


def with_parts(text: str) -> str:
    """The README with its generated parts made anew."""
    for name, make in PARTS.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.S)
        made = "\n".join(make())
        text, found = marked.subn(lambda m, made=made: f"{m[1]}{made}\n{m[2]}", text)  # type: ignore[misc]
        assert found == 1, f"the README has no place for {name}"
    return text


def test_the_generated_parts_are_up_to_date() -> None:
    assert README.read_text() == with_parts(README.read_text()), "run: python -m tests.test_readme"


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "presets").glob("*.toml")))
def test_every_preset_is_named(preset: str) -> None:
    assert f"`{preset}`" in README.read_text()


if __name__ == "__main__":
    README.write_text(with_parts(README.read_text()))
