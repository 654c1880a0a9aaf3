"""Linear layers in 4 or 8 bits for CUDA, with Triton's kernels.

The numbers are those of `packed_linear`. Knows single layers; `quantizers` measures whether they
are the fastest here, beside bitsandbytes and torchao.
"""

import torch
import torch.nn.functional as F

from polaris_cli.engines.kernels import triton_matvec as kernels
from polaris_cli.engines.quantize import packed_linear
from polaris_cli.engines.quantize.packed_linear import ROWS, frozen, quantize_groups, with_bias

# Each row reads the matrix again, in 4 bits a quarter of its bytes in bf16. Above 8 rows it costs
# less to make the matrix in bf16, which writes and reads those bytes once, and to use that.
FEW = 8


class FourBits(torch.nn.Module):
    """A linear layer with weights quantized to 0..15, and a scale and zero point for each group.

    The weight's columns must be a multiple of 64.
    """

    by_rows = True
    bias: torch.Tensor | None

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        packed, scales = [], []
        for rows in torch.split(weight, ROWS):
            quantized, its_scales = quantize_groups(rows)
            packed.append(kernels.pack(quantized))
            scales.append(its_scales)
        self.quantized = frozen(torch.cat(packed))
        self.scales, self.zeros = map(frozen, torch.cat(scales).movedim(2, 0).contiguous())
        self.register_parameter("bias", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product for any number of rows."""
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) > FEW:
            weight = kernels.unpacked(self.quantized, self.scales, self.zeros, x.dtype)
            return F.linear(x, weight, self.bias)
        product = kernels.four_bits(rows, self.quantized, self.scales, self.zeros)
        return with_bias(product, self.bias, x)


class EightBits(packed_linear.EightBits):
    """The layer of `packed_linear`, whose weights have the same form here."""

    by_rows = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The product for any number of rows."""
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) > FEW:
            weight = self.quantized.to(x.dtype).mul_(self.scales.unsqueeze(1))
            return F.linear(x, weight, self.bias)
        return with_bias(kernels.eight_bits(rows, self.quantized, self.scales), self.bias, x)
