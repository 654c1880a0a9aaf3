"""The README tells the truth: its commands, packages and presets are those of the code.

`python -m tests.test_readme` rewrites the generated parts.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import environment

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
MOST_LINES = 300


def packages() -> Iterator[str]:
    """Every package with the first line of its docstring, and the modules beside them."""
    root = ROOT / "polaris_cli"
    ground = [f"`{path.stem}`" for path in sorted(root.glob("*.py")) if path.stem[0] != "_"]
    yield "| `polaris_cli/` | |"
    yield "|---|---|"
    yield f"| modules | {', '.join(ground)} |"
    for path in sorted(root.glob("*/__init__.py")):
        yield f"| `{path.parent.name}/` | {_summary(path)} |"


def _summary(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").rstrip(".")


PARTS = {"packages": packages}


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


def test_it_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MOST_LINES


@pytest.mark.slow
def test_the_examples_in_python_run(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    command = [sys.executable, "-c", example]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "keeper.epub").is_file() and done.stdout.count("\n") > 5


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "presets").glob("*.toml")))
def test_every_preset_is_named(preset: str) -> None:
    assert f"`{preset}`" in README.read_text()


if __name__ == "__main__":
    README.write_text(with_parts(README.read_text()))
