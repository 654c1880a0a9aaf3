"""A reference knows how its model writes, and where a package carries its file."""

from pathlib import Path

import pytest

from polaris_cli.models.cache import cached, stored_bytes
from polaris_cli.models.catalogue import DEMO, POLARIS, SMOLLM2, ModelProfile
from polaris_cli.models.reference import ModelRef, of_entry, of_gguf


def test_an_unknown_model_has_a_profile_too() -> None:
    assert ModelRef("x", "owner/x").profile == ModelProfile()
    assert of_entry(DEMO).profile is DEMO.profile


def test_an_installed_package_carries_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, name = SMOLLM2.package or ("", "")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, package, raising=False)
    assert of_entry(SMOLLM2).folder is None  # nothing is installed: it is on the hub
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError('it is never imported')")
    assert of_entry(SMOLLM2).folder is None
    (folder / name).write_bytes(b"GGUF")
    reference = of_entry(SMOLLM2)
    assert (reference.name, reference.gguf, reference.folder) == (
        "smollm2", folder / name, folder
    )  # fmt: skip
    assert cached(reference) == folder and stored_bytes(reference) == 4


def test_a_model_without_a_package_is_on_the_hub() -> None:
    assert of_entry(POLARIS, "v1").revision == "v1" and of_entry(POLARIS).gguf is None


def test_a_gguf_file_that_is_gone_is_not_on_this_machine(tmp_path: Path) -> None:
    assert cached(of_gguf("x", tmp_path / "x.gguf")) is None
