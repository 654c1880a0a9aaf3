"""Chooses which layers of a model to quantize to 4 or 8 bits, and replaces them.

Works on a model's linear layers; how a matrix is quantized is in `quantizers`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from polaris_cli.engines.quantize import quantizers
from polaris_cli.engines.quantize.packed_linear import GROUP
from polaris_cli.engines.quantize.quantizers import Bits, Packed, quantized_linear

PACKS = "support_avx512bf16_for_cpu"  # an attribute of bitsandbytes' layers
SMALL = 64  # matrices with fewer rows are not quantized


def choose_method(model: Any, precision: Bits, device: str, *, room: bool) -> Any:
    """The fastest quantization method for this model on the device; see `fastest_method`.

    The model may be on torch's meta device. Without `room` for more memory than nf4 takes, or
    without a linear layer to time, it is bitsandbytes.
    """
    skip = modules_to_skip(model)
    shape = dominant_shape(model, skip)
    if shape and room:
        return quantizers.fastest_method(precision, skip, shape, device)
    return quantizers.bitsandbytes(precision, skip)


def quantize_layers(
    model: Any,
    method: Any,
    on_progress: Callable[[float], None] | None = None,
    *,
    device: str = "",
) -> None:
    """Quantize a loaded model's linear layers with this method, one by one, in place.

    They then are on `device`, without one where they were. `Packed` also quantizes the lm_head, to
    8 bits, if its weight is not tied to the embeddings: each token reads all of it, and 4 bits
    would change the likely tokens. `on_progress` is called with the share done, 0 to 1.
    """
    skip = modules_to_skip(model)
    head = _own_head(model) if isinstance(method, Packed) else None
    names = [name for name, _ in _linears(model) if name == head or name not in skip]
    names.sort(key=lambda name: name != head)  # the largest first, while there is most room
    for done, name in enumerate(names, 1):
        linear = model.get_submodule(name)
        weight = linear.weight.detach()
        its_method = replace(method, precision="8bit") if name == head else method
        quantized = quantized_linear(its_method, weight, device or str(weight.device))
        quantized.bias = linear.bias
        model.set_submodule(name, quantized)
        if on_progress:
            on_progress(done / len(names))


def disable_packing_of_odd_shapes(model: Any) -> None:
    """Keep bitsandbytes from packing matrices that its CPU kernel cannot multiply.

    On a CPU with AVX512-BF16 it packs each 4-bit matrix at its first product, and fails if the rows
    are not a multiple of 32 or the columns not a multiple of 64.
    """
    for module in model.modules():
        if getattr(module, PACKS, False) and (module.out_features % 32 or module.in_features % 64):
            setattr(module, PACKS, False)


def _own_head(model: Any) -> str | None:
    """The name of the lm_head, or None if its weight is tied to the embeddings."""
    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        return None
    return next(name for name, module in _linears(model) if module is head)


def modules_to_skip(model: Any) -> list[str]:
    """The linear layers that stay in bf16: the lm_head, and those that are small or oddly shaped.

    Small ones, such as the gates of Qwen3.5's linear attention, would save little memory and cost
    much quality. The 4-bit CPU kernels need multiples of 32 rows and 64 columns. The list replaces
    the default list of transformers, so it has to include the lm_head.
    """
    head = model.get_output_embeddings()
    return [
        name
        for name, module in _linears(model)
        if module is head
        or module.out_features % 32
        or module.in_features % GROUP
        or module.out_features < SMALL
    ]


def dominant_shape(model: Any, skip: Sequence[str]) -> tuple[int, int] | None:
    """The shape (outputs, inputs) that accounts for most of the weights to quantize.

    None for a model without linear layers, such as GPT-2: only bitsandbytes quantizes its layers.
    """
    numbers: Counter[tuple[int, int]] = Counter()
    for name, module in _linears(model):
        if name not in skip:
            numbers[module.out_features, module.in_features] += module.weight.numel()
    return max(numbers, key=numbers.__getitem__, default=None)


def _linears(model: Any) -> Iterator[tuple[str, torch.nn.Linear]]:
    modules = model.named_modules()
    return ((name, module) for name, module in modules if isinstance(module, torch.nn.Linear))
