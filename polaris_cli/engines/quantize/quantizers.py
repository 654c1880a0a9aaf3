"""The ways to store a model's matrices in 4 or 8 bits, and which of them is fastest here.

Knows bitsandbytes, torchao, `packed_linear` and a single matrix on its device; which matrices of a
model are stored so is `apply`'s matter. The kernels' speeds differ manyfold between devices and
none is the fastest on all, so each is tried on one matrix before a model is loaded.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import BitsAndBytesConfig, TorchAoConfig
from transformers.utils import is_torchao_available

from polaris_cli.engines.kernels.cuda_graph import Step, capture
from polaris_cli.engines.quantize.packed_linear import DTYPE, GROUP, EightBits, FourBits

Bits = Literal["4bit", "8bit"]
Multiply = Callable[[torch.Tensor], torch.Tensor]

COLD = 128_000_000  # bytes of weights read for one timing: more than most caches hold
COPIES = 16  # of one matrix, at most: small ones take no time worth measuring
ROUNDS = 3
GAIN = 0.9  # of the least time so far: what is taken for faster, and not for noise

# The largest error of a product, as a share of its length. Random weights rounded to 4 bits give
# 0.09 in every way, to float8 0.04, to int8 0.01; a kernel that computes something else, 1 or more.
TOLERANCE = {"4bit": 0.15, "8bit": 0.06}


@dataclass(frozen=True, slots=True)
class Packed:
    """The layers of `packed`: they are put in place when the model has been loaded."""

    precision: Bits


def fastest_way(precision: Bits, whole: list[str], shape: tuple[int, int], device: str) -> Any:
    """The fastest way to store matrices on the device: settings for transformers, or `Packed`.

    The modules named in `whole` stay as they are. `shape`, outputs by inputs, is that of the matrix
    to try. Where there is nothing to compare, nothing is tried; where that fails, the usual way is
    taken.
    """
    usual = bitsandbytes(precision, whole)
    with suppress(Exception):  # what a device cannot do, or a release lacks, is raised as anything
        if others := others_on(device, precision, whole):
            return fastest([usual, *others], _trial(precision, usual, shape, device))
    return usual


def _trial(
    precision: Bits, usual: Any, shape: tuple[int, int], device: str
) -> Callable[[Any], float]:
    """What times a way to store a matrix of this shape on the device."""
    numbers = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=numbers, dtype=DTYPE)
    x = torch.randn(1, 1, shape[1], generator=numbers, dtype=DTYPE).to(device)
    expected = torch.nn.functional.linear(x, weight.to(device))
    # It asks the card for outliers at each product, and waits: that cannot be recorded.
    llm_int8 = usual if precision == "8bit" else None
    count = COLD * 8 // (weight.numel() * int(precision[0]))

    def trial(way: Any) -> float:
        made = copies(layer(way, weight, device), count)
        return seconds(made, x, expected, TOLERANCE[precision], record=way is not llm_int8)

    return trial


def kernel_of(way: Any) -> str:
    """Whose kernel multiplies matrices stored in this way, and in what numbers."""
    match way:
        case Packed():
            return f"torch int{way.precision[0]}"
        case BitsAndBytesConfig():
            return "bitsandbytes int8" if way.load_in_8bit else "bitsandbytes nf4"
        case TorchAoConfig():
            kind = type(way.quant_type).__name__.lower()
            return "torchao " + next(n for n in ("float8", "int8", "int4") if n in kind)
    return ""


def others_on(device: str, precision: Bits, whole: list[str]) -> list[Any]:
    """What there is beside bitsandbytes: torch's kernels on a processor, torchao's on a card."""
    if device == "cpu":
        return [Packed(precision)]
    return [*torchao(precision, whole)] if is_torchao_available() else []


def bitsandbytes(precision: Bits, whole: list[str] | None = None) -> BitsAndBytesConfig:
    """nf4 with double quantization, or LLM.int8; transformers chooses what stays whole if None."""
    if precision == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=whole)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPE,
        llm_int8_skip_modules=whole,
    )


def torchao(precision: Bits, whole: list[str]) -> list[TorchAoConfig]:
    """torchao's ways, as far as the installed release has them."""
    makers = (_tiled,) if precision == "4bit" else (_int8, _float8)
    found = []
    for make in makers:
        with suppress(ImportError, AttributeError, TypeError):
            found.append(TorchAoConfig(make(), modules_to_not_convert=whole))
    return found


def _tiled() -> Any:
    """int4 for NVIDIA cards: the only layout whose kernel torch itself has."""
    from torchao.quantization import Int4WeightOnlyConfig

    return Int4WeightOnlyConfig(group_size=GROUP, int4_packing_format="tile_packed_to_4d")


def _int8() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return Int8WeightOnlyConfig()


def _float8() -> Any:
    """float8, the row too: weights alone would be turned into bf16 at each product.

    Unlike int8, float8 keeps the small numbers of a row beside its outliers.
    """
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow

    return Float8DynamicActivationFloat8WeightConfig(granularity=PerRow())


def layer(way: Any, weight: torch.Tensor, device: str) -> Any:
    """A linear layer of this weight (in bf16, on the processor), stored in this way."""
    if isinstance(way, Packed):
        return FourBits(weight) if way.precision == "4bit" else EightBits(weight)
    rows, columns = weight.shape
    if isinstance(way, TorchAoConfig):
        from torchao.quantization import quantize_

        linear = torch.nn.Linear(columns, rows, bias=False, device="meta")
        linear.weight = torch.nn.Parameter(weight.to(device), requires_grad=False)
        quantize_(linear, way.quant_type)
        return linear
    return _bitsandbytes_layer(way, weight).to(device).eval()  # it quantizes on its way there


def _bitsandbytes_layer(way: BitsAndBytesConfig, weight: torch.Tensor) -> Any:
    from bitsandbytes import nn

    rows, columns = weight.shape
    if way.load_in_8bit:
        linear = nn.Linear8bitLt(
            columns,
            rows,
            bias=False,
            has_fp16_weights=False,
            threshold=way.llm_int8_threshold,
            device="meta",
        )
        linear.weight = nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
        return linear
    linear = nn.Linear4bit(columns, rows, bias=False, compute_dtype=DTYPE, device="meta")
    linear.weight = nn.Params4bit(
        weight,
        requires_grad=False,
        quant_type=way.bnb_4bit_quant_type,
        compress_statistics=way.bnb_4bit_use_double_quant,
    )
    return linear


def copies(linear: Any, count: int) -> list[Multiply]:
    """The layer and copies of it, so that a product finds none of its weights in a cache."""
    return [linear, *(copy.deepcopy(linear) for _ in range(min(count, COPIES) - 1))]


def fastest(ways: Sequence[Any], seconds: Callable[[Any], float]) -> Any:
    """The way with the least time, the first one where no other is clearly faster."""
    chosen, least = ways[0], math.inf
    for way in ways:
        # What a device cannot do, or a release lacks, is raised as anything.
        with suppress(Exception):
            took = seconds(way)
            if took < GAIN * least:
                chosen, least = way, took
    return chosen


@torch.inference_mode()
def seconds(
    layers: Sequence[Multiply],
    x: torch.Tensor,
    expected: torch.Tensor,
    tolerance: float,
    *,
    record: bool = True,
) -> float:
    """How long the layers take for one row each; infinite if their product is not as expected.

    On a card they are recorded and replayed, as a story's steps are, where `record` allows it.
    """
    error = (layers[0](x) - expected).norm() / expected.norm()
    if not error <= tolerance:
        return math.inf

    def run() -> torch.Tensor:
        return [multiply(x) for multiply in layers][-1]

    run()
    if record and x.device.type == "cuda":
        with suppress(RuntimeError):
            run = capture(run, x.device)
    return min(_timed(run, x.device) for _ in range(ROUNDS))


def _timed(run: Step, device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
