"""Imports go one way, and light commands stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import polaris_cli

PACKAGE = Path(polaris_cli.__file__).parent

# A module may import those of its own layer and of the layers above it in this list.
LAYERS = [
    {
        *("characters", "errors", "words", "lengths", "streams", "stdio"),
        *("premise_kinds", "premise_words", "premise_numbers"),
    },
    {"outline", "wrapping"},
    {"events", "database", "files"},
    {"request", "catalogue", "engines", "settings"},
    {"thinking", "loops", "prompts", "presets", "budget", "devices", "drafts", "premise"},
    {"weights"},
    {"demo", "memory", "advice"},
    {"cache"},
    {"hub_errors", "plan_file"},
    {"model_files"},
    {"hub", "download"},
    {"engines.*"},
    {"demo.measure"},  # writes as polaris does; the rest of the demo is made without the engines
    {"story", "interrupt", "doctor"},
    {"extending"},
    {"chapters"},
    {"prepare"},
    {"resume"},
    {"api", "markup", "docx", "pages", "library", "recording", "live", "progress"},
    {
        "export",
        "messages",
        "terminal",
        "bench",
        "bench_batch",
        "bench_length",
        "bench_peer",
        "bench_start",
        "bench_pipeline",
    },
    {"commands"},
    {"__main__"},
]


def layer_of(module: str) -> int:
    package = module.split(".")[0]
    keys = (module, f"{package}.*" if "." in module else package, package)
    found = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    return next(found[key] for key in keys if key in found)


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("polaris_cli"):
            inner = (node.module or "").removeprefix("polaris_cli").lstrip(".")
            names = [inner] if inner else [alias.name for alias in node.names]
            found |= {name for name in names if not name.startswith("__")}
    return found


MODULES = sorted(
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path != PACKAGE / "__init__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    path = PACKAGE / (module.replace(".", "/") + ".py")
    path = path if path.exists() else path.with_suffix("") / "__init__.py"
    package = module.split(".")[0] + "."
    others = [name for name in imports_of(path) if not name.startswith(package)]
    upward = [name for name in others if layer_of(name) > layer_of(module)]
    assert not upward, f"{module} imports {upward}"


HEAVY = {"torch", "transformers", "numpy"}
SLOW = {"pydantic", "rich.console", "rich.text", "secrets"}  # each as long as the command itself


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], HEAVY | SLOW),
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
