"""Steps with a static cache give the same tokens as with a growing one; run here on the CPU."""

from typing import Any

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from polaris_cli.engines.kernels.patching import patch_forwards
from polaris_cli.engines.local import forward as forward_module
from polaris_cli.engines.local import static_forward
from polaris_cli.engines.local.decode import decode
from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.generation import TokenizedRequest
from polaris_cli.engines.local.static_forward import (
    BLOCK,
    StaticForward,
    can_capture,
    static_or_dynamic,
)
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.events import Chunk
from polaris_cli.request.story_request import Sampling
from tests.engines.kernels.test_patching import SHAPES, refuses
from tests.engines.local.test_forward import PROMPT, generated, greedy
from tests.engines.local.test_prefix_cache import PLAIN, attention, sliding
from tests.tiny import byte_tokenizer, qwen

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("quick", [False, True], ids=["stock modules", "quick modules"])
@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_are_those_of_generate(shape: str, quick: bool) -> None:
    model = qwen(**SHAPES[shape])
    expected = generated(model, PROMPT, 150)
    if quick:
        patch_forwards(model)
    assert can_capture(model)
    assert greedy(StaticForward(model, len(PROMPT) + 150), PROMPT, 150) == expected


@pytest.mark.parametrize("quick", [False, True], ids=["stock modules", "quick modules"])
def test_a_prompt_may_come_in_chunks_and_again_after_a_reset(
    monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(forward_module, "PREFILL_CHUNK", 33)  # 200 tokens: the last chunk has two
    model = qwen(**SHAPES["grouped heads"])
    expected = generated(model, PROMPT, 40)
    if quick:
        patch_forwards(model)
    forward = StaticForward(model, BLOCK)
    forward.prefill([0])  # as before a capture
    for _ in range(3):
        forward.step(torch.tensor([7]))
    forward.reset()
    assert greedy(forward, PROMPT, 40) == expected
    forward.reset()
    assert greedy(forward, PROMPT[:1], 40) == generated(model, PROMPT[:1], 40)


def test_the_cache_has_room_for_the_last_token() -> None:
    model = qwen()
    forward = StaticForward(model, BLOCK)
    assert len(greedy(forward, PROMPT, BLOCK - len(PROMPT))) == BLOCK - len(PROMPT)
    assert StaticForward(model, BLOCK + 1)._cache.get_max_length() == 2 * BLOCK


@pytest.mark.parametrize("broken", ["StaticCache", "StaticForward"])
def test_without_static_steps_the_usual_ones_are_used(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    model = qwen()
    assert type(static_or_dynamic(model, BLOCK)) is StaticForward
    monkeypatch.setattr(static_forward, broken, refuses)
    forward = static_or_dynamic(model, BLOCK)
    assert greedy(forward, PROMPT, 20) == generated(model, PROMPT, 20)
    assert type(forward) is Forward


def test_layers_that_count_their_tokens_in_python_are_not_captured() -> None:
    """A CUDA graph would repeat the number of the step that was captured."""
    assert can_capture(attention()) and can_capture(qwen())
    mixed = Gemma3TextConfig(**PLAIN, layer_types=["full_attention", "sliding_attention"])
    assert not can_capture(sliding()) and not can_capture(Gemma3ForCausalLM(mixed))
    unknown = qwen()
    unknown.config.layer_types = ["of another release"] * 4
    assert not can_capture(unknown)


@pytest.mark.slow
def test_bf16_is_as_close_to_float32_as_a_growing_cache() -> None:
    """The two caches differ only by rounding in bf16, and neither is less accurate."""

    def logits(forward: Forward) -> torch.Tensor:
        rows = [forward.prefill(PROMPT)]
        rows += [forward.step(torch.tensor([(31 * i) % 256])) for i in range(40)]
        return torch.stack(rows)

    growing, static = 0.0, 0.0
    for seed in range(4):
        exact = logits(Forward(qwen(seed, **SHAPES["grouped heads"])))
        model = qwen(seed, **SHAPES["grouped heads"]).bfloat16()
        growing += float((logits(Forward(model)) - exact).abs().mean())
        static += float((logits(StaticForward(model, 300)) - exact).abs().mean())
    assert static < 1.1 * growing


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(seed=3, temperature=1.0)])
def test_a_step_started_ahead_changes_no_token(sampling: Sampling) -> None:
    def run(**options: Any) -> list[int]:
        # The step beyond the last token needs room.
        prompt = (PROMPT * BLOCK)[: BLOCK - 100]
        request = TokenizedRequest(prompt, sampling, 100)
        events = decode(qwen(2), Vocabulary(byte_tokenizer()), request, **options)
        return [token for piece in events if isinstance(piece, Chunk) for token in piece.ids]

    assert run(static=True) == run()
