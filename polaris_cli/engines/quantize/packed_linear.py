"""Linear layers in 4 or 8 bits for the CPU, with torch's own kernels.

Knows single layers; `quantizers` measures whether they are the fastest here. The kernels have no
public API yet, so a release of torch may lack them; `quantizers` tests them on one matrix before a
model is quantized with them.
"""

from typing import Any

import torch

DTYPE = torch.bfloat16
GROUP = 64  # weights of a row with a common scale and zero point; the error is then that of nf4
ROWS = 1024  # rows quantized at a time, to save memory
_MIDDLE = 8  # the integer, of 0 to 15, that stands for the zero point


class FourBits(torch.nn.Module):
    """A linear layer with weights quantized to 0..15, and a scale and zero point for each group.

    Takes inputs in bf16. The weight's rows must be a multiple of 16, its columns of `GROUP`.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        parts = [quantize_groups(rows) for rows in torch.split(weight, ROWS)]
        quantized, scales = (torch.cat(part) for part in zip(*parts, strict=True))
        self.quantized = frozen(torch.ops.aten._convert_weight_to_int4pack_for_cpu(quantized, 1))
        self.scales = frozen(scales.transpose(0, 1).contiguous())
        self.register_parameter("bias", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product for any number of rows."""
        rows = x.reshape(-1, x.shape[-1])
        kernel = torch.ops.aten._weight_int4pack_mm_for_cpu
        return with_bias(kernel(rows, self.quantized, GROUP, self.scales), self.bias, x)


class EightBits(torch.nn.Module):
    """A linear layer with weights quantized to -127..127, and a scale for each row."""

    bias: torch.Tensor | None

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        parts = [_quantize_rows(rows) for rows in torch.split(weight, ROWS)]
        self.quantized, self.scales = (frozen(torch.cat(part)) for part in zip(*parts, strict=True))
        self.register_parameter("bias", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product for any number of rows."""
        rows = x.reshape(-1, x.shape[-1])
        product = torch.ops.aten._weight_int8pack_mm(rows, self.quantized, self.scales)
        return with_bias(product, self.bias, x)


def frozen(numbers: torch.Tensor) -> torch.nn.Parameter:
    """A parameter without gradient, so that it counts as one of the model's weights."""
    return torch.nn.Parameter(numbers, requires_grad=False)


def quantize_groups(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The integers (rows, columns), and each group's scale and zero point (rows, groups, 2)."""
    groups = rows.float().view(len(rows), -1, GROUP)
    low, high = groups.aminmax(dim=-1, keepdim=True)
    scale = ((high - low) / 15).clamp(min=1e-30).to(DTYPE)
    zero = (low + _MIDDLE * scale.float()).to(DTYPE)
    quantized = (groups - zero).div_(scale).add_(_MIDDLE).round_().clamp_(0, 15)
    return quantized.flatten(1).int(), torch.cat((scale, zero), dim=-1)


def _quantize_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The integers of -127 to 127, (rows, columns), and each row's scale, (rows,)."""
    scale = (rows.abs().amax(1, keepdim=True).float() / 127).clamp(min=1e-30).to(DTYPE)
    return rows.float().div_(scale).round_().clamp_(-127, 127).char(), scale.squeeze(1)


def with_bias(product: torch.Tensor, bias: Any, x: torch.Tensor) -> torch.Tensor:
    """The product of all rows of `x`, in the shape of `x`, with the layer's bias if it has one."""
    if bias is not None:
        product = product + bias
    return product.view(*x.shape[:-1], -1)
