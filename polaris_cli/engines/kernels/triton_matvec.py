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
ROWS = 8  # of the matrix in a program: 512 programs for 4,096 outputs keep a card busy
COLUMNS = 1024  # of them at once, a multiple of GROUP
BYTES = 512  # of a row of 8 bits at once: with 1,024, a program takes twice the registers
GROUPS = 64  # of a program that unpacks a matrix


def pack(quantized: torch.Tensor) -> torch.Tensor:
    """Integers of 0 to 15, (rows, columns), as bytes, (rows, columns / 2).

    A byte holds two weights that are 32 columns apart in the same group, the first in its low half.
    """
    low, high = quantized.byte().view(len(quantized), -1, 2, GROUP // 2).unbind(2)
    return (low | high << 4).flatten(1)


@on_its_device
def unpacked(
    packed: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """The matrix, (rows, columns): the integers of `pack` less MIDDLE, times scale, plus zero.

    `scales` and `zeros` are (rows, columns / GROUP).
    """
    rows, groups = scales.shape
    weight = torch.empty((rows, groups * GROUP), dtype=dtype, device=packed.device)
    count = rows * groups
    _unpacked[(triton.cdiv(count, GROUPS),)](
        packed, scales, zeros, weight, count, GROUP // 2, MIDDLE, GROUPS
    )
    return weight


@triton.jit
def _unpacked(
    packed,
    scales,
    zeros,
    weight,
    count,
    half: tl.constexpr,
    middle: tl.constexpr,
    size: tl.constexpr,
):
    group = tl.program_id(0).to(tl.int64) * size + tl.arange(0, size)
    is_group, byte = group < count, tl.arange(0, half)[None, :]
    known = is_group[:, None]
    pairs = tl.load(packed + group[:, None] * half + byte, known, 0).to(tl.int32)
    scale = tl.load(scales + group, is_group, 0.0).to(tl.float32)[:, None]
    zero = tl.load(zeros + group, is_group, 0.0).to(tl.float32)[:, None]
    at = weight + group[:, None] * (2 * half) + byte
    tl.store(at, ((pairs & 15) - middle).to(tl.float32) * scale + zero, known)
    tl.store(at + half, ((pairs >> 4) - middle).to(tl.float32) * scale + zero, known)


@on_its_device
def four_bits(
    x: torch.Tensor, packed: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor
) -> torch.Tensor:
    """`x @ unpacked(packed, scales, zeros).T`, for `x` of (few, columns).

    Returns (few, rows) in the dtype of `x`.
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
    total = tl.zeros((height, width), tl.float32)  # summed up at the end, which takes barriers
    for first in tl.range(0, groups, width, num_stages=4):
        group = first + one
        is_group = group < groups
        both = start[:, None] + group[None, :]
        known = is_row[:, None] & is_group[None, :]
        scale = tl.load(scales + both, known, 0.0).to(tl.float32)
        zero = tl.load(zeros + both, known, 0.0).to(tl.float32)
        at = group[:, None] * 2 * half + byte[None, :]
        low = tl.load(x + at, is_group[:, None], 0.0).to(tl.float32)
        high = tl.load(x + at + half, is_group[:, None], 0.0).to(tl.float32)
        pairs = tl.load(
            packed + both[:, :, None] * half + byte[None, None, :], known[:, :, None], 0
        )
        pairs = pairs.to(tl.int32)
        # The bits of 2**23 + n, as cards convert integers slowly.
        a = ((pairs & 15) | 0x4B000000).to(tl.float32, bitcast=True) - 8388608.0
        b = ((pairs >> 4) | 0x4B000000).to(tl.float32, bitcast=True) - 8388608.0
        weighted = tl.sum(a * low[None] + b * high[None], 2)
        total += scale * weighted + (zero - middle * scale) * tl.sum(low + high, 1)[None, :]
    product += tl.program_id(1).to(tl.int64) * rows
    tl.store(product + row, tl.sum(total, 1), is_row)


@on_its_device
def eight_bits(x: torch.Tensor, weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """`x @ (weight * scale).T` for int8 weights, (rows, columns), and a scale for each row.

    `x` is (few, columns). Returns (few, rows) in the dtype of `x`.
    """
    few, columns = x.shape
    rows = len(weight)
    product = torch.empty((few, rows), dtype=x.dtype, device=x.device)
    _eight_bits[(triton.cdiv(rows, ROWS), few)](
        x.contiguous(), weight, scales, product, rows, columns, ROWS, BYTES
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
    total = tl.zeros((height, width), tl.float32)
    for first in tl.range(0, columns, width, num_stages=4):
        column = first + tl.arange(0, width)
        inside = column < columns
        known = is_row[:, None] & inside[None, :]
        number = tl.load(weight + start[:, None] + column[None, :], known, 0).to(tl.int32)
        # The bits of 2**23 + 128 + n, as above.
        number = ((number & 255) ^ 0x4B000080).to(tl.float32, bitcast=True) - 8388736.0
        factor = tl.load(x + column, inside, 0.0).to(tl.float32)
        total += number * factor[None, :]
    scale = tl.load(scales + row, is_row, 0.0).to(tl.float32)
    product += tl.program_id(1).to(tl.int64) * rows
    tl.store(product + row, tl.sum(total, 1) * scale, is_row)
