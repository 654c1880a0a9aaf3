"""Products with a model's matrices on a processor, in other ways where those are faster here.

One row: oneDNN, which torch takes for bf16, is made for many rows; on some processors it reads the
weights of one row at half the speed of torch's own kernel, on others it is the faster one. Many
rows: a processor without instructions for bf16 multiplies in float32 several times faster. So each
way is timed on this machine beside the usual one, and compared.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F

SAMPLE_BYTES = 256_000_000  # weights read for one timing: beyond every cache
ROUNDS = 3
MANY = 16  # rows from which on widening may pay: what it costs does not grow with them
PART = 2_000_000  # numbers of a matrix in float32 at a time, to save memory
GAIN = 0.95  # of the time before: what is taken for faster, and not for noise
CLOSE = 2**-6  # the largest difference, as a share of the largest number: rounding in bf16

Multiply = Callable[[Any], Callable[[torch.Tensor], torch.Tensor]]


def plain(linear: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """A linear layer's forward with torch's own kernel for a single row."""
    before, mkldnn = linear.forward, torch.backends.mkldnn

    def forward(x: torch.Tensor) -> torch.Tensor:
        if x.numel() != x.shape[-1]:
            rows: torch.Tensor = before(x)
            return rows
        enabled = mkldnn.enabled
        mkldnn.enabled = False  # type: ignore[assignment]
        try:
            return F.linear(x, linear.weight, linear.bias)
        finally:
            mkldnn.enabled = enabled

    return forward


def widened(linear: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """A linear layer's forward that multiplies many rows in float32, the matrix part by part.

    A single row goes to the forward before: it would wait for the matrix to be turned.
    """
    before = linear.forward
    height = max(1, PART // linear.in_features)

    def forward(x: torch.Tensor) -> torch.Tensor:
        if x.numel() < MANY * x.shape[-1]:
            rows: torch.Tensor = before(x)
            return rows
        wide = x.float()
        parts = torch.split(linear.weight, height)
        product = torch.cat([F.linear(wide, part.float()) for part in parts], dim=-1)
        return (product if linear.bias is None else product + linear.bias).to(x.dtype)

    return forward


def widening_pays(candidate: Multiply = widened) -> bool:
    """Whether many rows times a matrix in bf16 come sooner in this way, here and now."""
    linear = torch.nn.Linear(1024, 1024, bias=False, dtype=torch.bfloat16)
    return _pays([linear], candidate, rows=MANY)


def in_bf16(modules: Iterable[Any]) -> list[Any]:
    """The linear layers whose weights are in bf16."""
    return [
        module
        for module in modules
        if type(module) is torch.nn.Linear and module.weight.dtype == torch.bfloat16
    ]


def quicker(modules: Iterable[Any], candidate: Multiply = plain) -> Iterator[Any]:
    """The linear layers in bf16 for which `candidate` gives the same in less time, here and now."""
    for group in _shapes(modules):
        sample = group[: max(1, SAMPLE_BYTES // _size(group[0]))]
        if _pays(sample, candidate):
            yield from group


def _shapes(modules: Iterable[Any]) -> list[list[Any]]:
    groups: dict[tuple[int, ...], list[Any]] = defaultdict(list)
    for module in in_bf16(modules):
        groups[tuple(module.weight.shape)].append(module)
    return list(groups.values())


def _size(module: Any) -> int:
    return int(module.weight.numel()) * 2


@torch.inference_mode()
def _pays(sample: list[Any], candidate: Multiply, rows: int = 1) -> bool:
    """Whether the candidate's products are the same, and come sooner from cold memory."""
    x = torch.randn(1, rows, sample[0].in_features, dtype=torch.bfloat16)
    ways = [[module.forward for module in sample], [candidate(module) for module in sample]]
    old, new = (way[0](x) for way in ways)
    if not torch.allclose(old, new, rtol=0, atol=CLOSE * float(old.abs().max())):
        return False
    times = [[_seconds(way, x) for way in ways] for _ in range(ROUNDS)]
    before, after = (min(column) for column in zip(*times, strict=True))
    return bool(after < GAIN * before)


def _seconds(way: list[Any], x: torch.Tensor) -> float:
    start = time.perf_counter()
    for multiply in way:
        multiply(x)
    return time.perf_counter() - start
