"""The methods to quantize a matrix to 4 or 8 bits, and which of them is fastest on this machine.

Knows bitsandbytes, torchao, `packed_linear` and a single matrix on its device; `apply` chooses
which matrices of a model are quantized. No kernel is the fastest on all devices, and their speeds
differ many times over, so each is timed on one matrix before a model is loaded.
"""

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import BitsAndBytesConfig, TorchAoConfig
from transformers.utils import is_torchao_available

from polaris_cli.engines.kernels.patching import has_triton
from polaris_cli.engines.kernels.timing import fastest_run, recorded
from polaris_cli.engines.quantize.packed_linear import DTYPE, GROUP, EightBits, FourBits

Bits = Literal["4bit", "8bit"]
Multiply = Callable[[torch.Tensor], torch.Tensor]

COLD = 128_000_000  # bytes of weights read in one timing: more than most caches hold
COPIES = 16  # of one matrix, at most: the time of a smaller matrix does not matter
RUNS = {"cuda": 10}  # timed together
GAIN = 0.9  # of the best time: a method that takes less is faster; a smaller gain is noise

# The largest relative error (norm of the error / norm of the product). Random weights quantized to
# 4 bits give 0.09 with every method, to float8 0.04, to int8 0.01; a wrong kernel gives 1 or more.
TOLERANCE = {"4bit": 0.15, "8bit": 0.06}


@dataclass(frozen=True, slots=True)
class Packed:
    """Layers of our own, which replace those of a model after it is loaded on the CPU.

    Those of `packed_linear` have torch's kernels for the CPU, of `triton_linear` for CUDA.
    """

    precision: Bits
    library: Literal["torch", "triton"] = "torch"


def fastest_method(precision: Bits, skip: list[str], shape: tuple[int, int], device: str) -> Any:
    """The fastest quantization method on the device: a quantization config for transformers, or
    `Packed`.

    The modules named in `skip` are not quantized. `shape` (outputs, inputs) is that of the matrix
    to time. If there is no alternative to bitsandbytes, or the timing fails, the method is
    bitsandbytes.
    """
    usual = bitsandbytes(precision, skip)
    with suppress(Exception):  # an unsupported device or release may raise any exception
        if others := alternatives(device, precision, skip):
            return fastest([usual, *others], _timer(precision, usual, shape, device))
    return usual


def _timer(
    precision: Bits, usual: Any, shape: tuple[int, int], device: str
) -> Callable[[Any], float]:
    """A function that times a method on a matrix of this shape on the device, in seconds."""
    numbers = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=numbers, dtype=DTYPE)
    x = torch.randn(1, 1, shape[1], generator=numbers, dtype=DTYPE).to(device)
    expected = torch.nn.functional.linear(x, weight.to(device))
    # LLM.int8 looks for outliers at each product and synchronizes with the GPU, so it cannot be
    # captured in a CUDA graph.
    llm_int8 = usual if precision == "8bit" else None
    count = COLD * 8 // (weight.numel() * int(precision[0]))

    def timed(method: Any) -> float:
        layers = copies(quantized_linear(method, weight, device), count)
        return seconds(layers, x, expected, TOLERANCE[precision], graph=method is not llm_int8)

    return timed


def kernel_of(method: Any) -> str:
    """The library and number format of a method's kernel, such as "torchao int8"; "" for None."""
    match method:
        case Packed():
            return f"{method.library} int{method.precision[0]}"
        case BitsAndBytesConfig():
            return "bitsandbytes int8" if method.load_in_8bit else "bitsandbytes nf4"
        case TorchAoConfig():
            kind = type(method.quant_type).__name__.lower()
            return "torchao " + next(n for n in ("float8", "int8", "int4") if n in kind)
    return ""


def alternatives(device: str, precision: Bits, skip: list[str]) -> list[Any]:
    """Besides bitsandbytes: torch's kernels on a CPU, Triton's and torchao's on a GPU."""
    if device == "cpu":
        return [Packed(precision)]
    own = [Packed(precision, "triton")] if has_triton() else []
    return own + (torchao(precision, skip) if is_torchao_available() else [])


def bitsandbytes(precision: Bits, skip: list[str] | None = None) -> BitsAndBytesConfig:
    """nf4 with double quantization, or LLM.int8. If `skip` is None, transformers chooses it."""
    if precision == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skip)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPE,
        llm_int8_skip_modules=skip,
    )


def torchao(precision: Bits, skip: list[str]) -> list[TorchAoConfig]:
    """torchao's methods that the installed release has."""
    makers = (_tiled,) if precision == "4bit" else (_int8, _float8)
    found = []
    for make in makers:
        with suppress(ImportError, AttributeError, TypeError):
            found.append(TorchAoConfig(make(), modules_to_not_convert=skip))
    return found


def _tiled() -> Any:
    """int4 for NVIDIA GPUs, in the only layout that torch itself has a kernel for."""
    from torchao.quantization import Int4WeightOnlyConfig

    return Int4WeightOnlyConfig(group_size=GROUP, int4_packing_format="tile_packed_to_4d")


def _int8() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return Int8WeightOnlyConfig()


def _float8() -> Any:
    """float8 for weights and activations; with float8 weights only, each product would first
    convert them to bf16.

    Unlike int8, float8 keeps small values accurate in a row that has outliers.
    """
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, PerRow

    return Float8DynamicActivationFloat8WeightConfig(granularity=PerRow())


def quantized_linear(method: Any, weight: torch.Tensor, device: str) -> Any:
    """A linear layer on the device with `weight` (bf16, on the CPU), quantized by `method`."""
    if isinstance(method, Packed):
        return _packed(method)(weight.to(device))
    rows, columns = weight.shape
    if isinstance(method, TorchAoConfig):
        from torchao.quantization import quantize_

        linear = torch.nn.Linear(columns, rows, bias=False, device="meta")
        linear.weight = torch.nn.Parameter(weight.to(device), requires_grad=False)
        quantize_(linear, method.quant_type)
        return linear
    return _bitsandbytes_layer(method, weight).to(device).eval()  # moving it quantizes it


def _packed(method: Packed) -> Callable[[torch.Tensor], Any]:
    """The class of layers for this method; it takes the weight on the layer's device."""
    if method.library == "torch":
        return FourBits if method.precision == "4bit" else EightBits
    from polaris_cli.engines.quantize import triton_linear

    return triton_linear.FourBits if method.precision == "4bit" else triton_linear.EightBits


def _bitsandbytes_layer(method: BitsAndBytesConfig, weight: torch.Tensor) -> Any:
    from bitsandbytes import nn

    rows, columns = weight.shape
    if method.load_in_8bit:
        linear = nn.Linear8bitLt(
            columns,
            rows,
            bias=False,
            has_fp16_weights=False,
            threshold=method.llm_int8_threshold,
            device="meta",
        )
        linear.weight = nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
        return linear
    linear = nn.Linear4bit(columns, rows, bias=False, compute_dtype=DTYPE, device="meta")
    linear.weight = nn.Params4bit(
        weight,
        requires_grad=False,
        quant_type=method.bnb_4bit_quant_type,
        compress_statistics=method.bnb_4bit_use_double_quant,
    )
    return linear


def copies(linear: Any, count: int) -> list[Multiply]:
    """The layer and copies of it, so that no product finds its weights in the CPU or GPU cache."""
    return [linear, *(copy.deepcopy(linear) for _ in range(min(count, COPIES) - 1))]


def fastest(methods: Sequence[Any], seconds: Callable[[Any], float]) -> Any:
    """The method with the shortest time; the first one unless another is clearly faster."""
    chosen, least = methods[0], math.inf
    for method in methods:
        with suppress(Exception):  # an unsupported device or release may raise any exception
            took = seconds(method)
            if took < GAIN * least:
                chosen, least = method, took
    return chosen


@torch.inference_mode()
def seconds(
    layers: Sequence[Multiply],
    x: torch.Tensor,
    expected: torch.Tensor,
    tolerance: float,
    *,
    graph: bool = True,
) -> float:
    """Seconds that the layers take for one row each; infinite if the product is wrong.

    With `graph`, layers on a GPU are replayed as a CUDA graph, as the decode steps of a story are.
    """
    error = (layers[0](x) - expected).norm() / expected.norm()
    if not error <= tolerance:
        return math.inf

    def run() -> torch.Tensor:
        return [multiply(x) for multiply in layers][-1]

    if not graph:
        run()
        return fastest_run(run, x.device)
    return fastest_run(recorded(run, x.device), x.device, RUNS.get(x.device.type, 1))
