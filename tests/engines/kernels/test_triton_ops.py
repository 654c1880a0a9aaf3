"""The Triton kernels against plain torch: in Triton's interpreter, or on a card (`tests.card`)."""

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("triton")
from polaris_cli.engines.kernels import triton_ops as ops
from tests.engines.kernels.tensors import DTYPES, near, random


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [4096, 100])
def test_add_norm(dtype: torch.dtype, channels: int) -> None:
    x, more = random(2, 1, channels, dtype=dtype), random(2, 1, channels, dtype=dtype)
    weight = random(channels)
    total, normed = ops.add_norm(x, more, weight, 1e-6)
    assert near(total, x + more)
    assert near(normed, F.rms_norm((x + more).float(), (channels,), weight, 1e-6).to(dtype))


def test_a_norm_alone_reads_rows_that_are_apart() -> None:
    x, weight = random(3, 2, 64)[:, 0], random(64)
    total, normed = ops.add_norm(x, None, weight, 1e-6)
    assert torch.equal(total, x)
    assert near(normed, F.rms_norm(x, (64,), weight, 1e-6))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [12_288, 100])
def test_silu_mul(dtype: torch.dtype, channels: int) -> None:
    gate, up = random(1, 3, 2 * channels, dtype=dtype).chunk(2, -1)
    assert near(ops.silu_mul(gate, up), F.silu(gate) * up)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("channels", "width"), [(2100, 4), (64, 3)])
def test_convolve(dtype: torch.dtype, channels: int, width: int) -> None:
    kept, new = random(2, channels, width, dtype=dtype), random(2, channels, dtype=dtype)
    taps = random(channels, width)
    window = torch.cat((kept[:, :, 1:], new.unsqueeze(-1)), -1)
    mixed = ops.convolve(new, kept, taps)
    assert torch.equal(kept, window)
    assert near(mixed, F.silu((window.float() * taps).sum(-1)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("heads", "key_heads", "keys", "values"), [(4, 2, 128, 128), (3, 3, 24, 40)]
)
def test_delta_rule(dtype: torch.dtype, heads: int, key_heads: int, keys: int, values: int) -> None:
    rows, channels = 2, 2 * key_heads * keys + heads * values
    mixed, state = random(rows, channels), random(rows, heads, keys, values)
    strength, step = random(rows, heads, dtype=dtype), 10 * random(rows, heads, dtype=dtype)
    gate = random(rows, heads * values, dtype=dtype)
    rate, bias, weight = -random(heads).exp(), random(heads), random(values)

    q, k, v = torch.split(mixed, [key_heads * keys, key_heads * keys, heads * values], 1)
    q, k = (F.normalize(x.view(rows, key_heads, keys), dim=-1) for x in (q, k))
    q, k = (x.repeat_interleave(heads // key_heads, 1) for x in (q * keys**-0.5, k))
    s = state * (rate * F.softplus(step.float() + bias)).exp()[..., None, None]
    d = v.view(rows, heads, values) - torch.einsum("rhk,rhkv->rhv", k, s)
    d = d * strength.float().sigmoid().unsqueeze(-1)
    s = s + torch.einsum("rhk,rhv->rhkv", k, d)
    y = F.rms_norm(torch.einsum("rhk,rhkv->rhv", q, s), (values,), weight, 1e-6)
    expected = (y * F.silu(gate.float().view(rows, heads, values))).to(dtype).view(rows, -1)

    found = ops.delta_rule(
        mixed,
        strength,
        step,
        gate,
        state,
        rate=rate,
        bias=bias,
        weight=weight,
        key_heads=key_heads,
        eps=1e-6,
    )
    assert near(state, s)
    assert near(found, expected)
