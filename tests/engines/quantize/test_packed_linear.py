"""Linear layers in 4 and 8 bits: their products and their memory.

Those for CUDA run in Triton's interpreter, or on a card (`tests.card`).
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from polaris_cli.engines.quantize.packed_linear import EightBits, FourBits
from polaris_cli.models import memory

pytest.importorskip("triton")
from polaris_cli.engines.quantize import triton_linear
from tests.card import DEVICE

KINDS = [
    (FourBits, 0.1, "4bit"),
    (EightBits, 0.012, "8bit"),
    # The interpreter takes seconds for a matrix.
    pytest.param(triton_linear.FourBits, 0.1, "4bit", marks=pytest.mark.slow),
    pytest.param(triton_linear.EightBits, 0.012, "8bit", marks=pytest.mark.slow),
]


def layer_of(kind: type, weight: torch.Tensor) -> Any:
    """The layer on the device that its kernels are for."""
    return kind(weight.to(DEVICE if kind.__module__ == triton_linear.__name__ else "cpu"))


def product_of(layer: Any, x: torch.Tensor) -> torch.Tensor:
    product: torch.Tensor = layer(x.to(layer.quantized.device))
    return product.cpu()


def error(product: torch.Tensor, exact: torch.Tensor) -> float:
    return float((product.float() - exact).norm() / exact.norm())


@pytest.mark.parametrize(("kind", "limit", "_"), KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 40)])
def test_the_product_is_that_of_the_weight(
    kind: type, limit: float, _: str, shape: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(1040, 128, dtype=torch.bfloat16) * torch.rand(1040, 1)
    weight = weight.to(torch.bfloat16)
    x = torch.randn(*shape, 128, dtype=torch.bfloat16)
    product = product_of(layer_of(kind, weight), x)
    assert product.shape == (*shape, 1040)
    assert error(product, F.linear(x.float(), weight.float())) < limit


@pytest.mark.parametrize(("kind", "_", "bits"), KINDS)
def test_the_weight_takes_as_much_memory_as_planned(kind: type, _: float, bits: str) -> None:
    layer = layer_of(kind, torch.randn(96, 256, dtype=torch.bfloat16))
    stored = sum(part.numel() * part.element_size() for part in layer.parameters())
    assert stored / (96 * 256) <= 1.1 * memory.BYTES_PER_LINEAR[bits]


@pytest.mark.parametrize(("kind", "_", "__"), KINDS)
@pytest.mark.parametrize("value", [0.0, 1.5, -1e-3])
def test_a_weight_of_equal_values(kind: type, _: float, __: str, value: float) -> None:
    weight = torch.full((32, 64), value, dtype=torch.bfloat16)
    x = torch.ones(1, 64, dtype=torch.bfloat16)
    found = product_of(layer_of(kind, weight), x)
    assert torch.allclose(found.float(), F.linear(x, weight).float(), rtol=0.02)


@pytest.mark.parametrize(
    ("cpu", "cuda"), [(FourBits, triton_linear.FourBits), (EightBits, triton_linear.EightBits)]
)
@pytest.mark.parametrize("columns", [64, 1088])
def test_both_devices_have_the_same_numbers(cpu: type, cuda: type, columns: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(48, columns, dtype=torch.bfloat16)
    x = torch.randn(1, columns, dtype=torch.bfloat16)
    found, expected = (product_of(layer_of(kind, weight), x) for kind in (cuda, cpu))
    assert error(found, expected.float()) < 0.01


def test_a_bias_is_added() -> None:
    for kind in (triton_linear.FourBits, triton_linear.EightBits):
        layer = layer_of(kind, torch.zeros(32, 64, dtype=torch.bfloat16))
        bias = torch.arange(32, dtype=torch.bfloat16)
        layer.bias = torch.nn.Parameter(bias.to(DEVICE))
        for rows in (1, 9):
            product = product_of(layer, torch.ones(rows, 64, dtype=torch.bfloat16))
            assert torch.equal(product, bias.expand(rows, -1))
