"""CUDA only: Triton kernels for the full attention of a decode step of Qwen3.5.

As in `triton_ops`, docstrings have the meaning in plain torch, sums are in float32, and results
differ from plain torch by rounding. Knows tensors; does not know models or caches.
"""

import torch
import triton
import triton.language as tl

from polaris_cli.engines.kernels.triton_ops import on_its_device

CHUNK = 256  # keys of the cache that a program reads, so that many programs share a long cache
KEYS = 32  # of them at once: with more, a program has too few registers for 256 channels
PARTS = 16  # whose sums are read at once
ROWS = 16  # the least that a matrix product of Triton takes; a key head has fewer query heads


@on_its_device
def rotate_heads(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_weight: torch.Tensor,
    key_weight: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    length: torch.Tensor,
    eps: float,
) -> torch.Tensor:
    """RMS norm and rotary embedding of one token's query and key heads; stores key and value.

    `query` is (heads, channels), its rows possibly apart; `key` and `value` are (key heads,
    channels). The weights are float32, (channels,); `cos` and `sin` are for the first channels of
    each head. The new key and the value become number `length`, a tensor with one number, of `keys`
    and `values`, (key heads, capacity, channels). Returns the new query, (heads, channels).
    """
    heads, channels = query.shape
    turned_query = torch.empty((heads, channels), dtype=query.dtype, device=query.device)
    _rotate_heads[(heads + len(key),)](
        query,
        key.contiguous(),
        value.contiguous(),
        query_weight,
        key_weight,
        cos.contiguous(),
        sin.contiguous(),
        turned_query,
        keys,
        values,
        length,
        query.stride(0),
        keys.stride(0),
        keys.shape[1],
        eps,
        heads,
        channels,
        cos.numel(),
        triton.next_power_of_2(channels),
    )
    return turned_query


@triton.jit(do_not_specialize=["capacity"])
def _rotate_heads(
    query,
    key,
    value,
    query_weight,
    key_weight,
    cos,
    sin,
    turned_query,
    keys,
    values,
    length,
    query_stride,
    head_stride,
    capacity,
    eps,
    heads: tl.constexpr,
    channels: tl.constexpr,
    turned: tl.constexpr,
    size: tl.constexpr,
):
    head, place = tl.program_id(0), tl.arange(0, size)
    # The channel that this one is turned with: the other half of the turned channels.
    other = tl.where(place < turned // 2, place + turned // 2, place - turned // 2)
    inside, turns = place < channels, place < turned
    if head < heads:
        source, weight = query + head * query_stride, query_weight
    else:
        source, weight = key + (head - heads) * channels, key_weight
    x = tl.load(source + place, inside, 0.0).to(tl.float32)
    y = tl.load(source + other, turns, 0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(x * x) / channels + eps)
    kind = turned_query.dtype.element_ty
    x = (x * scale * tl.load(weight + place, inside, 0.0)).to(kind).to(tl.float32)
    y = (y * scale * tl.load(weight + other, turns, 0.0)).to(kind).to(tl.float32)
    c, s = tl.load(cos + place, turns, 1.0), tl.load(sin + place, turns, 0.0)
    y = tl.where(place < turned // 2, -y, y)
    if head < heads:
        tl.store(turned_query + head * channels + place, x * c + y * s, inside)
    else:
        token, own = tl.load(length).to(tl.int64), (head - heads).to(tl.int64)
        at = own * head_stride + token * channels + place
        inside = place < tl.where(token < capacity, channels, 0)
        tl.store(keys + at, x * c + y * s, inside)
        tl.store(values + at, tl.load(value + own * channels + place, inside, 0.0), inside)


@on_its_device
def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    length: torch.Tensor,
    gate: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """`softmax(scale * query @ keys.T) @ values * sigmoid(gate)` over the first `length` keys.

    `query` is (heads, channels); `keys` and `values` are (key heads, capacity, channels), with
    `heads // key heads` query heads to each; `gate` is (heads, channels), its rows possibly apart.
    `length` is a tensor with one number, so that a CUDA graph can be replayed with more keys.
    Returns (heads, channels). As flash-decoding: parts of the cache first, then their sum
    (Dao et al. 2023, https://crfm.stanford.edu/2023/10/12/flashdecoding.html).
    """
    heads, channels = query.shape
    key_heads, capacity, _ = keys.shape
    parts, size = triton.cdiv(capacity, CHUNK), triton.next_power_of_2(channels)
    sums = torch.empty((parts, heads, channels), dtype=torch.float32, device=query.device)
    weights = torch.empty((parts, heads, 2), dtype=torch.float32, device=query.device)
    result = torch.empty((heads, channels), dtype=query.dtype, device=query.device)
    _attend_part[(key_heads, parts)](
        query.contiguous(),
        keys,
        values,
        length,
        sums,
        weights,
        scale,
        keys.stride(0),
        heads,
        heads // key_heads,
        channels,
        size,
        CHUNK,
        KEYS,
        max(ROWS, triton.next_power_of_2(heads // key_heads)),
        num_warps=8,
        num_stages=2,  # more would take the shared memory of two programs
    )
    _join_parts[(heads,)](
        sums, weights, length, gate, result, gate.stride(0), heads, channels, size, CHUNK, PARTS
    )
    return result


@triton.jit
def _attend_part(
    query,
    keys,
    values,
    length,
    sums,
    weights,
    scale,
    head_stride,
    heads: tl.constexpr,
    group: tl.constexpr,
    channels: tl.constexpr,
    size: tl.constexpr,
    chunk: tl.constexpr,
    block: tl.constexpr,
    rows: tl.constexpr,
):
    key_head, part = tl.program_id(0), tl.program_id(1)
    end = tl.minimum(tl.load(length).to(tl.int32), (part + 1) * chunk)
    row, place = tl.arange(0, rows), tl.arange(0, size)
    is_head, inside = row < group, place < channels
    known = is_head[:, None] & inside[None, :]
    head = key_head * group + row
    q = tl.load(query + head[:, None] * channels + place[None, :], known, 0.0)
    top = tl.full((rows,), float("-inf"), tl.float32)
    total = tl.zeros((rows,), tl.float32)
    found = tl.zeros((rows, size), tl.float32)
    for start in range(part * chunk, end, block):
        token = start + tl.arange(0, block)
        seen = token < end
        at = key_head.to(tl.int64) * head_stride + token[:, None] * channels + place[None, :]
        some = seen[:, None] & inside[None, :]
        k = tl.load(keys + at, some, 0.0)
        v = tl.load(values + at, some, 0.0)
        score = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        score = tl.where(seen[None, :], score, float("-inf"))
        highest = tl.maximum(top, tl.max(score, 1))
        weight = tl.exp(score - highest[:, None])
        shrink = tl.exp(top - highest)
        total = total * shrink + tl.sum(weight, 1)
        found = found * shrink[:, None]
        found += tl.dot(weight.to(v.dtype), v, input_precision="ieee")
        top = highest
    if part * chunk < end:
        out = part * heads + head
        tl.store(sums + out[:, None] * channels + place[None, :], found, known)
        tl.store(weights + out * 2, top, is_head)
        tl.store(weights + out * 2 + 1, total, is_head)


@triton.jit
def _join_parts(
    sums,
    weights,
    length,
    gate,
    result,
    gate_stride,
    heads: tl.constexpr,
    channels: tl.constexpr,
    size: tl.constexpr,
    chunk: tl.constexpr,
    block: tl.constexpr,
):
    head, place = tl.program_id(0), tl.arange(0, size)
    inside = place < channels
    parts = tl.cdiv(tl.load(length).to(tl.int32), chunk)
    top, total, found = float("-inf"), 0.0, tl.zeros((size,), tl.float32)
    for first in range(0, parts, block):
        part = first + tl.arange(0, block)
        known, out = part < parts, part * heads + head
        tops = tl.load(weights + out * 2, known, float("-inf"))
        highest = tl.maximum(top, tl.max(tops))
        shrink, shares = tl.exp(top - highest), tl.exp(tops - highest)
        total = total * shrink + tl.sum(tl.load(weights + out * 2 + 1, known, 0.0) * shares)
        some = known[:, None] & inside[None, :]
        values = tl.load(sums + out[:, None] * channels + place[None, :], some, 0.0)
        found = found * shrink + tl.sum(values * shares[:, None], 0)
        top = highest
    kind = result.dtype.element_ty
    g = tl.load(gate + head * gate_stride + place, inside, 0.0).to(tl.float32)
    value = (found / total).to(kind).to(tl.float32) * tl.sigmoid(g)
    tl.store(result + head * channels + place, value, inside)
