"""Random tensors for kernels, and whether their results are as near as rounding allows."""

import torch

from tests.card import DEVICE

DTYPES = (torch.float32, torch.bfloat16)
ULPS = 8  # of the largest number


def near(found: torch.Tensor, expected: torch.Tensor) -> bool:
    error = (found.float() - expected.float()).abs().max()
    return bool(
        found.dtype == expected.dtype
        and found.shape == expected.shape
        and error <= ULPS * torch.finfo(found.dtype).eps * expected.float().abs().max()
    )


def random(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape).to(DEVICE, dtype)
