"""Presets: the built-in ones are valid, the user's replace them, invalid files are named."""

from pathlib import Path

import pytest

from polaris_cli.errors import UsageError
from polaris_cli.request.presets import all_presets, built_in_folder, load_preset, preset_paths
from polaris_cli.request.prompts import messages_for
from polaris_cli.request.settings import build_request, merge

SHIPPED = ["default", "draft", "essay", "flash", "long", "podcast", "review", "training"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("polaris_cli.request.presets.config_folder", lambda: tmp_path)
    folder = tmp_path / "presets"
    folder.mkdir()
    return folder


def test_all_built_in_presets_exist() -> None:
    assert sorted(path.stem for path in built_in_folder().glob("*.toml")) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_built_in_preset_makes_a_request_and_has_a_description(name: str) -> None:
    preset = load_preset(name)
    request = build_request("a fox", merge([("preset", preset.values)]))
    (message,) = messages_for(request)
    assert "a fox" in message.content and f"{request.words}" in message.content
    assert preset.path.read_text().startswith("# ")
    assert preset.description


def test_the_two_templates() -> None:
    settings = {"words": 3000}
    by_name = {
        name: messages_for(
            build_request(
                "a fox.", merge([("option", settings), ("preset", load_preset(name).values)])
            )
        )[0].content
        for name in ("default", "training")
    }
    assert by_name["default"] == "Write a 3000-word story about a fox."
    assert by_name["training"].endswith("approximately 3000 words long.")


def test_the_users_preset_replaces_a_built_in_one(own: Path) -> None:
    (own / "default.toml").write_text('template = "{words} words on {premise}"\n')
    assert load_preset("default").own
    assert load_preset("default").values == {"template": "{words} words on {premise}"}
    assert preset_paths()["default"].parent == own
    assert {preset.name for preset in all_presets(pytest.fail)} == set(SHIPPED)


def test_an_invalid_file_hides_no_other_preset(own: Path) -> None:
    (own / "bad.toml").write_text("temperature = 1\n")
    (own / "zest.toml").write_text('template = "{premise}, {words} words"\n')
    told: list[str] = []
    assert [preset.name for preset in all_presets(told.append)] == [*SHIPPED, "zest"]
    assert told == [f"{own / 'bad.toml'} has no key 'template'."]


def test_a_preset_can_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('template = "{premise}, {words} words"\ntemperature = 1\n')
    assert load_preset(str(path)).values["temperature"] == 1.0


@pytest.mark.parametrize("name", ["flsh", "FLASH", "flash.toml", "mine/flash.toml"])
def test_an_unknown_preset_gets_a_suggestion(name: str) -> None:
    with pytest.raises(UsageError, match=f"no preset '{name}'") as refused:
        load_preset(name)
    assert "Did you mean flash?" in refused.value.hint


def test_a_file_that_is_not_toml_is_not_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text('template = "{premise}, {words} words"\n')
    with pytest.raises(UsageError, match=r"notes\.txt is not a preset") as refused:
        load_preset(str(path))
    assert refused.value.hint == "Rename it: notes.toml"
    with pytest.raises(UsageError, match="There is no preset"):
        load_preset(str(tmp_path / "missing.toml"))


@pytest.mark.parametrize(
    "text", ["temperature = 1", 'template = "{premise} {words}"\nmodel = "demo"']
)
def test_a_preset_without_template_or_with_an_unknown_key_is_refused(own: Path, text: str) -> None:
    (own / "bad.toml").write_text(text)
    with pytest.raises(UsageError, match=r"bad\.toml"):
        load_preset("bad")
