"""What is settled before a model is loaded: which source of a setting wins."""

from pathlib import Path

import pytest

from polaris_cli.models.catalogue import DEMO
from polaris_cli.models.reference import of_entry
from polaris_cli.request.settings import Setting
from polaris_cli.story.prepare import prepare, settings_for

TEMPLATE = 'template = "Write a {words}-word {form} about {premise}."\n'


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "polaris" / "presets"
    folder.mkdir(parents=True)
    (folder / "cool.toml").write_text(f"{TEMPLATE}temperature = 0.2\n")
    (folder / "bare.toml").write_text(TEMPLATE)
    return folder.parent


def temperature(**options: object) -> tuple[float, str]:
    prepared = prepare("a fox", {"model": "demo", **options})
    setting = prepared.settings["temperature"]
    assert setting.value == prepared.request.sampling.temperature
    return setting.value, setting.source


def test_a_chosen_preset_wins_over_what_suits_the_model(config: Path) -> None:
    assert temperature() == (1.0, "model demo")
    assert temperature(preset="cool") == (0.2, "preset cool")
    assert temperature(preset="bare") == (1.0, "model demo")
    assert temperature(preset="cool", temperature=0.7) == (0.7, "option")
    (config / "config.toml").write_text('preset = "cool"\n')
    assert temperature() == (0.2, "preset cool")
    assert temperature(preset="default") == (0.6, "preset default")


def test_a_preset_needs_no_length_of_its_own() -> None:
    words = prepare("a fox", {"model": "demo", "preset": "bare"}).settings["words"]
    assert (words.value, words.source) == (1500, "built in")


def test_what_suits_the_model_counts_however_it_was_chosen() -> None:
    settings = settings_for("a fox", [], of_entry(DEMO))
    assert "model" not in settings  # as under `auto`
    assert settings["temperature"] == Setting(1.0, "model demo")
