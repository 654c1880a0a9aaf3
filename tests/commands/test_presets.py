"""`polaris presets` lists the presets as a table or as JSON."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polaris_cli.commands.app import app
from polaris_cli.request.presets import own_folder


def test_the_presets_are_listed_as_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_folder().mkdir(parents=True)
    path = own_folder() / "cool.toml"
    path.write_text('template = "Tell {premise} in {words}."\ntemperature = 0.2\n')
    found = CliRunner().invoke(app, ["presets", "--json"])
    presets = {preset["name"]: preset for preset in json.loads(found.stdout)}
    settings = {"template": "Tell {premise} in {words}.", "temperature": 0.2}
    assert presets["cool"] == {
        "name": "cool", "description": "", "own": True, "path": str(path), "settings": settings,
    }  # fmt: skip
    assert not presets["default"]["own"] and presets["default"]["description"]
    table = CliRunner().invoke(app, ["presets"]).stdout
    assert [line.split("\t")[0] for line in table.splitlines()] == ["preset", *presets]
