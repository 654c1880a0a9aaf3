"""The kernels of attention against plain torch: in Triton's interpreter, or on a card."""

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("triton")
from polaris_cli.engines.kernels import triton_attention as attention
from tests.card import DEVICE, IS_CARD
from tests.engines.kernels.tensors import DTYPES, near, random


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("channels", "turned"), [(256, 64), (48, 12)])
def test_rotate_heads(dtype: torch.dtype, channels: int, turned: int) -> None:
    query = random(4, 2 * channels, dtype=dtype)[:, :channels]
    key = random(2, channels, dtype=dtype)
    mine, other = random(2, channels)
    angles = random(turned // 2).repeat(2)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    x, y = (
        F.rms_norm(part.float(), (channels,), weight, 1e-6).to(dtype)
        for part, weight in ((query, mine), (key, other))
    )
    expected = torch.cat((x, y))
    first = expected[:, :turned].clone()
    half = torch.cat((-first[:, turned // 2 :], first[:, : turned // 2]), 1)
    expected[:, :turned] = first * cos + half * sin
    value, (keys, values) = random(2, channels, dtype=dtype), random(2, 2, 9, channels, dtype=dtype)
    before, length = (keys.clone(), values.clone()), torch.tensor([5], device=DEVICE)
    found = attention.rotate_heads(
        query, key, value, mine, other, cos, sin, keys, values, length, 1e-6
    )
    assert near(torch.cat((found, keys[:, 5])), expected)
    assert torch.equal(values[:, 5], value)
    others = [0, 1, 2, 3, 4, 6, 7, 8]
    assert torch.equal(keys[:, others], before[0][:, others])
    assert torch.equal(values[:, others], before[1][:, others])


# The interpreter has no products of matrices in bfloat16.
@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16 if IS_CARD else torch.float16])
@pytest.mark.parametrize("length", [1, 63, 256, 257, 600])
@pytest.mark.parametrize(("heads", "key_heads", "channels"), [(8, 2, 64), (3, 3, 40)])
def test_attend(dtype: torch.dtype, length: int, heads: int, key_heads: int, channels: int) -> None:
    query, gate = random(heads, channels, dtype=dtype), random(heads, channels, dtype=dtype)
    keys, values = random(2, key_heads, 1024, channels, dtype=dtype)
    keys[:, length:], values[:, length:] = torch.nan, torch.nan  # must not be read
    k, v = (
        part[:, :length].repeat_interleave(heads // key_heads, 0).float() for part in (keys, values)
    )
    weights = (0.1 * query.unsqueeze(1).float() @ k.transpose(1, 2)).softmax(-1)
    expected = (weights @ v).squeeze(1) * gate.float().sigmoid()
    found = attention.attend(query, keys, values, torch.tensor([length], device=DEVICE), gate, 0.1)
    assert near(found, expected.to(dtype))
