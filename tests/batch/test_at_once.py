"""How many stories at once fit: what is chosen is never refused by the engine that loads them."""

import json
from pathlib import Path

import pytest

from polaris_cli.batch import at_once
from polaris_cli.batch.at_once import USUAL, stories_at_once
from polaris_cli.engines import gguf
from polaris_cli.errors import ModelUnavailable, OutOfMemory
from polaris_cli.models.devices import GB, Device
from polaris_cli.models.reference import ModelRef
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare
from tests.fake_hub import CONFIG, safetensors
from tests.gguf_writing import LLAMA, write_gguf

# A cache of 131 KB for each token and a state of 134 MB for each sequence.
LARGE = {
    **LLAMA,
    "context_length": 10_000,
    "attention.key_length": 16_384,
    "attention.value_length": 16_384,
    "ssm.inner_size": 4096,
    "ssm.state_size": 4096,
}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    file = write_gguf(tmp_path / "model.gguf", LARGE)
    return prepare("a fox", {"model": str(file), "engine": "gguf", "words": 300, "think": False})


def with_free(free: float, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device("cpu", 0, "processor", 200 * GB, int(free * GB))
    for module in (at_once, gguf):
        monkeypatch.setattr(module, "device_for", lambda *_, **__: device)


def load(job: Job, number: int) -> None:
    """Open the engine, up to where llama.cpp finds no model in the file."""
    with pytest.raises(ModelUnavailable, match=r"llama\.cpp cannot load"):
        gguf.open_gguf(job.reference, job.request, job.tokens, parallel=number)


@pytest.mark.parametrize("free", [1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.9, 2.3, 3.0, 9.0])
def test_the_number_chosen_for_llama_cpp_passes_its_check(
    free: float, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp", reason="pip install 'polaris-story[gguf]'")
    with_free(free, monkeypatch)
    number = stories_at_once(job)
    assert number == USUAL["gguf"] or free < 3
    load(job, number)


def test_one_story_that_does_not_fit_is_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp", reason="pip install 'polaris-story[gguf]'")
    with_free(0.6, monkeypatch)
    with pytest.raises(OutOfMemory):
        stories_at_once(job)


def test_a_model_of_unknown_size_is_downloaded_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--owner--mine" / "snapshots" / "main"

    def download(reference: ModelRef) -> Path:
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").write_bytes(safetensors({"model.norm.weight": (8,)}))
        (snapshot / "config.json").write_text(json.dumps(CONFIG))
        (snapshot / "tokenizer.json").write_text("{}")
        return snapshot

    monkeypatch.setattr(at_once, "ensure", download)
    with_free(0.81, monkeypatch)
    job = prepare("a fox", {"model": "owner/mine", "engine": "local", "words": 300})
    assert 0 < stories_at_once(job) < USUAL["local"] and snapshot.exists()
