"""Linear layers in 4 or 8 bits for processors, over kernels that torch itself has.

Knows single layers; whether they are the fastest here is `quantizers`' matter. The kernels have no
public name yet, so a release without them must be expected: they are called on one matrix before a
model is stored so.
"""

from typing import Any

import torch

DTYPE = torch.bfloat16
GROUP = 64  # numbers of a row that share a scale and a zero point: their error is then that of nf4
ROWS = 1024  # turned into 4 bits at a time, to save memory
_MIDDLE = 8  # of the steps 0 to 15; the zero point stands there


class FourBits(torch.nn.Module):
    """A linear layer, its weight in steps of 0 to 15 with a scale and a zero point for each group.

    Takes numbers in bf16. The rows of the weight must be a multiple of 16, its columns of `GROUP`.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        parts = [_steps(rows) for rows in torch.split(weight, ROWS)]
        steps, scales = (torch.cat(part) for part in zip(*parts, strict=True))
        self.steps = _fixed(torch.ops.aten._convert_weight_to_int4pack_for_cpu(steps, 1))
        self.scales = _fixed(scales.transpose(0, 1).contiguous())
        self.register_parameter("bias", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product for any number of rows."""
        rows = x.reshape(-1, x.shape[-1])
        kernel = torch.ops.aten._weight_int4pack_mm_for_cpu
        return _biased(kernel(rows, self.steps, GROUP, self.scales), self.bias, x)


class EightBits(torch.nn.Module):
    """A linear layer, its weight in steps of -127 to 127 with a scale for each row."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        scale = (weight.abs().amax(1, keepdim=True).float() / 127).clamp(min=1e-30).to(DTYPE)
        self.steps = _fixed(weight.float().div_(scale).round_().clamp_(-127, 127).char())
        self.scales = _fixed(scale.squeeze(1))
        self.register_parameter("bias", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product for any number of rows."""
        rows = x.reshape(-1, x.shape[-1])
        product = torch.ops.aten._weight_int8pack_mm(rows, self.steps, self.scales)
        return _biased(product, self.bias, x)


def _fixed(numbers: torch.Tensor) -> torch.nn.Parameter:
    """A parameter, so that it counts among the weights of its model."""
    return torch.nn.Parameter(numbers, requires_grad=False)


def _steps(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The steps (rows, columns), and scale and zero point of each group (rows, groups, 2)."""
    groups = rows.float().view(len(rows), -1, GROUP)
    low, high = groups.aminmax(dim=-1, keepdim=True)
    scale = ((high - low) / 15).clamp(min=1e-30).to(DTYPE)
    zero = (low + _MIDDLE * scale.float()).to(DTYPE)
    steps = (groups - zero).div_(scale).add_(_MIDDLE).round_().clamp_(0, 15)
    return steps.flatten(1).int(), torch.cat((scale, zero), dim=-1)


def _biased(product: torch.Tensor, bias: Any, x: torch.Tensor) -> torch.Tensor:
    if bias is not None:
        product = product + bias
    return product.view(*x.shape[:-1], -1)
