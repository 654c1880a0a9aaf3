"""Which matrices of a model are stored in 4 or 8 bits, and putting them there.

Knows a model's linear layers; the ways to store a matrix are in `quantizers`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from polaris_cli.engines.quantize import quantizers
from polaris_cli.engines.quantize.packed_linear import GROUP, EightBits
from polaris_cli.engines.quantize.quantizers import Bits, Packed, layer

PACKS = "support_avx512bf16_for_cpu"  # an attribute of bitsandbytes' layers
SMALL = 64  # rows below which a matrix is not quantized


def way_for(model: Any, precision: Bits, device: str, *, room: bool) -> Any:
    """The fastest way to store this model's matrices on the device; see `quantizers.fastest_way`.

    The model may be one of shapes alone. Without `room` for more than nf4 takes, it is nf4.
    """
    whole = kept_whole(model)
    shape = largest_part(model, whole)
    if shape and room:
        return quantizers.fastest_way(precision, whole, shape, device)
    return quantizers.bitsandbytes(precision, whole)


def store(
    model: Any,
    way: Any,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Store a loaded model's linear layers in this way, one after the other.

    `Packed` stores the output head in 8 bits wherever it is a matrix of its own: each token reads
    all of it, and 4 bits would change which tokens are likely. `on_progress` is told the share
    that is done.
    """
    whole = kept_whole(model)
    head = _own_head(model) if isinstance(way, Packed) else None
    names = [name for name, _ in _linears(model) if name == head or name not in whole]
    for done, name in enumerate(names, 1):
        linear = model.get_submodule(name)
        weight = linear.weight.detach()
        stored = EightBits(weight) if name == head else layer(way, weight, str(weight.device))
        stored.bias = linear.bias
        model.set_submodule(name, stored)
        if on_progress:
            on_progress(done / len(names))


def unpack_odd_shapes(model: Any) -> None:
    """Let bitsandbytes compute with matrices whose shape its kernel for processors does not take.

    It packs each 4-bit matrix at its first product, wherever the processor has the instructions,
    and fails on one with rows not a multiple of 32 or columns not one of 64.
    """
    for module in model.modules():
        if getattr(module, PACKS, False) and (module.out_features % 32 or module.in_features % 64):
            setattr(module, PACKS, False)


def _own_head(model: Any) -> str | None:
    """The name of the output head where it is not the table of the tokens' embeddings."""
    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        return None
    return next(name for name, module in _linears(model) if module is head)


def kept_whole(model: Any) -> list[str]:
    """The matrices that stay in bf16: the lm_head, and those that are small or oddly shaped.

    Small ones, as the gates of Qwen3.5's linear attention, would save next to nothing and decide
    a lot; the 4-bit kernels for processors take multiples of 32 rows and 64 columns only. The list
    replaces transformers' own, so the lm_head has to be in it.
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


def largest_part(model: Any, whole: Sequence[str]) -> tuple[int, int] | None:
    """The shape of the matrices that together are the largest part of what is quantized.

    None for a model without linear layers, as GPT-2: only bitsandbytes quantizes others.
    """
    numbers: Counter[tuple[int, int]] = Counter()
    for name, module in _linears(model):
        if name not in whole:
            numbers[module.out_features, module.in_features] += module.weight.numel()
    return max(numbers, key=numbers.__getitem__, default=None)


def _linears(model: Any) -> Iterator[tuple[str, torch.nn.Linear]]:
    modules = model.named_modules()
    return ((name, module) for name, module in modules if isinstance(module, torch.nn.Linear))
