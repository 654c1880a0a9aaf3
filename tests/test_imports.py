"""Imports go one way, light commands stay light, and every package says what is in it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import polaris_cli

PACKAGE = Path(polaris_cli.__file__).parent

# A package may import those before it. The ground floor's modules import only each other.
GROUND = {"errors", "events", "words", "characters", "languages", "quoting", "version"}
ORDER = [
    "request", "models", "streaming", "engines", "story", "library", "formats", "screen", "api",
    "demo", "batch", "evaluate", "bench", "commands", "__main__",
]  # fmt: skip
ENGINES = [
    "base", "channels", "system_role", "thinking_budget", "releases", "kv_cache", "kernels",
    "quantize", "local", "endpoint", "gguf", "scripted", "opening", "doctor",
]  # fmt: skip

MODULES = sorted(
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
)
PACKAGES = sorted(path.parent for path in PACKAGE.rglob("*/__init__.py"))


def imports_of(module: str) -> set[str]:
    """The modules of polaris that a module imports, anywhere in it."""
    found = set()
    tree = ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("polaris_cli"):
            inner = (node.module or "").removeprefix("polaris_cli").lstrip(".")
            names = [f"{inner}.{alias.name}".lstrip(".") for alias in node.names]
            found |= {name if name in MODULES else inner for name in names}
    return found


def place_in(order: list[str], part: str) -> int:
    return -1 if part in GROUND else order.index(part)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    package, _, inner = module.partition(".")
    for other in filter(None, imports_of(module)):
        first, _, rest = other.partition(".")
        assert place_in(ORDER, first) <= place_in(ORDER, package), f"{module} imports {other}"
        if first == package == "engines":
            own, its = inner.partition(".")[0], rest.partition(".")[0]
            assert place_in(ENGINES, its) <= place_in(ENGINES, own), f"{module} imports {other}"


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_a_package_names_its_modules_and_holds_no_code(folder: Path) -> None:
    tree = ast.parse((folder / "__init__.py").read_text("utf-8"))
    assert len(tree.body) == 1, "only a docstring"
    said = ast.get_docstring(tree) or ""
    listed = {line.split(":")[0].strip() for line in said.splitlines() if line.startswith("    ")}
    inside = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    inside |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert listed == inside


HEAVY = {"torch", "transformers", "numpy"}
SLOW = {"pydantic", "secrets"}  # slow to import, and a list does without them
DRAWING = {"rich.console", "rich.table"}


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], HEAVY | SLOW | DRAWING),
        (["presets"], HEAVY | SLOW),
        (["models"], HEAVY | SLOW),
        (["library"], HEAVY | SLOW),
        (["write", "--help"], HEAVY),
        (["library", "path"], HEAVY),
    ],
)
def test_light_commands_stay_light(
    arguments: list[str], unwanted: set[str], tmp_path: Path
) -> None:
    program = f"""
import os, sys
os.environ["POLARIS_LIBRARY"] = {str(tmp_path / "library.db")!r}
sys.argv = ["polaris", *{arguments!r}]
from polaris_cli.__main__ import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
heavy = {unwanted!r} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)
