"""The ways to store matrices in 4 or 8 bits: each computes the same, and the fastest is taken."""

import math
import time
from typing import Any

import pytest
import torch
from transformers import BitsAndBytesConfig
from transformers.utils import is_torchao_available

from polaris_cli import memory
from polaris_cli.engines import Message, quantizers
from polaris_cli.engines.local import load
from polaris_cli.engines.quantizers import Bits, Multiply, copies, fastest, layer, seconds
from polaris_cli.events import Piece
from polaris_cli.request import Sampling

WHOLE = ["lm_head"]
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
def test_the_fastest_is_taken(times: dict[str, float], chosen: str) -> None:
    assert fastest(list(times), times.__getitem__) == chosen


def test_what_cannot_be_tried_is_not_taken() -> None:
    assert fastest(["usual", "other"], {"other": 1.0}.__getitem__) == "other"
    assert fastest(["usual", "other"], {"usual": 1.0}.__getitem__) == "usual"
    assert fastest(["usual", "other"], {}.__getitem__) == "usual"


def scaled(by: float, delay: float = 0.0) -> Multiply:
    def multiply(x: torch.Tensor) -> torch.Tensor:
        time.sleep(delay)
        return x * by

    return multiply


def test_the_time_is_that_of_all_the_layers() -> None:
    x = torch.ones(1, 1, 8)
    assert 0.02 <= seconds([scaled(2, delay=0.01)] * 2, x, x * 2, tolerance=0.1) < 1


def test_a_wrong_product_is_never_fast_enough() -> None:
    x = torch.ones(1, 1, 8)
    for wrong in (2.5, -2.0, math.nan):
        assert seconds([scaled(wrong)], x, x * 2, tolerance=0.1) == math.inf


@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_without_torchao_nothing_is_tried(precision: Bits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizers, "is_torchao_available", lambda: False)
    monkeypatch.setattr(quantizers, "fastest", None)
    settings = quantizers.settings(precision, WHOLE, SHAPE, "cpu")
    assert isinstance(settings, BitsAndBytesConfig)
    assert settings.llm_int8_skip_modules == WHOLE
    assert (settings.load_in_4bit, settings.load_in_8bit) == (
        precision == "4bit",
        precision == "8bit",
    )


def all_right(way: Any, precision: Bits) -> bool:
    """Whether the layer stored so, and its copies, give the product."""
    torch.manual_seed(0)
    weight, x = (torch.randn(shape, dtype=torch.bfloat16) for shape in (SHAPE, (1, 1, SHAPE[1])))
    expected = torch.nn.functional.linear(x, weight)
    layers = copies(layer(way, weight, "cpu"), 3)
    assert len(layers) == 3
    tolerance = quantizers.TOLERANCE[precision]
    return all(seconds([one], x, expected, tolerance) < math.inf for one in layers)


@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_bitsandbytes_gives_the_product(precision: Bits) -> None:
    assert all_right(quantizers.bitsandbytes(precision, WHOLE), precision)


# With torchao.

ON_A_PROCESSOR = {"4bit": "PrototypeInt4WeightOnlyConfig", "8bit": "Int8WeightOnlyConfig"}


def way_of(precision: Bits) -> Any:
    ways = quantizers.torchao(precision, WHOLE)
    return next(w for w in ways if type(w.quant_type).__name__ == ON_A_PROCESSOR[precision])


@with_torchao
@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_torchao_gives_the_product(precision: Bits) -> None:
    assert len(quantizers.torchao(precision, WHOLE)) == 2
    assert all_right(way_of(precision), precision)


@with_torchao
def test_four_bits_take_a_tenth_more_than_nf4_at_most() -> None:
    weight: Any = layer(way_of("4bit"), torch.ones(SHAPE, dtype=torch.bfloat16), "cpu").weight
    parts = (weight.qdata, weight.scale_and_zero)
    stored = sum(part.numel() * part.element_size() for part in parts)
    assert stored / weight.numel() <= 1.1 * memory.BYTES_PER_LINEAR["4bit"]


@with_torchao
@pytest.mark.parametrize("precision", ["4bit", "8bit"])
def test_a_way_that_runs_here_is_chosen(precision: Bits) -> None:
    settings = quantizers.settings(precision, WHOLE, SHAPE, "cpu")
    if not isinstance(settings, BitsAndBytesConfig):
        assert type(settings.quant_type).__name__ == ON_A_PROCESSOR[precision]
        assert settings.modules_to_not_convert == WHOLE


@with_torchao
@pytest.mark.parametrize(
    ("precision", "weights"), [("4bit", "Int4OpaqueTensor"), ("8bit", "Int8Tensor")]
)
def test_a_model_loads_and_writes(
    precision: Bits, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = type(way_of(precision).quant_type)
    monkeypatch.setattr(
        quantizers,
        "fastest",
        lambda ways, _: next(w for w in ways if type(getattr(w, "quant_type", w)) is wanted),
    )
    engine = load("demo", context_tokens=1000, quantize=precision)
    assert engine.info.quantization == precision
    assert weights in {type(weight).__name__ for weight in engine._model.parameters()}
    messages = (Message("user", "Write a 100-word story about a lighthouse keeper."),)
    pieces = list(engine.stream(messages, Sampling(temperature=0, repetition_penalty=1.0), 60))
    text = "".join(piece.text for piece in pieces if isinstance(piece, Piece))
    assert "lighthouse" in text
