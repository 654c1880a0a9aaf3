"""The settings in a model's folder: impossible ones, adapters, quantized weights."""

import json
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.model_files import (
    adapter_note,
    check_others,
    measured,
    read_config,
    stored_as,
)
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import resolve
from tests.fake_hub import CONFIG, WEIGHTS, safetensors

MINE = ModelRef("mine", "mine", folder=Path("mine"))


def folder_of(folder: Path, **changes: Any) -> Path:
    (folder / "model.safetensors").write_bytes(safetensors(WEIGHTS))
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        measured(MINE, folder, read_config(MINE, folder))
    return caught.value.message


def test_the_size_of_a_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    size = measured(MINE, folder, read_config(MINE, folder))
    assert size.parameters == 500 * 64 + 4000 * 64


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1,000,000,000"),
        ({"vision_config": {"depth": 10**7}}, "depth is 10,000,000"),
        ({"text_config": {**CONFIG, "num_layers": 70}}, "num_layers is 70"),
        ({"num_local_experts": 5000}, "num_local_experts is 5,000"),
        ({"layer_types": 5}, "layer_types is 5"),
        ({"layer_types": {"a": 1}}, "layer_types is {'a': 1}"),
        ({"num_attention_heads": "4" * 99}, "num_attention_heads is '4444"),
        ({"hidden_size": -64, "head_dim": None}, "hidden_size is -64"),
        ({"head_dim": [[16]]}, "head_dim is [[16]]"),
        ({"text_config": "none"}, "text_config holds no settings"),
        ({"max_position_embeddings": -4096}, "max_position_embeddings is -4096"),
        ({"architectures": [["LM"]]}, "architectures is not a list of names"),
        ({"architectures": 8}, "architectures is not a list of names"),
    ],
)
def test_impossible_settings(tmp_path: Path, changes: Any, named: str) -> None:
    said = refused(folder_of(tmp_path, **changes))
    assert "The files of mine are damaged" in said and named in said
    assert len(said) < 200


@pytest.mark.parametrize(
    "changes",
    [
        {"num_experts": 512},
        {"max_window_layers": 10**6, "max_position_embeddings": 10**12},
        {"num_key_value_heads": [2, 4, 2, 4]},
        {"vision_config": {"depth": 27}},
        {"num_hidden_layers": None},
    ],
)
def test_possible_settings(tmp_path: Path, changes: Any) -> None:
    folder = folder_of(tmp_path, **changes)
    assert measured(MINE, folder, read_config(MINE, folder)).cache_bytes_per_token > 0


@pytest.mark.parametrize("text", ["[" * 100_000, '"text"', "{,}", "\ud800"])
def test_unreadable_settings(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert "config.json" in refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("generation_config.json", b'{"eos_token_id": ', "cannot be read"),
        ("tokenizer_config.json", b"[]", "holds no settings"),
        ("special_tokens_map.json", b"\xff\xfe", "cannot be read"),
        ("chat_template.jinja", b"{{ \xff }}", "cannot be read"),
    ],
)
def test_damaged_smaller_files(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    check_others(MINE, folder_of(tmp_path))
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelUnavailable, match=f"{name} {says}"):
        check_others(MINE, tmp_path)


def test_quantization_method_of_the_files() -> None:
    assert stored_as({"quantization_config": {"quant_method": "gptq", "bits": 4}}) == "gptq"
    assert stored_as({"quantization_config": None}) == stored_as({}) == ""
    assert stored_as({"quantization_config": "4bit"}) == ""


# Adapters.


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('{"base_model_name_or_path": "owner/base", "r": 8}', "an adapter of owner/base,"),
        ('{"base_model_name_or_path": null}', "an adapter,"),
        ("{", "an adapter,"),
        ("[]", "an adapter,"),
    ],
)
def test_an_adapter_is_not_a_model(tmp_path: Path, settings: str, says: str) -> None:
    (tmp_path / "adapter_config.json").write_text(settings)
    with pytest.raises(ModelUnavailable, match=says) as caught:
        resolve(str(tmp_path))
    assert caught.value.exit_code == 3 and "merge_and_unload" in caught.value.hint


def test_an_adapter_beside_a_model_gets_a_note(tmp_path: Path) -> None:
    assert adapter_note(folder_of(tmp_path)) == ""
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "is not loaded" in adapter_note(tmp_path)
    assert resolve(str(tmp_path)).folder == tmp_path.resolve()
