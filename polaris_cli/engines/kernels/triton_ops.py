"""CUDA only: Triton kernels for a decode step of Qwen3.5, each in place of several small kernels.

Every function has its meaning in plain torch in its docstring; the tests compare the two in
Triton's interpreter, on the CPU. Sums are in float32, and results have the dtype of the inputs, so
that they differ from plain torch by rounding: at most 8 units in the last place of the largest
number. Knows tensors; does not know models or caches.
"""

import os
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch

# Unset, Triton 3.9 prints a warning, and later releases multiply and add in two steps.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
import triton
import triton.language as tl

P = ParamSpec("P")
R = TypeVar("R")

BLOCK = 1024  # channels of a program in elementwise kernels
CHANNELS = 128  # of a program in the convolution: one for each thread


def on_its_device(
    launch: Callable[Concatenate[torch.Tensor, P], R],
) -> Callable[Concatenate[torch.Tensor, P], R]:
    """Launch kernels on the device of the first tensor, not on the thread's current one."""

    @wraps(launch)
    def run(x: torch.Tensor, /, *args: P.args, **named: P.kwargs) -> R:
        with torch.cuda.device_of(x):
            return launch(x, *args, **named)

    return run


@on_its_device
def add_norm(
    x: torch.Tensor, more: torch.Tensor | None, weight: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """`total = x + more` and `rms_norm(total) * weight`, over the last dimension.

    Returns both, in the dtype and shape of `x`; without `more`, the total is `x` itself. `weight`
    is float32, of shape (channels,).
    """
    x = x.contiguous()
    normed, channels = torch.empty_like(x), x.shape[-1]
    total = x if more is None else torch.empty_like(x)
    _add_norm[(x.numel() // channels,)](
        x,
        x if more is None else more.contiguous(),
        weight,
        total,
        normed,
        eps,
        channels,
        more is not None,
        triton.next_power_of_2(channels),
        num_warps=8,
    )
    return total, normed


@triton.jit
def _add_norm(
    x,
    more,
    weight,
    total,
    normed,
    eps,
    channels: tl.constexpr,
    adds: tl.constexpr,
    size: tl.constexpr,
):
    place = tl.arange(0, size)
    inside = place < channels
    at = tl.program_id(0).to(tl.int64) * channels + place
    value = tl.load(x + at, inside, 0.0).to(tl.float32)
    if adds:
        value += tl.load(more + at, inside, 0.0).to(tl.float32)
        value = value.to(total.dtype.element_ty).to(tl.float32)  # rounded, as it is kept
        tl.store(total + at, value, inside)
    scale = tl.rsqrt(tl.sum(value * value) / channels + eps)
    tl.store(normed + at, value * scale * tl.load(weight + place, inside, 0.0), inside)


@on_its_device
def silu_mul(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """`silu(gate) * up`, for tensors of one shape, whose rows may be apart."""
    channels = gate.shape[-1]
    gates, ups = gate.reshape(-1, channels), up.reshape(-1, channels)
    product = torch.empty(gate.shape, dtype=gate.dtype, device=gate.device)
    _silu_mul[(len(gates), triton.cdiv(channels, BLOCK))](
        gates, ups, product, gates.stride(0), ups.stride(0), channels, BLOCK
    )
    return product


@triton.jit
def _silu_mul(
    gate, up, product, gate_stride, up_stride, channels: tl.constexpr, size: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * size + tl.arange(0, size)
    inside = at < channels
    x = tl.load(gate + row * gate_stride + at, inside, 0.0).to(tl.float32)
    activated = (x * tl.sigmoid(x)).to(gate.dtype.element_ty).to(tl.float32)
    y = tl.load(up + row * up_stride + at, inside, 0.0).to(tl.float32)
    tl.store(product + row * channels + at, activated * y, inside)


@on_its_device
def convolve(new: torch.Tensor, kept: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """`silu((window * taps).sum(-1))` with `window = cat((kept[:, :, 1:], new), -1)`.

    The window replaces `kept`, (rows, channels, taps). `new` has a value for each row and channel,
    `taps` is (channels, taps) in float32. Returns float32, (rows, channels).
    """
    rows, channels, width = kept.shape
    new = new.contiguous()
    mixed = torch.empty((rows, channels), dtype=torch.float32, device=kept.device)
    _convolve[(rows, triton.cdiv(channels, CHANNELS))](
        new, kept, taps, mixed, channels, width, CHANNELS
    )
    return mixed


@triton.jit
def _convolve(
    new, kept, taps, mixed, channels: tl.constexpr, width: tl.constexpr, size: tl.constexpr
):
    channel = tl.program_id(1) * size + tl.arange(0, size)
    row = tl.program_id(0).to(tl.int64) * channels + channel
    inside = channel < channels
    total = tl.zeros((size,), tl.float32)
    # Each of 4 x 32 threads has a channel of its own, so that none overwrites what another reads.
    for tap in tl.static_range(width):
        source = new + row if tap == width - 1 else kept + row * width + tap + 1
        x = tl.load(source, inside, 0.0)
        tl.store(kept + row * width + tap, x, inside)
        total += x.to(tl.float32) * tl.load(taps + channel * width + tap, inside, 0.0)
    tl.store(mixed + row, total * tl.sigmoid(total), inside)


@on_its_device
def delta_rule(
    mixed: torch.Tensor,
    strength: torch.Tensor,
    step: torch.Tensor,
    gate: torch.Tensor,
    state: torch.Tensor,
    *,
    rate: torch.Tensor,
    bias: torch.Tensor,
    weight: torch.Tensor,
    key_heads: int,
    eps: float,
) -> torch.Tensor:
    """One token of the gated delta rule, with the gated norm that follows.

    `state` S is (rows, heads, key size, value size) in float32, and updated in place. `mixed` is
    (rows, channels) in float32: queries, keys and values of all heads, the first two of `key_heads`
    heads. For each head, with q and k of length 1, q also divided by the root of its size:

        a = exp(rate * softplus(step + bias)),  d = sigmoid(strength) (v - a k S)
        S = a S + k d,  result = rms_norm(q S) * weight * silu(gate)

    `rate` and `bias` are (heads,), `weight` is (value size,), all in float32. Returns the dtype of
    `gate`, (rows, heads * value size). Source: Yang et al. 2024, arXiv 2412.06464, equation 10.
    """
    rows, heads, keys, values = state.shape
    result = torch.empty((rows, heads * values), dtype=gate.dtype, device=gate.device)
    # A program holds a whole state of 64 KB: with 8 warps 64 numbers a thread.
    _delta_rule[(rows, heads)](
        mixed,
        strength.contiguous(),
        step.contiguous(),
        gate.contiguous(),
        state,
        rate,
        bias,
        weight,
        result,
        keys**-0.5,
        eps,
        heads,
        key_heads,
        keys,
        values,
        triton.next_power_of_2(keys),
        triton.next_power_of_2(values),
        num_warps=8,
    )
    return result


@triton.jit
def _delta_rule(
    mixed,
    strength,
    step,
    gate,
    state,
    rate,
    bias,
    weight,
    result,
    query_scale,
    eps,
    heads: tl.constexpr,
    key_heads: tl.constexpr,
    keys: tl.constexpr,
    values: tl.constexpr,
    key_size: tl.constexpr,
    value_size: tl.constexpr,
):
    head = tl.program_id(1)
    row_head = tl.program_id(0).to(tl.int64) * heads + head
    key_at, value_at = tl.arange(0, key_size), tl.arange(0, value_size)
    is_key, is_value = key_at < keys, value_at < values
    row = mixed + tl.program_id(0).to(tl.int64) * (2 * key_heads * keys + heads * values)
    shared = row + head // (heads // key_heads) * keys + key_at
    q = tl.load(shared, is_key, 0.0)
    k = tl.load(shared + key_heads * keys, is_key, 0.0)
    v = tl.load(row + 2 * key_heads * keys + head * values + value_at, is_value, 0.0)
    q = q * tl.rsqrt(tl.sum(q * q) + 1e-6) * query_scale
    k = k * tl.rsqrt(tl.sum(k * k) + 1e-6)

    x = tl.load(step + row_head).to(tl.float32) + tl.load(bias + head)
    soft = tl.where(x > 20.0, x, tl.log(1.0 + tl.exp(tl.minimum(x, 20.0))))
    a = tl.exp(tl.load(rate + head) * soft)
    b = tl.sigmoid(tl.load(strength + row_head).to(tl.float32))

    at = row_head * keys * values + key_at[:, None] * values + value_at[None, :]
    known = is_key[:, None] & is_value[None, :]
    s = tl.load(state + at, known, 0.0) * a
    d = (v - tl.sum(k[:, None] * s, 0)) * b
    s += k[:, None] * d[None, :]
    tl.store(state + at, s, known)
    y = tl.sum(q[:, None] * s, 0)

    z = tl.load(gate + row_head * values + value_at, is_value, 0.0).to(tl.float32)
    y = y * tl.rsqrt(tl.sum(y * y) / values + eps) * tl.load(weight + value_at, is_value, 0.0)
    tl.store(result + row_head * values + value_at, y * z * tl.sigmoid(z), is_value)
