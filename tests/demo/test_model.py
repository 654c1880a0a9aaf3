"""The shipped demo model: its size and shape, and that it ends a story itself."""

import json
from statistics import median
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from polaris_cli.demo.measure import USUAL, generate, has_noun
from polaris_cli.models.catalogue import DEMO_FOLDER

TEN_MEGABYTES = 10_000_000


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((DEMO_FOLDER / "config.json").read_text("utf-8"))
    return parsed


def test_folder_is_small() -> None:
    assert sum(file.stat().st_size for file in DEMO_FOLDER.iterdir()) <= TEN_MEGABYTES


def test_architecture(config: dict[str, Any]) -> None:
    assert config["architectures"] == ["Qwen3_5ForCausalLM"]
    assert config["model_type"] == "qwen3_5_text"
    assert set(config["layer_types"]) == {"linear_attention", "full_attention"}
    assert config["tie_word_embeddings"] is True
    assert config["dtype"] == "bfloat16"
    assert config["max_position_embeddings"] == 32768


def test_weights_are_bf16_and_have_the_stated_size() -> None:
    with safe_open(DEMO_FOLDER / "model.safetensors", "pt") as weights:
        tensors = [weights.get_tensor(name) for name in weights.keys()]  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert 1_000_000 < sum(tensor.numel() for tensor in tensors) < 4_000_000


@pytest.mark.slow
def test_story_names_its_subject_and_ends_by_itself() -> None:
    tokenizer = AutoTokenizer.from_pretrained(DEMO_FOLDER)
    model = AutoModelForCausalLM.from_pretrained(DEMO_FOLDER, dtype=torch.float32)
    prompts = ["Write a 100-word story about a zookeeper who befriends a crocodile."] * 8
    answers = generate(model, tokenizer, prompts, USUAL)
    assert all(answer.ended for answer in answers)
    stories = [answer.texts["story"] for answer in answers]
    assert any(has_noun("zookeeper", story) for story in stories)
    lengths = [len(story.split()) for story in stories]
    assert all(50 <= length <= 200 for length in lengths)
    assert 75 <= median(lengths) <= 125
