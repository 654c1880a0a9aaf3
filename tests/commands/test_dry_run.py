"""Dry runs with a model folder: the memory is computed from its files; damaged files are errors."""

import json
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.commands.dry_run import print_dry_run
from polaris_cli.commands.models import reference_facts
from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.model_files import as_computed, measured
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import resolve
from polaris_cli.story.prepare import prepare
from tests.fake_hub import CONFIG, safetensors
from tests.gguf_writing import write_gguf

BIG = {"model.layers.0.mlp.up_proj.weight": (8000, 5000)}


def folder_of(folder: Path, **changes: Any) -> Path:
    (folder / "model.safetensors").write_bytes(safetensors(BIG))
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def memory_of(
    folder: str, capsys: pytest.CaptureFixture[str], **options: str
) -> list[dict[str, Any]]:
    print_dry_run(prepare("a fox", {"model": folder, "words": 100} | options), as_json=True)
    needs: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["memory"]
    return needs


def test_memory_of_a_local_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs = memory_of(str(folder_of(tmp_path)), capsys)
    assert [need["format"] for need in needs] == ["bf16", "8-bit", "4-bit"]
    sizes = [need["gigabytes"] for need in needs]
    assert sizes == sorted(sizes, reverse=True) and all(need["fits"] for need in needs)


def test_quantized_weights_have_one_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, quantization_config={"quant_method": "awq"})
    assert [need["format"] for need in memory_of(str(folder), capsys)] == ["awq"]


@pytest.mark.parametrize(("method", "times"), [("fp8", 2), ("mxfp4", 4)])
def test_formats_that_are_converted_to_bf16_on_a_cpu(
    tmp_path: Path, method: str, times: int
) -> None:
    settings = {"quantization_config": {"quant_method": method}}
    size = measured(ModelRef("m", "m"), folder_of(tmp_path, **settings), {**CONFIG, **settings})
    wide = as_computed(size, settings, "cpu")
    assert size.stored_bytes and wide.stored_bytes == times * size.stored_bytes
    assert as_computed(size, settings, "cuda") == size
    assert as_computed(wide, {}, "cpu") == wide


def test_memory_of_a_downloaded_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert memory_of("owner/mine", capsys) == []
    snapshot = tmp_path / "models--owner--mine" / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    folder_of(snapshot)
    assert len(memory_of("owner/mine", capsys)) == 3


def test_damaged_files_are_an_error_before_anything_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, num_hidden_layers=10**8)
    with pytest.raises(ModelUnavailable, match="num_hidden_layers"):
        memory_of(str(folder), capsys)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"missing: model\.safetensors"):
        memory_of(str(folder), capsys)
    assert not capsys.readouterr().out


def test_the_memory_of_a_gguf_file_depends_on_the_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    needs = memory_of(str(file), capsys, engine="gguf")
    assert [(need["format"], need["gigabytes"]) for need in needs] == [("Q4_K_M", 0.3)]
    needs = memory_of(str(file), capsys, engine="local")
    assert [need["format"] for need in needs] == ["bf16", "8-bit", "4-bit"]


def test_the_details_of_a_gguf_file(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf")
    facts = reference_facts(resolve(str(file)))
    assert (facts["quantization"], facts["context"], facts["chat_template"]) == (
        "Q4_K_M",
        4096,
        "yes",
    )
    assert facts["memory"]["llama.cpp"] == file.stat().st_size + 300_000_000 + 8192 * 256
    assert set(facts["memory"]) == {"llama.cpp", "bf16", "8-bit", "4-bit"}
    write_gguf(tmp_path / "model-Q8_0.gguf")
    assert set(reference_facts(resolve(str(tmp_path)))["files"]) == {
        "model.gguf",
        "model-Q8_0.gguf",
    }
