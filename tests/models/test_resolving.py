"""A model's name, whatever it is, means one model or is refused with what to type next."""

from pathlib import Path

import pytest

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.catalogue import BASE, DEMO, POLARIS
from polaris_cli.models.resolving import resolve


@pytest.mark.parametrize(("name", "entry"), [("polaris", POLARIS), ("Qwen/Qwen3.5-9B", BASE)])
def test_known_names(name: str, entry: object) -> None:
    reference = resolve(name, "v1")
    assert reference.entry is entry
    assert reference.revision == "v1"
    assert not reference.note


def test_the_demo_needs_no_hub() -> None:
    reference = resolve("demo")
    assert reference.entry is DEMO and reference.folder


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "owner" / "mine"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    for name in (str(model), "./owner/mine", "owner/mine"):
        reference = resolve(name)
        assert (reference.name, reference.folder) == ("mine", model)


def test_another_hub_id() -> None:
    reference = resolve("owner/tiny", "main")
    assert (reference.id, reference.entry, reference.folder) == ("owner/tiny", None, None)


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("polarsi", "'polarsi'", "--model polaris"),
        ("nonsense", "'nonsense'", "polaris models"),
        ("./nowhere", "does not exist", "config.json"),
        ("a/b/c", "does not exist", "config.json"),
    ],
)
def test_names_that_mean_nothing(
    name: str, says: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnavailable, match=says) as caught:
        resolve(name)
    assert hint in caught.value.hint


def test_a_gguf_file_and_an_empty_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    reference = resolve(str(file))
    assert (reference.name, reference.id, reference.gguf) == ("model", str(file), file)
    with pytest.raises(ModelUnavailable, match=r"no config\.json"):
        resolve(str(tmp_path))


def test_a_single_file_is_not_a_model(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.touch()
    with pytest.raises(ModelUnavailable, match="is a file, not the folder of a model"):
        resolve(str(weights))
