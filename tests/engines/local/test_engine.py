"""The local engine: loading in every precision, streaming, and what can be wrong with files."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.kernels import matmul
from polaris_cli.engines.local import loading
from polaris_cli.engines.local.engine import LocalEngine, load
from polaris_cli.engines.local.loading import meta_model, quantization, text_part
from polaris_cli.engines.quantize import quantizers
from polaris_cli.engines.quantize.quantizers import Packed, kernel_of
from polaris_cli.errors import ModelUnavailable, OutOfMemory, UsageError
from polaris_cli.events import Chunk, Finish
from polaris_cli.models.catalogue import DEMO_FOLDER
from polaris_cli.models.devices import Device
from polaris_cli.models.memory import LoadPlan, Memory
from polaris_cli.models.model_files import read_config
from polaris_cli.models.resolving import resolve
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from tests.engines.kernels.test_patching import NOTE, refuses
from tests.tiny import byte_tokenizer, qwen

PREMISE = (Message("user", "Write a 100-word story about a lighthouse keeper."),)
GREEDY = Sampling(temperature=0, repetition_penalty=1.0, thinking_budget=20)


@pytest.fixture(scope="module")
def demo() -> LocalEngine:
    return load(resolve("demo"), context_tokens=1000)


def copied(folder: Path) -> Path:
    return Path(shutil.copytree(DEMO_FOLDER, folder / "copy"))


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def texts(
    engine: LocalEngine,
    sampling: Sampling = GREEDY,
    limit: int = 40,
    messages: tuple[Message, ...] = PREMISE,
) -> str:
    return "".join(chunk.text for chunk in chunks_of(engine, sampling, limit, messages))


def chunks_of(
    engine: LocalEngine,
    sampling: Sampling,
    limit: int = 40,
    messages: tuple[Message, ...] = PREMISE,
) -> list[Chunk]:
    *chunks, finish = engine.stream(GenerationRequest(messages, sampling, limit))
    assert isinstance(finish, Finish)
    return [chunk for chunk in chunks if isinstance(chunk, Chunk)]


def test_what_the_engine_says_of_itself(demo: LocalEngine) -> None:
    info = demo.info
    assert (info.name, info.id, info.engine) == ("demo", "built in", "local")
    assert (info.quantization, info.dtype) == ("none", "float32")
    assert (
        demo.context
        == json.loads((DEMO_FOLDER / "config.json").read_text())["max_position_embeddings"]
    )
    assert demo.load_seconds > 0


def test_it_streams_and_ends_with_one_finish(demo: LocalEngine) -> None:
    events = list(demo.stream(GenerationRequest(PREMISE, GREEDY, 40)))
    finish = events[-1]
    assert isinstance(finish, Finish) and finish.reason in ("stop", "length")
    assert finish.prompt_tokens == demo.count_tokens(PREMISE, GREEDY)
    pieces = [event for event in events if isinstance(event, Chunk)]
    assert len(pieces) == len(events) - 1 > 0
    assert sum(piece.tokens for piece in pieces) <= 40


@pytest.mark.slow
def test_what_a_summary_stands_for_is_not_told_again(demo: LocalEngine) -> None:
    plain = replace(GREEDY, thinking=False)
    wary = replace(plain, dry_multiplier=1.0)
    known = (*PREMISE, Message("assistant", "A keeper keeps a light."), *PREMISE)
    knowing = (known[0], replace(known[1], full_text=texts(demo, wary, messages=known)), known[2])
    assert texts(demo, plain, messages=knowing) == texts(demo, plain, messages=known)
    assert texts(demo, wary, messages=knowing) != texts(demo, wary, messages=known)


def test_the_repetition_penalty_leaves_out_earlier_turns(demo: LocalEngine) -> None:
    ask, told = Message("user", "Write about a quiet fox."), Message("assistant", "It was late.")
    sampling = Sampling(thinking=False)
    more = replace(ask, content="Go on, and tell me of a hen.")
    request = GenerationRequest((ask, told, more), sampling, 10)
    ids = demo._tokenized(request)
    penalized = demo._chat._tokenizer.decode(ids.prompt_ids[ids.earlier :])
    assert "fox" not in penalized and "late" not in penalized and "hen." in penalized
    assert demo._tokenized(replace(request, messages=(ask,))).earlier == 0


def test_thinking_can_be_switched(demo: LocalEngine) -> None:
    off = Sampling(thinking=False)
    kinds = [{chunk.kind for chunk in chunks_of(demo, one)} for one in (GREEDY, off)]
    assert "thinking" in kinds[0] and kinds[1] == {"story"}
    assert demo.count_tokens(PREMISE, off) > demo.count_tokens(PREMISE, GREEDY)


@pytest.mark.slow
def test_a_folder_loads_like_a_name(demo: LocalEngine, tmp_path: Path) -> None:
    engine = load(resolve(str(copied(tmp_path))), context_tokens=1000)
    assert engine.info.name == "copy"
    assert texts(engine) == texts(demo)


def test_progress_is_told(tmp_path: Path) -> None:
    steps: list[float] = []
    load(resolve("demo"), context_tokens=1000, on_progress=steps.append)
    assert steps[0] == 0 and steps[-1] == 1 and steps == sorted(steps) and len(steps) > 5


def test_a_vision_language_checkpoint_gives_its_text_model(tmp_path: Path) -> None:
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

    text = qwen()
    vision = {
        "depth": 1,
        "hidden_size": 32,
        "num_heads": 2,
        "intermediate_size": 32,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
    }
    config = Qwen3_5Config(text_config=text.config.to_dict(), vision_config=vision)
    whole = Qwen3_5ForConditionalGeneration(config)
    whole.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    engine = load(resolve(str(tmp_path)), context_tokens=500)
    assert engine.context == text.config.max_position_embeddings
    assert texts(engine, limit=5) is not None
    reference = resolve(str(tmp_path))
    alone = meta_model(reference, tmp_path, read_config(reference, tmp_path))
    shapes = {name: weight.shape for name, weight in alone.named_parameters()}
    assert shapes == {name: weight.shape for name, weight in text.named_parameters()}


def test_a_config_older_releases_would_take_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Gemma3Config, Qwen3_5Config

    whole = Qwen3_5Config()
    assert text_part(whole) is whole.get_text_config()
    assert text_part(text := whole.get_text_config()) is text
    # It is loaded with its vision, so that its modules have other names than in the text alone.
    assert text_part(other := Gemma3Config()) is other


@pytest.mark.slow
def test_a_faster_way_that_fails_is_told_of(
    demo: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo.notes == ()
    monkeypatch.setattr(matmul, "bf16_linears", refuses)
    engine = load(resolve("demo"), context_tokens=1000)
    assert engine.notes == (NOTE.format("matrix product"),)
    assert texts(engine) == texts(demo)


@pytest.mark.slow
def test_loading_says_nothing_on_its_own() -> None:
    program = (
        "from polaris_cli.engines.local.engine import GenerationRequest, load, Message, Sampling\n"
        "from polaris_cli.models.resolving import resolve\n"
        "engine = load(resolve('demo'), context_tokens=500)\n"
        "list(engine.stream(GenerationRequest((Message('user', 'x'),), Sampling(), 5)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# What can be wrong.


def refused(folder: Path, kind: type[Exception] = ModelUnavailable, **options: Any) -> Any:
    with pytest.raises(kind) as caught:
        load(resolve(str(folder)), **({"context_tokens": 500} | options))
    return caught.value


def test_corrupt_weights(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    weights = (folder / "model.safetensors").read_bytes()
    for damaged in (weights[: len(weights) // 2], b"<html>not found</html>", b""):
        (folder / "model.safetensors").write_bytes(damaged)
        error = refused(folder)
        assert "The files of copy are damaged" in error.message
        assert str(folder) in error.hint


def test_missing_files(tmp_path: Path) -> None:
    for name in ("tokenizer.json", "model.safetensors"):
        folder = copied(tmp_path / name)
        (folder / name).unlink()
        assert "damaged" in refused(folder).message


def test_a_broken_tokenizer(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "tokenizer.json").write_text("{}")
    assert "tokenizer cannot be read" in refused(folder).message


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": 7}'])
def test_a_broken_config(tmp_path: Path, text: str) -> None:
    folder = copied(tmp_path)
    (folder / "config.json").write_text(text)
    assert refused(folder).exit_code == 3


def test_weights_of_another_shape(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    change_config(folder, intermediate_size=64)
    assert "damaged" in refused(folder).message


def test_weights_that_are_not_all_there(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    layers = [*config["layer_types"], "full_attention"]
    change_config(folder, num_hidden_layers=len(layers), layer_types=layers)
    assert "more are missing in the weights" in refused(folder).message


def test_models_for_something_else(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    change_config(folder, architectures=["BertForMaskedLM"])
    assert "it is a BertForMaskedLM" in refused(folder).message
    change_config(folder, architectures=["FutureForCausalLM"], model_type="future")
    error = refused(folder)
    assert "does not know its model type" in error.message and "polaris models" in error.hint


def test_too_little_memory_is_known_before_loading() -> None:
    with pytest.raises(OutOfMemory, match="weights") as caught:
        load(resolve("demo"), context_tokens=10**12)
    assert caught.value.exit_code == 4


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no device 'cuda:9'"):
        load(resolve("demo"), context_tokens=500, device="cuda:9")


# Quantized.


@pytest.mark.parametrize(("free", "way"), [(100, "fastest"), (95, "nf4")])
def test_nf4_is_taken_where_memory_is_short(
    free: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizers, "fastest_method", lambda *_: "fastest")
    monkeypatch.setattr(quantizers, "bitsandbytes", lambda *_: "nf4")
    plan = LoadPlan("4bit", Device("cuda", 0, "card", 100, free), Memory(60, 20, 10), "")
    assert quantization(plan, qwen()) == way


def test_what_cannot_be_compared_is_stored_in_the_usual_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "choose_method", refuses)
    plan = LoadPlan("4bit", Device("cpu", 0, "processor", 100, 100), Memory(60, 20, 10), "")
    assert kernel_of(quantization(plan, qwen())) == "bitsandbytes nf4"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_bitsandbytes_loads_and_writes(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = quantizers.bitsandbytes
    monkeypatch.setattr(quantizers, "fastest_method", lambda bits, whole, *_: usual(bits, whole))
    engine = load(resolve("demo"), context_tokens=1000, quantize=precision)
    assert engine.info.quantization == precision
    kinds = {type(module).__name__ for module in engine._model.modules()}
    assert {"4bit": "Linear4bit", "8bit": "Linear8bitLt"}[precision] in kinds
    assert len(texts(engine)) > 20


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_a_processor_loads_packed_layers_and_writes(
    precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizers, "fastest_method", lambda bits, *_: Packed(bits))
    shares: list[float] = []
    engine = load(
        resolve("demo"), context_tokens=1000, quantize=precision, on_progress=shares.append
    )
    assert engine.info.quantization == precision
    kinds = {type(module).__name__ for module in engine._model.modules()}
    assert {"4bit": "FourBits", "8bit": "EightBits"}[precision] in kinds
    assert engine.info.kernel == {"4bit": "torch int4", "8bit": "torch int8"}[precision]
    assert len(texts(engine)) > 20
    assert shares == sorted(shares) and shares[-1] == 1


@pytest.mark.slow
def test_quantized_loading_says_nothing_on_its_own() -> None:
    program = (
        "from polaris_cli.engines.local.engine import GenerationRequest, load, Message, Sampling\n"
        "from polaris_cli.models.resolving import resolve\n"
        "for precision in ('4bit', '8bit'):\n"
        "    engine = load(resolve('demo'), context_tokens=500, quantize=precision)\n"
        "    list(engine.stream(GenerationRequest((Message('user', 'x'),), Sampling(), 5)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
