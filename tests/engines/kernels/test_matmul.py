"""Matrix products: the same results, and used only if they are faster."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from polaris_cli.engines.kernels import matmul
from polaris_cli.engines.kernels.matmul import (
    MANY,
    faster_linears,
    float32_is_faster,
    in_float32,
    without_onednn,
)


def linears() -> list[Any]:
    torch.manual_seed(0)
    shapes = [(64, 32), (64, 32), (48, 32)]
    return [torch.nn.Linear(i, o, dtype=torch.bfloat16) for o, i in shapes]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_product_is_the_same_and_one_dnn_stays_on(rows: int, dtype: torch.dtype) -> None:
    linear = torch.nn.Linear(256, 64, dtype=dtype)
    x = torch.randn(1, rows, 256, dtype=dtype)
    expected = linear(x)
    torch.testing.assert_close(without_onednn(linear)(x), expected)
    assert torch.backends.mkldnn.enabled


def test_one_dnn_stays_on_after_an_error() -> None:
    with pytest.raises(RuntimeError):
        without_onednn(torch.nn.Linear(8, 8))(torch.randn(1, 1, 7))
    assert torch.backends.mkldnn.enabled


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, MANY - 1, MANY, 3 * MANY])
def test_float32_products_are_the_same(
    rows: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matmul, "PART", 10_000)  # a part is 39 of the 64 rows
    linear = torch.nn.Linear(256, 64, bias=bias, dtype=torch.bfloat16)
    x = torch.randn(1, rows, 256, dtype=torch.bfloat16)
    torch.testing.assert_close(in_float32(linear)(x), linear(x))


def test_float32_is_timed_here() -> None:
    assert not float32_is_faster(changed(0.05, 0))
    assert not float32_is_faster(changed(0, 0.1))


def changed(delay: float, error: float) -> matmul.Multiply:
    """A product that takes `delay` seconds longer, and has an error of `error`."""

    def candidate(linear: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(x: torch.Tensor) -> torch.Tensor:
            time.sleep(max(delay, 0))
            product: torch.Tensor = torch.nn.functional.linear(x, linear.weight, linear.bias)
            return product * (1 + error)

        return forward

    return candidate


def slow(modules: list[Any]) -> list[Any]:
    """The same modules with a forward that is slower by more than the noise of a timing."""
    for module in modules:
        module.forward = changed(0.002, 0)(module)
    return modules


def test_faster_and_equal_products_are_used() -> None:
    modules = slow(linears())
    assert list(faster_linears(modules, changed(0, 0))) == modules


def test_slower_or_different_products_are_not_used() -> None:
    assert list(faster_linears(linears(), changed(0.002, 0))) == []
    assert list(faster_linears(slow(linears()), changed(0, 0.1))) == []


def test_float32_and_modules_of_other_kinds_are_left_alone() -> None:
    class Quantized(torch.nn.Linear):
        pass

    others = [torch.nn.Linear(8, 8), Quantized(8, 8, dtype=torch.bfloat16), torch.nn.ReLU()]
    assert list(faster_linears(slow(others), changed(0, 0))) == []
