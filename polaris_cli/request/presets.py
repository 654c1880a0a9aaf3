"""Presets: TOML files with a prompt template and sampling settings, built in or the user's own.

A user's preset replaces a built-in one of the same name. Knows folders and files; `settings` knows
the keys.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polaris_cli.errors import UsageError, did_you_mean
from polaris_cli.request.paths import exists, expanded
from polaris_cli.request.settings import PRESET_KEYS, config_folder, read_toml


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset's name, file and settings; `own` is True for the user's presets."""

    name: str
    path: Path
    values: dict[str, Any]
    own: bool

    @property
    def description(self) -> str:
        """One line on what it is for, or ""."""
        return str(self.values.get("description", ""))


def built_in_folder() -> Path:
    """The folder of the built-in presets: in the wheel, or next to the package in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "presets_data"
    return packaged if packaged.is_dir() else package.parent / "presets"


def own_folder() -> Path:
    """The folder for the user's own presets; it may not exist."""
    return config_folder() / "presets"


def preset_paths() -> dict[str, Path]:
    """The file of every preset, sorted by name; the user's replace built-in ones."""
    found = {
        path.stem: path
        for folder in (built_in_folder(), own_folder())
        for path in sorted(folder.glob("*.toml"))
    }
    return dict(sorted(found.items()))


def load_preset(name: str) -> Preset:
    """The preset with this name or file. Raises UsageError if it is unknown or invalid."""
    path = preset_paths().get(name) or _as_file(name)
    values = read_toml(path, PRESET_KEYS)
    if "template" not in values:
        raise UsageError(
            f"{path} has no key 'template'.",
            hint='Add one: template = "Write a {words}-word {form} about {premise}."',
        )
    return Preset(path.stem, path, values, own=path.parent != built_in_folder())


def all_presets(warn: Callable[[str], None]) -> Iterator[Preset]:
    """Every preset, sorted by name. `warn` is told of an invalid file, which hides no other."""
    for name in preset_paths():
        try:
            yield load_preset(name)
        except UsageError as error:
            warn(error.message)


def _as_file(name: str) -> Path:
    path = expanded(name)
    is_file = exists(path) and path.is_file()
    if is_file and path.suffix == ".toml":
        return path
    if is_file:
        raise UsageError(
            f"{path} is not a preset: its name does not end in .toml.",
            hint=f"Rename it: {path.stem}.toml",
        )
    known = preset_paths()
    guess = did_you_mean(path.name.removesuffix(".toml").lower(), known)
    raise UsageError(
        f"There is no preset {name!r}.", hint=f"{guess}Known presets: {', '.join(known)}"
    )
