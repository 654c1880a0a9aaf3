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

from polaris_cli.engines.kernels import triton_attention as attention
from polaris_cli.engines.kernels import triton_matvec as matvec
from polaris_cli.engines.kernels import triton_ops as ops
from polaris_cli.engines.kernels import triton_sampling as sampling

BF16, FP32 = "*bf16", "*fp32"
ALIGNED = ("i32",)
TOOL = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"

# For each kernel its arguments in order (types of pointers and numbers, or constants), and
# the options of its launch.
ADD_NORM = [BF16, BF16, FP32, BF16, BF16, "fp32", 4096, True, 4096]
SILU_MUL = [BF16, BF16, BF16, "i32", "i32", 12_288, ops.BLOCK]
CONVOLVE = [BF16, BF16, FP32, FP32, 8192, 4, ops.CHANNELS]
DELTA_RULE = [FP32, BF16, BF16, BF16, FP32, FP32, FP32, FP32, BF16, "fp32", "fp32"]
DELTA_SHAPE = [32, 16, 128, 128, 128, 128]
ROTATE = [BF16, BF16, BF16, FP32, FP32, BF16, BF16, BF16, BF16, BF16, "*i64", "i32", "i32", "i32"]
ROTATE_SHAPE = ["fp32", 16, 256, 64, 256]
ATTEND = [BF16, BF16, BF16, "*i64", FP32, FP32, "fp32", "i32"]
ATTEND_SHAPE = [16, 4, 256, 256, attention.CHUNK, attention.KEYS, attention.ROWS]
JOIN = [FP32, FP32, "*i64", BF16, BF16, "i32", 16, 256, 256, attention.CHUNK, attention.PARTS]
FOUR_BITS = [BF16, "*u8", BF16, BF16, BF16, "i32"]
FOUR_SHAPE = [64, matvec.ROWS, matvec.COLUMNS // 64, 32, matvec.MIDDLE]
EIGHT_BITS = [BF16, "*i8", BF16, BF16, "i32", 4096, matvec.ROWS, matvec.BYTES]
UNPACKED = ["*u8", BF16, BF16, BF16, "i32", 32, matvec.MIDDLE, matvec.GROUPS]
SHORTLIST = [FP32, FP32, FP32, "*i64", "*i64", FP32, "fp32", "i32", "i32", "i32", "i32"]
SHORTLIST_SHAPE = [True, True, True, sampling.SIZE]
DRAW = [FP32, "*i64", FP32, FP32, "*i64", FP32, "fp32", "fp32", "i32", "i32", "i32"]
DRAW_SHAPES = [[64, 64, 1], [64, 2048, 32], [64, 8192, 128]]
NOTE = ["*i64", FP32, FP32, "*i64", "i32", "fp32", "fp32", "i32", True, True, True, sampling.WIDE]
WIDE = {"num_warps": 8}
KERNELS: list[tuple[Any, list[Any], dict[str, int]]] = [
    (ops._add_norm, ADD_NORM, WIDE),
    (ops._silu_mul, SILU_MUL, {}),
    (ops._convolve, CONVOLVE, {}),
    (ops._delta_rule, [*DELTA_RULE, *DELTA_SHAPE], WIDE),
    (attention._rotate_heads, [*ROTATE, *ROTATE_SHAPE], {}),
    (attention._attend_part, [*ATTEND, *ATTEND_SHAPE], {**WIDE, "num_stages": 2}),
    (attention._join_parts, JOIN, {}),
    (matvec._four_bits, [*FOUR_BITS, *FOUR_SHAPE], {}),
    (matvec._eight_bits, EIGHT_BITS, {}),
    (matvec._unpacked, UNPACKED, {}),
    (sampling._shortlist, [*SHORTLIST, *SHORTLIST_SHAPE], WIDE),
    *((sampling._draw, [*DRAW, *shape], WIDE) for shape in DRAW_SHAPES),
    (sampling._note_token, NOTE, {}),
]


def resources(
    kernel: Any, arguments: list[Any], options: dict[str, int], capability: int
) -> dict[str, int]:
    """Bytes of stack and of shared memory of a compiled kernel."""
    named = dict(zip(kernel.arg_names, arguments, strict=True))
    constants = {name: value for name, value in named.items() if not isinstance(value, str)}
    types = {name: "constexpr" if name in constants else kind for name, kind in named.items()}
    # Sizes and addresses are multiples of 16, and Triton compiles other code for such ones.
    aligned = [place for place, kind in enumerate(types.values()) if kind in ALIGNED or "*" in kind]
    attributes = {(place,): [["tt.divisibility", 16]] for place in aligned}
    source = ASTSource(kernel, types, constants, attributes)
    target = GPUTarget("cuda", capability, 32)
    built = triton.compile(source, target=target, options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(built.asm["cubin"])
        command = [str(TOOL), "--dump-resource-usage", file.name]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    [stack] = re.findall(r"STACK:(\d+)", listed)
    return {"stack": int(stack), "shared": built.metadata.shared}


if __name__ == "__main__":
    for kernel, arguments, options in KERNELS:
        found = resources(kernel, arguments, options, int(sys.argv[1]))
        print(json.dumps({"kernel": kernel.__name__, **found}))
