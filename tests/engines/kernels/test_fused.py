"""Forward passes with Triton's kernels give the same logits.

They run in Triton's interpreter, or on a card (`tests.card`).
"""

from typing import Any

import pytest
import torch

pytest.importorskip("triton")
from polaris_cli.engines.kernels import fused, layer_trial, patching
from polaris_cli.engines.kernels.patching import Replacements, patch_forwards
from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.static_forward import StaticForward
from polaris_cli.engines.quantize import triton_linear
from polaris_cli.engines.quantize.triton_linear import EightBits
from tests.card import DEVICE
from tests.engines.kernels.test_patching import SHAPES
from tests.engines.local.test_forward import PROMPT
from tests.tiny import qwen

TOKENS, STEPS = 6, 2  # few, as the interpreter runs each program by itself


def logits(forward: Forward) -> torch.Tensor:
    """The logits along a fixed sequence, one row per step."""
    rows = [forward.prefill(PROMPT[:TOKENS]).clone()]
    rows += [
        forward.step(torch.tensor([31 * i % 256], device=DEVICE)).clone() for i in range(STEPS)
    ]
    return torch.stack(rows)


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True], ids=["growing", "static"])
def test_logits_stay_the_same(static: bool) -> None:
    model = qwen(**SHAPES["grouped heads"]).to(DEVICE)

    def forward() -> Forward:
        return StaticForward(model, 64) if static else Forward(model)

    expected = logits(forward())
    patch_forwards(model)
    assert patching.fuse(model, Replacements())
    torch.testing.assert_close(logits(forward()), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_batch_is_computed_as_before() -> None:
    model = qwen(**SHAPES["grouped heads"]).to(DEVICE)
    ids = torch.tensor([PROMPT[:9], PROMPT[9:18]], device=DEVICE)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1, 1], [1] * 9], device=DEVICE)
    options = {"max_new_tokens": 4, "do_sample": False}
    expected = model.generate(ids, attention_mask=mask, **options)
    assert patching.fuse(model, Replacements())
    assert torch.equal(model.generate(ids, attention_mask=mask, **options), expected)


def test_joined_matrices_take_no_more_memory() -> None:
    linears = [torch.nn.Linear(8, rows, bias=False) for rows in (3, 5)]
    expected = [linear.weight.clone() for linear in linears]
    x = torch.randn(2, 8)
    products = fused.joined(*linears)(x)
    assert all(map(torch.allclose, products, [x @ weight.T for weight in expected]))
    assert all(
        torch.equal(linear.weight, weight) for linear, weight in zip(linears, expected, strict=True)
    )
    first, second = (linear.weight.untyped_storage() for linear in linears)
    assert first.data_ptr() == second.data_ptr() and first.nbytes() == 4 * 8 * 8


@pytest.mark.slow  # in the interpreter
@pytest.mark.parametrize("kind", [triton_linear.FourBits, triton_linear.EightBits])
def test_quantized_matrices_are_joined_too(kind: Any) -> None:
    layers = [kind(torch.randn(n, 64, dtype=torch.bfloat16).to(DEVICE)) for n in (32, 16)]
    x = torch.randn(1, 64, dtype=torch.bfloat16).to(DEVICE)
    expected = [layer(x) for layer in layers]
    assert all(map(torch.equal, fused.joined(*layers)(x), expected))
    assert all(map(torch.equal, [layer(x) for layer in layers], expected))
    first, second = (layer.quantized.untyped_storage() for layer in layers)
    assert first.data_ptr() == second.data_ptr()


def test_matrices_of_different_kinds_stay_apart() -> None:
    weight = torch.randn(32, 64, dtype=torch.bfloat16).to(DEVICE)
    layers = [EightBits(weight), torch.nn.Linear(64, 8, dtype=torch.bfloat16).to(DEVICE)]
    x = torch.randn(1, 64, dtype=torch.bfloat16).to(DEVICE)
    for pair in (layers, layers[:1] * 2):
        assert all(map(torch.equal, fused.joined(*pair)(x), [layer(x) for layer in pair]))


def replaced_layers(model: Any) -> int:
    """The number of decoder layers whose forward is replaced."""
    return sum("forward" in vars(layer) for layer in model.model.layers)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after", "count"), [(2.0, 1.0, 4), (1.0, 2.0, 0)])
def test_they_are_used_where_they_are_faster(
    monkeypatch: pytest.MonkeyPatch, before: float, after: float, count: int
) -> None:
    model = qwen().to(DEVICE)
    monkeypatch.setattr(patching, "has_triton", lambda: True)  # also without a C compiler
    monkeypatch.setattr(patching, "seconds", lambda *_: after if replaced_layers(model) else before)
    assert patching.patch_fused(model, Replacements())
    assert replaced_layers(model) == count


def a_tenth_more(result: Any) -> Any:
    return (1.1 * result[0], *result[1:]) if isinstance(result, tuple) else 1.1 * result


@pytest.mark.slow
@pytest.mark.parametrize("kind", fused.FORWARDS)
def test_a_wrong_one_is_found(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    make = fused.FORWARDS[kind]

    def wrong(module: Any) -> Any:
        forward = make(module)
        return lambda *args, **named: a_tenth_more(forward(*args, **named))

    monkeypatch.setitem(fused.FORWARDS, kind, wrong)
    assert not patching.fuse(qwen().to(DEVICE), Replacements())


def test_without_triton_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "has_triton", lambda: False)
    model = qwen().to(DEVICE)
    assert patching.patch_fused(model, Replacements())
    assert replaced_layers(model) == 0


@pytest.mark.slow
def test_a_step_of_a_layer_is_timed() -> None:
    model = qwen().to(DEVICE)
    assert 0 < layer_trial.seconds(model, layer_trial.layers_of_each_kind(model)) < 10


def test_triton_needs_a_c_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    assert not patching.has_triton()
