"""`polaris bench --peer`: a third program in the same turns, and the errors if it cannot run.

llama.cpp itself is tested if xllamacpp is installed; vLLM is faked.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gguf
import pytest
import torch
from tokenizers import pre_tokenizers
from typer.testing import CliRunner

from polaris_cli.bench import peers, speed
from polaris_cli.bench.peers import Peer
from polaris_cli.bench.speed import Times, compare, longest
from polaris_cli.commands.app import app
from polaris_cli.errors import ModelUnavailable
from polaris_cli.request.story_request import Sampling
from tests.tiny import byte_tokenizer, qwen

LLAMA_TENSORS = {
    "token_embd": (64, 32),
    "output_norm": (32,),
    "output": (64, 32),
    "blk.0.attn_norm": (32,),
    "blk.0.attn_q": (32, 32),
    "blk.0.attn_k": (32, 32),
    "blk.0.attn_v": (32, 32),
    "blk.0.attn_output": (32, 32),
    "blk.0.ffn_norm": (32,),
    "blk.0.ffn_gate": (64, 32),
    "blk.0.ffn_up": (64, 32),
    "blk.0.ffn_down": (32, 64),
}
SMALL = ["--tokens", "6", "--repeats", "1", "--at", "0,20"]


@pytest.fixture(autouse=True)
def small_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "PROBE_BYTES", 1 << 20)


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    """A file that begins like GGUF, and has nothing else."""
    path = tmp_path / "story.gguf"
    path.write_bytes(b"GGUF")
    return path


def steadily(prompt: list[int], tokens: int) -> Times:
    """A writer at 100 tokens/s."""
    return Times(0.5, (0.01,) * tokens)


def refused(*options: str) -> tuple[int, str]:
    """The exit code of `polaris bench`, and its output on one line."""
    result = CliRunner().invoke(app, ["bench", *options])
    return result.exit_code, " ".join(result.output.split())


def test_a_peer_writes_as_many_tokens_in_the_same_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[tuple[str, int, int]] = []

    def noted(name: str, write: speed.Write) -> speed.Write:
        def way(prompt: list[int], tokens: int) -> Times:
            turns.append((name, len(prompt), tokens))
            return write(prompt, tokens)

        return way

    snippet = speed.snippet
    monkeypatch.setattr(speed, "snippet", lambda *given: noted("snippet", snippet(*given)))
    given: dict[str, Any] = {"positions": [100], "tokens": 5, "repeats": 2}
    (one,) = compare(qwen(), byte_tokenizer(), Sampling(), **given, peer=noted("peer", steadily))
    assert turns[:2] == [("snippet", 16, 8), ("peer", 16, 8)]
    assert turns[2:] == 2 * [("snippet", 100, 5), ("peer", 100, 5)]
    assert one.peer and one.peer_ratio
    assert one.peer.tokens_per_s == pytest.approx(100) and one.peer.first_token_s == 0.5
    assert one.polaris.slowest <= one.peer_ratio * one.peer.tokens_per_s <= one.polaris.fastest


def test_without_a_peer_there_are_no_figures_of_one() -> None:
    given: dict[str, Any] = {"positions": [0], "tokens": 6, "repeats": 1}
    (one,) = compare(qwen(), byte_tokenizer(), Sampling(), **given)
    assert one.peer is None and one.peer_ratio is None


def test_the_longest_run_has_room_for_the_warm_up() -> None:
    assert longest([0], 2) == 16 + 8 + 1
    assert longest([0, 2000], 256) == 2000 + 256 + 1


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch, gguf_file: Path) -> Path:
    """A GGUF file, run by a fake writer."""
    monkeypatch.setattr(peers, "find_spec", lambda _: True)
    monkeypatch.setattr(peers, "llama_cpp", lambda *_: Peer("llama.cpp, steady", steadily))
    return gguf_file


@pytest.mark.slow
def test_the_table_has_two_more_columns_with_a_peer(steady: Path) -> None:
    result = CliRunner().invoke(app, ["bench", *SMALL, "--peer", str(steady)])
    assert result.exit_code == 0, result.output
    assert "peer: llama.cpp, steady\n" in result.stdout
    headers, first, _ = result.stdout.splitlines()[-3:]
    assert headers.endswith("\tpeer\tspeedup over peer")
    assert first.split("\t")[-2] == "100.0" and float(first.split("\t")[-1]) > 0
    alone = CliRunner().invoke(app, ["bench", *SMALL])
    assert "peer" not in alone.stdout


@pytest.mark.slow
def test_json_carries_the_peer(steady: Path) -> None:
    result = CliRunner().invoke(app, ["bench", *SMALL, "--json", "--peer", str(steady)])
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["peer"] == "llama.cpp, steady"
    for one in report["positions"]:
        assert one["peer"]["tokens_per_s"] == pytest.approx(100)
        assert one["peer_ratio"] == pytest.approx(one["polaris"]["tokens_per_s"] / 100)


def test_a_missing_file(tmp_path: Path) -> None:
    code, said = refused("--peer", str(tmp_path / "none.gguf"))
    assert code == 2
    assert "none.gguf cannot be read: No such file" in said and "--peer FILE.gguf" in said


def test_a_file_that_is_not_gguf(tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text("Once upon a time")
    code, said = refused("--peer", str(tmp_path / "story.txt"))
    assert code == 2
    assert "story.txt is not a GGUF file." in said and "--peer FILE.gguf" in said


def test_vllm_cannot_run_a_shape() -> None:
    code, said = refused("--peer", "vllm", "--shape", "qwen3.5-0.8b")
    assert code == 2
    assert "vLLM needs a model's files" in said and "--model" in said


def test_a_missing_package_hints_at_the_command(
    monkeypatch: pytest.MonkeyPatch, gguf_file: Path
) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda _: None)
    for peer, package in ((str(gguf_file), "xllamacpp"), ("vllm", "vllm")):
        code, said = refused("--peer", peer)
        assert code == 3
        assert f"The package {package} is not installed." in said
        assert f"pip install {package}" in said


class FakeVllm:
    """A fake vLLM: each answer takes a second to the first token, then 0.1 s per token."""

    SamplingParams = TokensPrompt = dict

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.loaded: dict[str, Any] = {}

    def LLM(self, **options: Any) -> "FakeVllm":
        self.loaded = options
        return self

    def generate(
        self, prompt: dict[str, Any], settings: dict[str, Any], *, use_tqdm: bool
    ) -> list[Any]:
        self.asked.append((prompt, settings))
        last = 7.0 + 0.1 * (settings["max_tokens"] - 1)
        noted = SimpleNamespace(first_token_latency=1.0, first_token_ts=7.0, last_token_ts=last)
        return [SimpleNamespace(metrics=noted)]


def test_vllm_gets_the_same_request_and_its_own_times_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeVllm()
    monkeypatch.setitem(sys.modules, "vllm", fake)
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "ERROR")
    model = SimpleNamespace(dtype=torch.bfloat16, device=torch.device("cpu"))
    peer = peers.vllm(Path("folder"), model, Sampling(top_k=7), 100)
    times = peer.write([1, 2, 3], 5)
    assert times.first == 1.0 and times.steps == pytest.approx((0.1,) * 5)
    ((prompt, settings),) = fake.asked
    assert prompt == {"prompt_token_ids": [1, 2, 3]}
    assert settings["max_tokens"] == 6 and settings["ignore_eos"] and settings["top_k"] == 7
    assert fake.loaded["dtype"] == "bfloat16" and fake.loaded["max_model_len"] == 100


@pytest.fixture
def llama_file(tmp_path: Path) -> Path:
    """A random model of the llama architecture with 64 tokens, in a GGUF file."""
    pytest.importorskip("xllamacpp")
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(64)
    writer.add_context_length(512)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(sorted(pre_tokenizers.ByteLevel.alphabet())[:64])
    writer.add_token_types([gguf.TokenType.NORMAL] * 64)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(0)
    writer.add_chat_template("{{ messages[0].content }}")
    for name, shape in LLAMA_TENSORS.items():
        writer.add_tensor(f"{name}.weight", torch.randn(shape).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_llama_cpp_writes_to_the_last_token(llama_file: Path) -> None:
    peer = peers.llama_cpp(llama_file, qwen(), Sampling(), 150)
    assert peer.name == "llama.cpp, tiny.gguf, cpu"
    for _ in range(2):
        assert len(peer.write(list(range(100)), 49).steps) == 49


@pytest.mark.slow
def test_llama_cpp_runs_next_to_the_demo_model(llama_file: Path) -> None:
    result = CliRunner().invoke(app, ["bench", *SMALL, "--json", "--peer", str(llama_file)])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert all(one["peer"]["slowest"] > 0 for one in report["positions"])


def test_a_damaged_gguf_file(gguf_file: Path) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(ModelUnavailable, match=r"llama\.cpp cannot load .*story\.gguf: ") as told:
        peers.llama_cpp(gguf_file, qwen(), Sampling(), 100)
    assert "pip install -U xllamacpp" in told.value.hint
