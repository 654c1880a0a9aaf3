"""Presets: TOML files of prompt wording and sampling, shipped with polaris or the user's own.

A user's preset wins over a shipped one of the same name. Knows the folders and what a preset
holds; what the keys mean is in `settings`.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polaris_cli.errors import UsageError
from polaris_cli.request.settings import PRESET_KEYS, config_folder, read_toml


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset's name, its file and its settings; `own` says it is the user's."""

    name: str
    path: Path
    values: dict[str, Any]
    own: bool

    @property
    def description(self) -> str:
        """One line on what it is for."""
        return str(self.values.get("description", ""))


def shipped_folder() -> Path:
    """The presets that came with polaris: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "presets_data"
    return packaged if packaged.is_dir() else package.parent / "presets"


def own_folder() -> Path:
    """Where the user's presets are looked for; it need not exist."""
    return config_folder() / "presets"


def preset_paths() -> dict[str, Path]:
    """Every preset's file by name, sorted, the user's in place of shipped ones."""
    found = {
        path.stem: path
        for folder in (shipped_folder(), own_folder())
        for path in sorted(folder.glob("*.toml"))
    }
    return dict(sorted(found.items()))


def load_preset(name: str) -> Preset:
    """The preset of a name or of a TOML file. Raises UsageError for none or a bad one."""
    path = preset_paths().get(name) or _as_file(name)
    values = read_toml(path, PRESET_KEYS)
    if "template" not in values:
        raise UsageError(
            f"{path}: the key 'template' is missing.",
            hint='Add one, such as: template = "Write a {words}-word {form} about {premise}."',
        )
    return Preset(path.stem, path, values, own=path.parent != shipped_folder())


def all_presets() -> Iterator[Preset]:
    """Every preset, by name. Raises UsageError at a bad file."""
    return (load_preset(name) for name in preset_paths())


def _as_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.suffix == ".toml" and path.is_file():
        return path
    known = preset_paths()
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"Did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"There is no preset {name!r}.", hint=f"{guess}Known presets: {', '.join(known)}"
    )
