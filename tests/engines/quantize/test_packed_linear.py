"""Linear layers in 4 and 8 bits: their products and their memory."""

import pytest
import torch
import torch.nn.functional as F

from polaris_cli.engines.quantize.packed_linear import EightBits, FourBits
from polaris_cli.models import memory

KINDS = [(FourBits, 0.1, "4bit"), (EightBits, 0.012, "8bit")]


def error(product: torch.Tensor, exact: torch.Tensor) -> float:
    return float((product.float() - exact).norm() / exact.norm())


@pytest.mark.parametrize(("kind", "limit", "_"), KINDS)
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (1, 40)])
def test_the_product_is_that_of_the_weight(
    kind: type, limit: float, _: str, shape: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(2080, 256, dtype=torch.bfloat16) * torch.rand(2080, 1)
    weight = weight.to(torch.bfloat16)
    x = torch.randn(*shape, 256, dtype=torch.bfloat16)
    product = kind(weight)(x)
    assert product.shape == (*shape, 2080)
    assert error(product, F.linear(x.float(), weight.float())) < limit


@pytest.mark.parametrize(("kind", "_", "bits"), KINDS)
def test_the_weight_takes_as_much_memory_as_planned(kind: type, _: float, bits: str) -> None:
    layer = kind(torch.randn(96, 256, dtype=torch.bfloat16))
    stored = sum(part.numel() * part.element_size() for part in layer.parameters())
    assert stored / (96 * 256) <= 1.1 * memory.BYTES_PER_LINEAR[bits]


@pytest.mark.parametrize(("kind", "_", "__"), KINDS)
@pytest.mark.parametrize("value", [0.0, 1.5, -1e-3])
def test_a_weight_of_equal_values(kind: type, _: float, __: str, value: float) -> None:
    weight = torch.full((32, 64), value, dtype=torch.bfloat16)
    x = torch.ones(1, 64, dtype=torch.bfloat16)
    assert torch.allclose(kind(weight)(x).float(), F.linear(x, weight).float(), rtol=0.02)
