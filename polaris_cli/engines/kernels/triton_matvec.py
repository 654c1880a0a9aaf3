"""CUDA only: Triton kernels for products of a few rows with a matrix in 4 or 8 bits.

A decode step multiplies one row by each matrix, and its time is that of reading the matrix: so the
weights are read as they are stored, once, and become numbers in registers. Sums are in float32.
Knows tensors; `quantize` makes the matrices.
"""

import torch
import triton
import triton.language as tl

from polaris_cli.engines.kernels.triton_ops import on_its_device

GROUP = 64  # weights of a row with a common scale and zero point
MIDDLE = 8  # the integer, of 0 to 15, that stands for the zero point
ROWS = (
    8  # of the matrix in a program: 512 programs for 4,096 outputs, more than a card runs at once
)
COLUMNS = 1024  # of them at once, a multiple of GROUP


def pack(quantized: torch.Tensor) -> torch.Tensor:
    """Integers of 0 to 15, (rows, columns), as bytes, (rows, columns / 2).

    A byte holds two weights that are 32 columns apart in the same group, the first in its low half.
    """
    low, high = quantized.byte().view(len(quantized), -1, 2, GROUP // 2).unbind(2)
    return (low | high << 4).flatten(1)


def unpack(packed: torch.Tensor) -> torch.Tensor:
    """The integers of `pack`."""
    halves = packed.view(len(packed), -1, 1, GROUP // 2)
    return torch.cat((halves & 15, halves >> 4), 2).flatten(1)


@on_its_device
def four_bits(
    x: torch.Tensor, packed: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor
) -> torch.Tensor:
    """`x @ weight.T` for `weight = (unpack(packed) - MIDDLE) * scale + zero`.

    `x` is (few, columns), `scales` and `zeros` are (rows, columns / GROUP). Returns (few, rows) in
    the dtype of `x`.
    """
    few, columns = x.shape
    rows = len(packed)
    product = torch.empty((few, rows), dtype=x.dtype, device=x.device)
    _four_bits[(triton.cdiv(rows, ROWS), few)](
        x.contiguous(),
        packed,
        scales,
        zeros,
        product,
        rows,
        columns // GROUP,
        ROWS,
        COLUMNS // GROUP,
        GROUP // 2,
        MIDDLE,
    )
    return product


@triton.jit
def _four_bits(
    x,
    packed,
    scales,
    zeros,
    product,
    rows,
    groups: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    half: tl.constexpr,
    middle: tl.constexpr,
):
    row = tl.program_id(0) * height + tl.arange(0, height)
    x += tl.program_id(1).to(tl.int64) * groups * 2 * half
    byte, one = tl.arange(0, half), tl.arange(0, width)
    is_row, start = row < rows, row.to(tl.int64) * groups
    total = tl.zeros((height,), tl.float32)
    for first in range(0, groups, width):
        group = first + one
        is_group = group < groups
        at = group[:, None] * 2 * half + byte[None, :]
        low = tl.load(x + at, is_group[:, None], 0.0).to(tl.float32)
        high = tl.load(x + at + half, is_group[:, None], 0.0).to(tl.float32)
        both = start[:, None] + group[None, :]
        known = is_row[:, None] & is_group[None, :]
        pairs = tl.load(
            packed + both[:, :, None] * half + byte[None, None, :], known[:, :, None], 0
        )
        weighted = (pairs & 15).to(tl.float32) * low[None] + (pairs >> 4).to(tl.float32) * high[
            None
        ]
        scale = tl.load(scales + both, known, 0.0).to(tl.float32)
        zero = tl.load(zeros + both, known, 0.0).to(tl.float32)
        sums = tl.sum(low + high, 1)
        total += tl.sum(scale * tl.sum(weighted, 2) + (zero - middle * scale) * sums[None, :], 1)
    tl.store(product + tl.program_id(1).to(tl.int64) * rows + row, total, is_row)


@on_its_device
def eight_bits(x: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """`x @ (weight * scale).T` for int8 weights, (rows, columns), and a scale for each row.

    `x` is (few, columns). Returns (few, rows) in the dtype of `x`.
    """
    few, columns = x.shape
    rows = len(weight)
    product = torch.empty((few, rows), dtype=x.dtype, device=x.device)
    _eight_bits[(triton.cdiv(rows, ROWS), few)](
        x.contiguous(), weight, scales, product, rows, columns, ROWS, COLUMNS
    )
    return product


@triton.jit
def _eight_bits(
    x,
    weight,
    scales,
    product,
    rows,
    columns: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
):
    row = tl.program_id(0) * height + tl.arange(0, height)
    x += tl.program_id(1).to(tl.int64) * columns
    is_row, start = row < rows, row.to(tl.int64) * columns
    total = tl.zeros((height,), tl.float32)
    for first in range(0, columns, width):
        column = first + tl.arange(0, width)
        inside = column < columns
        known = is_row[:, None] & inside[None, :]
        number = tl.load(weight + start[:, None] + column[None, :], known, 0).to(tl.float32)
        factor = tl.load(x + column, inside, 0.0).to(tl.float32)
        total += tl.sum(number * factor[None, :], 1)
    scale = tl.load(scales + row, is_row, 0.0).to(tl.float32)
    tl.store(product + tl.program_id(1).to(tl.int64) * rows + row, total * scale, is_row)
