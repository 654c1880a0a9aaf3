"""The methods to quantize a matrix: each gives the product, and the fastest is chosen."""

import math
import time
from typing import Any

import pytest
import torch
from transformers import BitsAndBytesConfig
from transformers.utils import is_torchao_available

from polaris_cli.engines.quantize import quantizers
from polaris_cli.engines.quantize.quantizers import (
    Bits,
    Multiply,
    Packed,
    copies,
    fastest,
    kernel_of,
    quantized_linear,
    seconds,
)
from tests.engines.kernels.test_patching import refuses

SKIP = ["lm_head"]
SHAPE = (96, 256)
with_torchao = pytest.mark.skipif(not is_torchao_available(), reason="needs torchao")


@pytest.mark.parametrize(
    ("times", "chosen"),
    [
        ({"usual": 1.0, "other": 0.5, "third": 0.4}, "third"),
        ({"usual": 1.0, "other": 0.5, "third": 0.7}, "other"),
        ({"usual": 1.0, "other": 0.95, "third": math.inf}, "usual"),
        ({"usual": math.inf, "other": math.inf}, "usual"),
    ],
)
def test_the_fastest_is_chosen(times: dict[str, float], chosen: str) -> None:
    assert fastest(list(times), times.__getitem__) == chosen


def test_a_way_that_fails_is_not_chosen() -> None:
    assert fastest(["usual", "other"], {"other": 1.0}.__getitem__) == "other"
    assert fastest(["usual", "other"], {"usual": 1.0}.__getitem__) == "usual"
    assert fastest(["usual", "other"], {}.__getitem__) == "usual"


def scaled(by: float, delay: float = 0.0) -> Multiply:
    def multiply(x: torch.Tensor) -> torch.Tensor:
        time.sleep(delay)
        return x * by

    return multiply


def test_the_time_is_the_sum_over_the_layers() -> None:
    x = torch.ones(1, 1, 8)
    assert 0.02 <= seconds([scaled(2, delay=0.01)] * 2, x, x * 2, tolerance=0.1) < 1


def test_a_wrong_product_is_never_fast_enough() -> None:
    x = torch.ones(1, 1, 8)
    for wrong in (2.5, -2.0, math.nan):
        assert seconds([scaled(wrong)], x, x * 2, tolerance=0.1) == math.inf


@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_without_an_alternative_nothing_is_timed(
    precision: Bits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizers, "is_torchao_available", lambda: False)
    monkeypatch.setattr(quantizers, "has_triton", lambda: False)
    monkeypatch.setattr(quantizers, "fastest", lambda *_: None)
    settings = quantizers.fastest_method(precision, SKIP, SHAPE, "cuda:0")
    assert isinstance(settings, BitsAndBytesConfig)
    assert settings.llm_int8_skip_modules == SKIP
    assert (settings.load_in_4bit, settings.load_in_8bit) == (
        precision == "4bit",
        precision == "8bit",
    )


@pytest.mark.parametrize("broken", ["alternatives", "_timer", "fastest"])
def test_a_failed_timing_leaves_bitsandbytes(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizers, broken, refuses)
    method = quantizers.fastest_method("4bit", SKIP, SHAPE, "cpu")
    assert kernel_of(method) == "bitsandbytes nf4"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_the_cpu_has_packed_layers(precision: Bits) -> None:
    assert quantizers.alternatives("cpu", precision, SKIP) == [Packed(precision)]
    assert all_right(Packed(precision), precision)
    method = quantizers.fastest_method(precision, SKIP, SHAPE, "cpu")
    assert isinstance(method, BitsAndBytesConfig | Packed)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_cuda_has_layers_with_tritons_kernels(
    precision: Bits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizers, "has_triton", lambda: True)  # also without a C compiler
    method, *_ = quantizers.alternatives("cuda:0", precision, SKIP)
    assert method == Packed(precision, "triton")
    assert kernel_of(method) == f"triton int{precision[0]}"
    assert all_right(method, precision)


def all_right(method: Any, precision: Bits) -> bool:
    """Whether a layer quantized with this method, and its copies, give the product."""
    torch.manual_seed(0)
    weight, x = (torch.randn(shape, dtype=torch.bfloat16) for shape in (SHAPE, (1, 1, SHAPE[1])))
    expected = torch.nn.functional.linear(x, weight)
    layers = copies(quantized_linear(method, weight, "cpu"), 3)
    assert len(layers) == 3
    tolerance = quantizers.TOLERANCE[precision]
    return all(seconds([one], x, expected, tolerance) < math.inf for one in layers)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_bitsandbytes_gives_the_product(precision: Bits) -> None:
    assert all_right(quantizers.bitsandbytes(precision, SKIP), precision)


# With torchao.


@with_torchao
def test_torchao_gives_the_product() -> None:
    int8, *_ = quantizers.torchao("8bit", SKIP)
    assert all_right(int8, "8bit")


@with_torchao
@pytest.mark.parametrize(
    ("precision", "kernels"),
    [("4bit", ["torchao int4"]), ("8bit", ["torchao int8", "torchao float8"])],
)
def test_the_kernels_of_torchao_have_names(precision: Bits, kernels: list[str]) -> None:
    assert [kernel_of(method) for method in quantizers.torchao(precision, SKIP)] == kernels


@pytest.mark.parametrize(
    ("method", "kernel"),
    [
        (None, ""),
        (Packed("8bit"), "torch int8"),
        (quantizers.bitsandbytes("4bit", SKIP), "bitsandbytes nf4"),
        (quantizers.bitsandbytes("8bit", SKIP), "bitsandbytes int8"),
    ],
)
def test_kernels_have_names(method: Any, kernel: str) -> None:
    assert kernel_of(method) == kernel


@with_torchao
@pytest.mark.parametrize(("precision", "methods"), [("4bit", 1), ("8bit", 2)])
def test_torchao_has_all_its_ways(precision: Bits, methods: int) -> None:
    found = quantizers.torchao(precision, SKIP)
    assert len(found) == methods
    assert all(method.modules_to_not_convert == SKIP for method in found)
