"""Memory: a model's size, read from its files, and the precision that fits on a device."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import Cohere2Config, Gemma2Config, Gemma3TextConfig

from polaris_cli.engines.local.forward import PREFILL_CHUNK
from polaris_cli.errors import ModelUnavailable, OutOfMemory, UsageError
from polaris_cli.models import gguf_choice, memory
from polaris_cli.models.catalogue import BASE_27B, DEMO, POLARIS
from polaris_cli.models.devices import GB, Device
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.memory import ModelSize, choose_quantization, memory_needed, size_of_entry
from polaris_cli.models.reference import of_entry, of_gguf
from tests.fake_hub import CONFIG, safetensors
from tests.gguf_writing import write_gguf

NINE_B = size_of_entry(POLARIS)
TOKENS = 8_192


def card(free: float) -> Device:
    return Device("cuda", 0, "card", int(80 * GB), int(free * GB))


def processor(free: float, quick: bool) -> Device:
    return Device("cpu", 0, "processor", int(200 * GB), int(free * GB), quick_4bit=quick)


def test_weights_by_precision() -> None:
    whole, eight, four = (memory.weights_bytes(NINE_B, q) for q in ("none", "8bit", "4bit"))
    assert whole == POLARIS.weights_bytes
    # nf4 with double quantization: 4.127 bits per weight, the embeddings and lm_head in bf16.
    assert four == pytest.approx(6.9185e9 * 4.127 / 8 + 2 * 2.0353e9, rel=1e-3)
    assert four < eight < whole


def test_the_cache_grows_with_the_context() -> None:
    short, long = (memory_needed(NINE_B, "none", n).cache for n in (0, 262_144))
    assert long - short == 262_144 * 32_768
    assert short == POLARIS.state_bytes


@pytest.mark.parametrize(
    ("free", "chosen"), [(80, "none"), (24, "none"), (16, "4bit"), (12, "4bit")]
)
def test_auto_on_a_gpu(free: float, chosen: str) -> None:
    plan = choose_quantization(NINE_B, card(free), "auto", TOKENS)
    assert plan.quantize == chosen
    assert plan.memory.total <= plan.device.free_bytes
    assert plan.reason


@pytest.mark.parametrize(
    ("free", "quick", "chosen"), [(100, False, "none"), (100, True, "4bit"), (16, False, "4bit")]
)
def test_auto_on_a_cpu_takes_the_faster_precision(free: float, quick: bool, chosen: str) -> None:
    assert choose_quantization(NINE_B, processor(free, quick), "auto", TOKENS).quantize == chosen


def test_auto_does_not_quantize_small_models() -> None:
    size = size_of_entry(DEMO)
    assert choose_quantization(size, processor(8, True), "auto", 500).quantize == "none"


@pytest.mark.parametrize("asked", ["none", "8bit", "4bit"])
def test_an_explicit_precision_is_used(asked: str) -> None:
    plan = choose_quantization(NINE_B, card(80), asked, TOKENS)  # type: ignore[arg-type]
    assert plan.quantize == asked


@pytest.mark.parametrize(
    ("free", "asked", "hint"),
    [
        (16, "none", "--quantize 4bit"),
        (10, "8bit", "--quantize 4bit"),
        (6, "4bit", "--model demo"),
        (6, "auto", "--model demo"),
    ],
)
def test_too_little_memory_is_reported_with_figures(free: float, asked: str, hint: str) -> None:
    with pytest.raises(OutOfMemory, match=rf"cuda:0 has {free}\.0 GB free") as caught:
        choose_quantization(NINE_B, card(free), asked, TOKENS)  # type: ignore[arg-type]
    assert caught.value.exit_code == 4
    assert "weights" in caught.value.message and "8,192 tokens" in caught.value.message
    assert hint in caught.value.hint


def test_a_context_that_does_not_fit_hints_at_fewer_words() -> None:
    with pytest.raises(OutOfMemory) as caught:
        choose_quantization(NINE_B, card(12), "auto", 250_000)
    assert "fewer words" in caught.value.hint


def test_quantized_files_are_used_as_they_are() -> None:
    size = ModelSize(9 * 10**9, 7 * 10**9, stored_bytes=6 * GB)
    plan = choose_quantization(size, card(16), "auto", TOKENS)
    assert (plan.quantize, plan.memory.weights) == ("none", 6 * GB)
    with pytest.raises(UsageError, match="already quantized"):
        choose_quantization(size, card(16), "8bit", TOKENS)


@given(st.integers(1, 10**11), st.floats(0, 1), st.integers(1, 300_000), st.integers(0, 10**12))
def test_a_plan_always_fits(parameters: int, share: float, tokens: int, free: int) -> None:
    size = ModelSize(parameters, int(parameters * share), 32_768, 10**6)
    device = Device("cuda", 0, "card", free, free)
    try:
        plan = choose_quantization(size, device, "auto", tokens)
    except OutOfMemory:
        assert memory_needed(size, "4bit", tokens).total > free
    else:
        assert plan.memory.total <= free
        assert plan.quantize == "none" or memory_needed(size, "none", tokens).total > free


@pytest.mark.parametrize("free", [21, 24, 40, 80])
def test_stories_at_once_fit(free: int) -> None:
    plan = choose_quantization(NINE_B, card(free), "none", TOKENS)
    number = memory.most_at_once(NINE_B, plan, TOKENS)
    beside = plan.memory.weights + plan.memory.overhead
    each = NINE_B.state_bytes + TOKENS * NINE_B.cache_bytes_per_token
    assert beside + number * each <= free * GB < beside + (number + 1) * each


def test_a_single_story_needs_no_room() -> None:
    plan = choose_quantization(NINE_B, card(80), "none", TOKENS)
    exact = Device("cuda", 0, "card", 80 * GB, plan.memory.total)
    assert memory.most_at_once(NINE_B, replace(plan, device=exact), TOKENS) == 1


def test_the_size_of_a_folder(tmp_path: Path) -> None:
    shapes = {
        "model.embed_tokens.weight": (100, 8),
        "lm_head.weight": (100, 8),
        "model.layers.0.mlp.up_proj.weight": (32, 8),
        "model.layers.0.linear_attn.conv1d.weight": (16, 1, 4),
        "model.norm.weight": (8,),
        "model.visual.blocks.0.attn.proj.weight": (50, 50),
        "mtp.layers.0.mlp.up_proj.weight": (32, 8),
    }
    (tmp_path / "model.safetensors").write_bytes(safetensors(shapes))
    size = memory.size_of_folder(tmp_path, CONFIG)
    assert size.parameters == 800 + 800 + 256 + 64 + 8
    assert size.linear_parameters == 256
    assert size.cache_bytes_per_token == 1 * 2 * 2 * 16 * 2
    assert size.state_bytes == 3 * 4 * 16 * 16 * 4


@pytest.mark.parametrize(
    ("name", "linear"),
    [
        ("mlp.experts.0.gate_proj.weight", 0),
        ("block_sparse_moe.experts.7.w1.weight", 0),
        ("feed_forward.experts.3.down_proj.weight", 0),
        ("mlp.shared_experts.up_proj.weight", 256),
        ("mlp.shared_expert.up_proj.weight", 256),
    ],
)
def test_experts_are_not_quantized_and_those_for_all_tokens_are(name: str, linear: int) -> None:
    shapes = [(f"model.layers.0.{name}", (32, 8))]
    assert memory.count_parameters(shapes) == (256, linear)


def test_older_weights_are_measured_by_file_size(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(bytes(2000))
    assert memory.size_of_folder(tmp_path, {}).parameters == 1000


def test_quantized_folders_are_measured_by_file_size(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"model.layers.0.w": (10, 10)}))
    config = {"quantization_config": {"quant_method": "gptq"}}
    stored = memory.size_of_folder(tmp_path, config).stored_bytes
    assert stored == (tmp_path / "model.safetensors").stat().st_size


@pytest.mark.parametrize(
    "data", [b"", b"123", b"\xff" * 100, bytes(100), b"\x02" + bytes(7) + b"[]"]
)
def test_a_broken_header_is_unreadable(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ValueError):
        memory.size_of_folder(tmp_path, {})


def test_a_nested_config() -> None:
    assert memory.cache_of_config({"text_config": CONFIG}) == memory.cache_of_config(CONFIG)


def test_an_older_config() -> None:
    config = {"n_layer": 12, "n_head": 12, "n_embd": 768}
    assert memory.cache_of_config(config) == (12 * 2 * 768 * 2, 0, 0, 0)
    assert memory.cache_of_config({}) == (0, 0, 0, 0)


@pytest.mark.parametrize("entry", [POLARIS, BASE_27B])
def test_the_catalogues_cache_figures_follow_from_the_shape(entry: object) -> None:
    shapes = {
        POLARIS: (32, 4, 32),
        BASE_27B: (64, 4, 48),
    }
    layers, heads, value_heads = shapes[entry]  # type: ignore[index]
    config = {
        "num_hidden_layers": layers,
        "num_attention_heads": 16,
        "num_key_value_heads": heads,
        "head_dim": 256,
        "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * (layers // 4),
        "linear_num_value_heads": value_heads,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
    }
    found = memory.cache_of_config(config)
    assert found == (entry.cache_bytes_per_token, entry.state_bytes, 0, 0)  # type: ignore[attr-defined]


SLIDING = {
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "head_dim": 16,
    "sliding_window": 512,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
}
EACH = 2 * 4 * 16 * 2  # bytes of a token in one layer


def test_layers_with_a_sliding_window_keep_its_tokens_only() -> None:
    assert memory.cache_of_config(SLIDING) == (EACH, 0, 2 * EACH, 512)
    size = memory.size_of((0, 0), SLIDING)
    kept = 512 + memory.LAST_PASS
    assert size.cache_bytes(100) == 3 * 100 * EACH
    assert size.cache_bytes(9_000) == 9_000 * EACH + 2 * kept * EACH
    assert memory.LAST_PASS == PREFILL_CHUNK


@pytest.mark.parametrize("window", [None, 0])
def test_without_a_window_all_tokens_are_kept(window: int | None) -> None:
    assert memory.cache_of_config(SLIDING | {"sliding_window": window}) == (3 * EACH, 0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        (Gemma2Config, {}),
        (Gemma3TextConfig, {}),
        (Cohere2Config, {}),
        (Gemma3TextConfig, {"sliding_window_pattern": 3}),
    ],
)
def test_kinds_of_layers_that_a_config_leaves_out(kind: Any, pattern: dict[str, int]) -> None:
    whole = kind(num_hidden_layers=13, **pattern).to_dict()
    short = {name: value for name, value in whole.items() if name != "layer_types"} | pattern
    found = memory.cache_of_config(whole)
    assert found[0] and found[2] and memory.cache_of_config(short) == found


def test_the_catalogue_knows_the_demo() -> None:
    folder = of_entry(DEMO).folder
    assert folder
    config = json.loads((folder / "config.json").read_text())
    assert memory.size_of_folder(folder, config) == size_of_entry(DEMO)
    assert config["max_position_embeddings"] == DEMO.profile.context


def test_a_gguf_file_is_as_stored_with_llama_cpp_and_dequantized_otherwise(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "m.gguf")
    facts = gguf_facts(file)
    as_stored = memory.size_of_gguf(facts, "gguf")
    needed = memory_needed(as_stored, "none", TOKENS)
    assert (needed.weights, needed.cache) == (file.stat().st_size, TOKENS * 256)
    assert needed.overhead == gguf_choice.OVERHEAD
    window = replace(facts, sliding_bytes_per_token=10, sliding_window=512)
    kept = [memory.size_of_gguf(window, e).cache_bytes(9000) for e in ("gguf", "local")]
    assert kept == [9000 * 256 + 10 * (512 + n) for n in (767, PREFILL_CHUNK)]
    plain = memory.size_of_gguf(facts, "local")
    needed = memory_needed(plain, "none", TOKENS)
    assert needed.weights == 2 * facts.parameters and needed.overhead == memory.OVERHEAD["cuda"]
    assert memory.weights_bytes(plain, "4bit") < needed.weights


def test_llama_cpp_gets_room_beyond_the_estimate_within_the_models_context() -> None:
    assert memory.llama_cpp_context(1_000) == 1_250 + 1_024 == memory.llama_cpp_context(1_000, 4096)
    assert memory.llama_cpp_context(4_000, 4096) == 4096


def test_every_sequence_has_a_cache_and_a_state_of_its_own() -> None:
    one, three = (memory_needed(NINE_B, "none", TOKENS, sequences=n).cache for n in (1, 3))
    assert three == 3 * one == 3 * (NINE_B.state_bytes + TOKENS * NINE_B.cache_bytes_per_token)


def test_a_gguf_file_that_does_not_fit_is_refused_with_the_figures(tmp_path: Path) -> None:
    reference = of_gguf("m", write_gguf(tmp_path / "m.gguf"))
    memory.check_fits(reference, TOKENS, processor(1, quick=False))
    with pytest.raises(
        OutOfMemory, match=r"m\.gguf needs 0\.3 GB: weights \d\d KB, cache"
    ) as caught:
        memory.check_fits(reference, TOKENS, processor(0.1, quick=False))
    assert caught.value.hint == "Use a file of a smaller quantization"
    memory.check_fits(reference, TOKENS, replace(card(0.1), spare_bytes=GB))
    with pytest.raises(OutOfMemory, match=r"cuda:0 and cpu together have 0\.2 GB free"):
        memory.check_fits(reference, TOKENS, replace(card(0.1), spare_bytes=GB // 10))
    with pytest.raises(OutOfMemory) as caught:
        memory.check_fits(reference, 10**7, processor(1, quick=False))
    assert "fewer words" in caught.value.hint
    with pytest.raises(OutOfMemory, match="cache for 10,000,000 tokens"):
        memory.check_fits(reference, 10**6, processor(1, quick=False), 10)
    with pytest.raises(ModelUnavailable, match="not on this machine"):
        memory.check_fits(of_gguf("m", tmp_path / "none.gguf"), TOKENS, card(80))
