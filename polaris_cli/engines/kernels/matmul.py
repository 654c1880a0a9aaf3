"""Faster matrix products in bf16 on a CPU, where a timing on this machine shows that they are.

One row (a decode step): torch uses oneDNN for bf16, which is made for many rows. On some CPUs it
reads the weights at half the speed of torch's own kernel, on others it is the faster one. Many rows
(a prefill): a CPU without bf16 instructions multiplies several times faster in float32. So each
alternative is timed against the stock product, and its result is compared. Knows linear layers
only; `patching` puts the faster ones into a model.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F

SAMPLE_BYTES = 256_000_000  # bytes of weights read in one timing: more than any CPU cache holds
ROUNDS = 3
MANY = 16  # rows from which float32 may pay: the cost of converting the weights is the same for all
PART = 2_000_000  # weights converted to float32 at a time, to save memory
GAIN = 0.95  # a product is faster if it takes less than this share of the time; the rest is noise
CLOSE = 2**-6  # allowed difference as a share of the largest value: rounding in bf16

Multiply = Callable[[Any], Callable[[torch.Tensor], torch.Tensor]]


def without_onednn(linear: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """A forward for a linear layer that computes a single row with torch's own kernel."""
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


def in_float32(linear: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """A forward for a linear layer that multiplies many rows in float32, in parts of the weight.

    Fewer than `MANY` rows go to the layer's present forward: converting would take too long.
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


def float32_is_faster(candidate: Multiply = in_float32) -> bool:
    """Whether `candidate` multiplies many rows by a bf16 matrix faster on this machine."""
    linear = torch.nn.Linear(1024, 1024, bias=False, dtype=torch.bfloat16)
    return _pays([linear], candidate, rows=MANY)


def bf16_linears(modules: Iterable[Any]) -> list[Any]:
    """The linear layers with weights in bf16."""
    return [
        module
        for module in modules
        if type(module) is torch.nn.Linear and module.weight.dtype == torch.bfloat16
    ]


def faster_linears(modules: Iterable[Any], candidate: Multiply = without_onednn) -> Iterator[Any]:
    """The bf16 linear layers for which `candidate` gives the same result in less time here."""
    for group in _by_shape(modules):
        sample = group[: max(1, SAMPLE_BYTES // _size(group[0]))]
        if _pays(sample, candidate):
            yield from group


def _by_shape(modules: Iterable[Any]) -> list[list[Any]]:
    groups: dict[tuple[int, ...], list[Any]] = defaultdict(list)
    for module in bf16_linears(modules):
        groups[tuple(module.weight.shape)].append(module)
    return list(groups.values())


def _size(module: Any) -> int:
    return int(module.weight.numel()) * 2


@torch.inference_mode()
def _pays(sample: list[Any], candidate: Multiply, rows: int = 1) -> bool:
    """Whether the candidate's products are the same, and faster with the weights not in cache."""
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
