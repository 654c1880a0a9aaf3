"""The wheel holds what the command needs, and a checkout finds it too."""

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from polaris_cli.commands.help import pages
from polaris_cli.models.catalogue import DEMO_FOLDER
from polaris_cli.request.presets import built_in_folder

ROOT = Path(__file__).parent.parent


def test_the_oldest_dependencies_are_those_of_the_project() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    script = [sys.executable, str(ROOT / ".ci" / "lowest.py")]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
    pins = {found.name: found.specifier for found in map(Requirement, printed)}
    assert pins.keys() | {"torch"} == {Requirement(one).name for one in asked}
    for wanted in map(Requirement, asked):
        if wanted.name in pins:
            (pin,) = pins[wanted.name]
            (lowest,) = [limit for limit in wanted.specifier if limit.operator == ">="]
            assert (pin.operator, Version(pin.version)) == ("==", Version(lowest.version))


@pytest.mark.parametrize(
    ("polaris", "well"),
    [("echo words", True), ("true", False), ("echo words; exit 1", False)],
    ids=["prints", "prints nothing", "fails"],
)
@pytest.mark.parametrize("only", ["write", "bench", "--quantize"])
def test_the_smoke_test_fails_with_any_of_its_commands(
    polaris: str, well: bool, only: str, tmp_path: Path
) -> None:
    command = tmp_path / "polaris"
    command.write_text(f'#!/bin/sh\ncase "$*" in *{only}*) {polaris};; *) echo words;; esac\n')
    command.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / ".ci" / "smoke"], env=environ, capture_output=True)
    assert (done.returncode == 0) == well


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents, in a folder."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), "--quiet"], check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_a_checkout_finds_presets_and_demo_model() -> None:
    assert (built_in_folder() / "default.toml").is_file()
    assert (DEMO_FOLDER / "model.safetensors").is_file()


@pytest.mark.slow
def test_the_wheel_holds_presets_pages_and_demo_model(unpacked: Path) -> None:
    held = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    assert {
        "polaris_cli/presets_data/default.toml",
        "polaris_cli/demo/model/model.safetensors",
        "polaris_cli/evaluate/report.html",
        *(f"polaris_cli/commands/help_pages/{page}.md" for page in pages()),
    } <= held
    assert not any(name.startswith(("tests/", "presets/")) for name in held)


@pytest.mark.slow
def test_the_wheel_writes_a_story_of_its_own(unpacked: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(unpacked), "POLARIS_LIBRARY": str(unpacked / "l.db")}
    command = [sys.executable, "-m", "polaris_cli"]
    listed = subprocess.run(
        [*command, "presets"], env=environ, cwd=unpacked, capture_output=True, text=True, check=True
    )
    assert "default" in listed.stdout
    asked = ["write", "a clockmaker", "-w", "30", "-m", "demo", "--seed", "1", "--quiet"]
    story = subprocess.run(
        [*command, *asked], env=environ, cwd=unpacked, capture_output=True, check=True
    )
    assert len(story.stdout.split()) > 10


# An extra's, or a peer to measure against.
OPTIONAL = {
    "icu4py",
    "torchao",
    "xllamacpp",
    "vllm",
    "triton",  # comes with torch where there is CUDA
    "pyarrow",
    "datasets",
    "ray",
    "numpy",
    "scipy",
    "matplotlib",
}
UNSEEN = {"accelerate"}  # transformers imports it to place weights on a device


def imported_packages() -> set[str]:
    """The top names of what the package imports, but for the standard library's and its own."""
    names = set()
    for path in (ROOT / "polaris_cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module or "")
    tops = {name.partition(".")[0] for name in names}
    return tops - sys.stdlib_module_names - {"polaris_cli"}


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = {canonicalize_name(Requirement(one).name) for one in asked}
    homes = packages_distributions()
    found = {canonicalize_name(homes[name][0]) for name in imported_packages() - OPTIONAL}
    assert found | UNSEEN == declared
