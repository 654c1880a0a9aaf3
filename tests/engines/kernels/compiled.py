"""Compiles all Triton kernels for a card that need not be there.

Run as `python -m tests.engines.kernels.compiled 90`. The number is the card's compute capability,
times ten. Prints a line of JSON for each kernel, at the shapes of the 9B model: bytes of stack
(spilled registers) and of shared memory.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from polaris_cli.engines.kernels import triton_matvec as matvec
from polaris_cli.engines.kernels import triton_ops as ops

BF16, FP32 = "*bf16", "*fp32"
TOOL = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"

# For each kernel its arguments in order (types of pointers and numbers, or constants), and warps.
ADD_NORM = [BF16, BF16, FP32, BF16, BF16, "fp32", 4096, True, 4096]
SILU_MUL = [BF16, BF16, BF16, "i32", "i32", 12_288, ops.BLOCK]
CONVOLVE = [BF16, BF16, FP32, FP32, 8192, 4, ops.BLOCK]
DELTA_RULE = [FP32, BF16, BF16, BF16, FP32, FP32, FP32, FP32, BF16, "fp32", "fp32"]
DELTA_SHAPE = [32, 16, 128, 128, 128, 128]
ROTATE = [BF16, BF16, FP32, FP32, BF16, BF16, BF16, "i32", "fp32", 16, 256, 64, 256]
ATTEND = [BF16, BF16, BF16, "*i64", FP32, FP32, "fp32", "i32"]
ATTEND_SHAPE = [16, 4, 256, 256, ops.CHUNK, ops.KEYS, ops.ROWS]
JOIN = [FP32, FP32, "*i64", BF16, BF16, "i32", 16, 256, 256, ops.CHUNK]
FOUR_BITS = [BF16, "*u8", BF16, BF16, BF16, "i32"]
FOUR_SHAPE = [64, matvec.ROWS, matvec.COLUMNS // 64, 32, matvec.MIDDLE]
EIGHT_BITS = [BF16, "*i8", BF16, BF16, "i32", 4096, matvec.ROWS, matvec.COLUMNS]
KERNELS: list[tuple[Any, list[Any], int]] = [
    (ops._add_norm, ADD_NORM, 8),
    (ops._silu_mul, SILU_MUL, 4),
    (ops._convolve, CONVOLVE, 4),
    (ops._delta_rule, [*DELTA_RULE, *DELTA_SHAPE], 8),
    (ops._rotate_heads, ROTATE, 4),
    (ops._attend_part, [*ATTEND, *ATTEND_SHAPE], 8),
    (ops._join_parts, JOIN, 4),
    (matvec._four_bits, [*FOUR_BITS, *FOUR_SHAPE], 4),
    (matvec._eight_bits, EIGHT_BITS, 4),
]


def resources(kernel: Any, arguments: list[Any], warps: int, capability: int) -> dict[str, int]:
    """Bytes of stack and of shared memory of a compiled kernel."""
    named = dict(zip(kernel.arg_names, arguments, strict=True))
    constants = {name: value for name, value in named.items() if not isinstance(value, str)}
    types = {name: "constexpr" if name in constants else kind for name, kind in named.items()}
    source = ASTSource(kernel, types, constants)
    target = GPUTarget("cuda", capability, 32)
    built = triton.compile(source, target=target, options={"num_warps": warps})
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(built.asm["cubin"])
        command = [str(TOOL), "--dump-resource-usage", file.name]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    [stack] = re.findall(r"STACK:(\d+)", listed)
    return {"stack": int(stack), "shared": built.metadata.shared}


if __name__ == "__main__":
    for kernel, arguments, warps in KERNELS:
        found = resources(kernel, arguments, warps, int(sys.argv[1]))
        print(json.dumps({"kernel": kernel.__name__, **found}))
