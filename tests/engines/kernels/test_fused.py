"""Forward passes with Triton's kernels give the same logits, in Triton's interpreter."""

import pytest
import torch

from polaris_cli.engines.kernels import patching
from polaris_cli.engines.kernels.patching import Replacements, patch_forwards
from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.static_forward import StaticForward
from tests.engines.kernels.test_patching import SHAPES
from tests.engines.local.test_forward import PROMPT
from tests.tiny import qwen

STEPS = 5
LAUNCHES = ("_add_norm", "_silu_mul", "_convolve", "_delta_rule", "_rotate_heads", "_attend_part")


def logits(forward: Forward) -> torch.Tensor:
    """The logits along a fixed sequence, one row per step."""
    rows = [forward.prefill(PROMPT).clone()]
    rows += [forward.step(torch.tensor([31 * i % 256])).clone() for i in range(STEPS)]
    return torch.stack(rows)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("static", [False, True], ids=["growing", "static"])
def test_logits_stay_the_same(shape: str, static: bool) -> None:
    model = qwen(**SHAPES[shape])

    def forward() -> Forward:
        return StaticForward(model, 64) if static else Forward(model)

    expected = logits(forward())
    patch_forwards(model)
    assert patching.fuse(model, Replacements())
    torch.testing.assert_close(logits(forward()), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_batch_is_computed_as_before() -> None:
    model = qwen(**SHAPES["grouped heads"])
    ids = torch.tensor([PROMPT[:9], PROMPT[9:18]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1, 1], [1] * 9])
    options = {"max_new_tokens": 4, "do_sample": False}
    expected = model.generate(ids, attention_mask=mask, **options)
    assert patching.fuse(model, Replacements())
    assert torch.equal(model.generate(ids, attention_mask=mask, **options), expected)
