"""The number of parameters comes from the files, else from the name."""

from pathlib import Path

import pytest

from polaris_cli.models.catalogue import SMOLLM2
from polaris_cli.models.gguf_choice import GgufFile
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.parameters import with_parameters
from polaris_cli.models.reference import ModelRef, of_entry
from polaris_cli.models.resolving import resolve
from polaris_cli.models.servers import Server
from polaris_cli.request.server_address import ServerAddress
from tests.fake_hub import safetensors
from tests.gguf_writing import write_gguf


@pytest.mark.parametrize(
    ("name", "count", "plans"),
    [
        ("unsloth/Qwen3.5-9B-GGUF", 9_000_000_000, "full"),
        ("owner/model-0.8b", 800_000_000, "lines"),
        ("llama3.2:3b", 3_000_000_000, "full"),
        ("owner/Mix-30B-A3B", 30_000_000_000, "full"),
        ("owner/model-v2-4bit", None, "lines"),
        ("owner/model", None, "lines"),
        ("/models/experiments-70b/tiny", None, "lines"),
        ("team-70b/model-0.8b", 800_000_000, "lines"),
    ],
)
def test_the_name_says_it(name: str, count: int | None, plans: str) -> None:
    server = Server(ServerAddress("http://127.0.0.1:1"))
    found = with_parameters(ModelRef(name, name, server=server))
    assert (found.parameters, found.profile.plans) == (count, plans)


def test_the_names_of_files_to_choose_from_say_it() -> None:
    files = (GgufFile("Story-7B-Q4_K_M.gguf", 1),)
    assert with_parameters(ModelRef("m", "m", gguf_files=files)).parameters == 7_000_000_000


def test_the_files_say_it(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"model.up.weight": (8000, 5000)}))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    assert with_parameters(resolve(str(tmp_path))).parameters == 40_000_000
    file = write_gguf(tmp_path / "tiny.gguf")
    assert with_parameters(resolve(str(file))).parameters == gguf_facts(file).parameters
    file.write_bytes(b"GGUF")
    assert not with_parameters(resolve(str(file))).parameters


def test_the_catalogue_needs_no_number() -> None:
    assert with_parameters(of_entry(SMOLLM2)).parameters is None
