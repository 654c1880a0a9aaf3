"""Prefill in chunks and decode steps, compared with `model.generate`."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from polaris_cli.engines.local import forward as module
from polaris_cli.engines.local.forward import Forward
from tests.tiny import qwen

PROMPT = [(7 * i * i) % 256 for i in range(200)]


def greedy(forward: Forward, prompt: Sequence[int], n: int) -> list[int]:
    """Decode n tokens greedily."""
    tokens = []
    logits = forward.prefill(prompt)
    for _ in range(n):
        token = logits.argmax(-1, keepdim=True)
        tokens.append(int(token))
        logits = forward.step(token)
    return tokens


def generated(model: Any, prompt: Sequence[int], n: int) -> list[int]:
    row = torch.tensor([prompt])
    output = model.generate(
        row, attention_mask=torch.ones_like(row), max_new_tokens=n, do_sample=False
    )
    tokens: list[int] = output[0, len(prompt) :].tolist()
    return tokens


@pytest.mark.slow
def test_a_long_prompt_in_chunks_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = qwen(num_key_value_heads=1, layer_types=["full_attention", *["linear_attention"] * 3])
    at_once = Forward(model).prefill(PROMPT)
    monkeypatch.setattr(module, "PREFILL_CHUNK", 48)
    torch.testing.assert_close(Forward(model).prefill(PROMPT), at_once, atol=1e-3, rtol=1e-4)
    assert greedy(Forward(model), PROMPT, 60) == generated(model, PROMPT, 60)
