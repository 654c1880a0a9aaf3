"""Speed of a model: polaris, the usual transformers snippet, and the limit of memory bandwidth.

Measures a loaded model and returns figures; loads and prints nothing. All that is compared takes
turns in this process, so that other load on the machine affects all of it.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from transformers.generation import BaseStreamer

from polaris_cli.bench.prompts import prompt_of, request_for
from polaris_cli.engines.kernels.patching import patch_forwards
from polaris_cli.engines.kernels.timing import timed
from polaris_cli.engines.local.decode import decode
from polaris_cli.engines.local.static_forward import can_capture
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.errors import ModelUnavailable
from polaris_cli.events import AnswerEvent, Finish
from polaris_cli.models.memory import cache_of_config
from polaris_cli.request.story_request import Sampling

PROBE_BYTES = 1 << 29  # read by one bandwidth measurement: more than any cache holds
PROBES = 5
WARM_UP = 8  # tokens that each program writes before anything is timed
SHORTEST = 16  # tokens; the length of the prompt for position 0

Write = Callable[[list[int], int], "Times"]


@dataclass(frozen=True, slots=True)
class Times:
    """The times of one run in seconds: until the first token, and for each further one."""

    first: float
    steps: tuple[float, ...]

    @property
    def tokens_per_s(self) -> float:
        """Tokens per second after the first token."""
        return len(self.steps) / sum(self.steps)


@dataclass(frozen=True, slots=True)
class Speed:
    """Several runs: median, slowest and fastest tokens/s, and median seconds to first token."""

    tokens_per_s: float
    slowest: float
    fastest: float
    first_token_s: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """polaris and the others, writing after a prompt of `position` tokens.

    `ratio` is polaris / snippet, the median over the turns, with the lowest and the highest.
    `bytes_per_token` are those that a step halfway must read. `peer` is a third program, if there
    is one, and `peer_ratio` the median of polaris / peer.
    """

    position: int
    polaris: Speed
    snippet: Speed
    ratio: float
    lowest_ratio: float
    highest_ratio: float
    bytes_per_token: int
    peer: Speed | None = None
    peer_ratio: float | None = None

    def limit(self, bandwidth: float) -> float:
        """The tokens/s at which all `bandwidth`, in bytes/s, is used to read weights and cache."""
        return bandwidth / self.bytes_per_token


def compare(
    model: Any,
    tokenizer: Any,
    sampling: Sampling,
    *,
    positions: Sequence[int],
    tokens: int,
    repeats: int,
    compile: bool = True,
    peer: Write | None = None,
) -> Iterator[Comparison]:
    """Write `tokens` after prompts of each length in `positions`, `repeats` times in turns.

    The model must not be patched. `peer` writes with a third program. `compile` allows CUDA graphs.
    The DRY penalty is off, as the other programs have none.
    """
    sampling = replace(sampling, dry_multiplier=0.0)
    own = decoding(model, tokenizer, sampling, static=compile and has_graphs(model))
    ways = [patched(model)(own), snippet(model, sampling), *([peer] if peer else [])]
    for way in ways:
        way(prompt_of(model, SHORTEST), WARM_UP)
    for position in positions:
        prompt = prompt_of(model, max(position, SHORTEST))
        turns = [[way(prompt, tokens) for way in ways] for _ in range(repeats)]
        read = bytes_per_token(model, position + tokens // 2)
        yield _compared(position, read, *zip(*turns, strict=True))


def longest(positions: Sequence[int], tokens: int) -> int:
    """The length of the longest run in tokens, prompt included."""
    return max(*positions, SHORTEST) + max(tokens, WARM_UP) + 1


def _compared(
    position: int,
    read: int,
    polaris: Sequence[Times],
    snippet: Sequence[Times],
    peer: Sequence[Times] = (),
) -> Comparison:
    found = ratios(polaris, snippet)
    return Comparison(
        position,
        speed_of(polaris),
        speed_of(snippet),
        median(found),
        min(found),
        max(found),
        read,
        speed_of(peer) if peer else None,
        median(ratios(polaris, peer)) if peer else None,
    )


def ratios(runs: Sequence[Times], others: Sequence[Times]) -> list[float]:
    """The tokens/s of each run / those of the other program in the same turn."""
    turns = zip(runs, others, strict=True)
    return [run.tokens_per_s / other.tokens_per_s for run, other in turns]


def speed_of(runs: Sequence[Times]) -> Speed:
    """The figures of several runs of one program."""
    speeds = [run.tokens_per_s for run in runs]
    return Speed(median(speeds), min(speeds), max(speeds), median(run.first for run in runs))


def has_graphs(model: Any) -> bool:
    """Whether the model's steps can be recorded as a CUDA graph."""
    return bool(model.device.type == "cuda" and can_capture(model))


def decoding(model: Any, tokenizer: Any, sampling: Sampling, *, static: bool) -> Write:
    """The decoding loop of polaris."""
    vocabulary = Vocabulary(tokenizer)

    def write(prompt: list[int], tokens: int) -> Times:
        request = request_for(prompt, sampling, tokens + 1)
        return times_of(decode(model, vocabulary, request, static=static))

    return write


@contextmanager
def patched(model: Any) -> Iterator[bool]:
    """Patch the model as `polaris write` does, until the end of the block or decorated function.

    Yields whether Triton's kernels are among the patches.
    """
    undo = patch_forwards(model).undo if model.device.type != "mps" else lambda: None
    try:
        yield any("forward" in vars(layer) for layer in model.get_submodule("model").layers)
    finally:
        undo()


class _Clock(BaseStreamer):  # type: ignore[misc]
    """Records when `generate` passes on the prompt, and then each token."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        self.moments.append(time.perf_counter())

    def end(self) -> None:
        """Required by the base class."""


def snippet(model: Any, sampling: Sampling) -> Write:
    """`model.generate` as the model card shows it, with the same settings."""
    options = {
        "do_sample": sampling.temperature > 0,
        "temperature": sampling.temperature or None,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
    }

    def write(prompt: list[int], tokens: int) -> Times:
        ids = torch.tensor([prompt], device=model.device)
        clock = _Clock()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens + 1,
            eos_token_id=-1,  # no token ends the text early
            pad_token_id=0,
            streamer=clock,
            **options,
        )
        return times(clock.moments)

    return write


def times(moments: Sequence[float]) -> Times:
    """The times of a run from the moments of its start and of each token, in seconds."""
    first, *steps = (after - before for before, after in pairwise(moments))
    return Times(first, tuple(steps))


def times_of(answer: Iterable[AnswerEvent]) -> Times:
    """The times of an answer that starts now. Raises the error that ends it, if one does."""
    moments, counts = [time.perf_counter()], []
    for event in answer:
        if not isinstance(event, Finish):
            moments.append(time.perf_counter())
            counts.append(event.tokens)
        elif event.error:
            raise event.error
    first, last = moments[:2][-1], moments[-1]
    return evenly(first - moments[0], last - first, sum(counts[1:]))


def evenly(first: float, seconds: float, tokens: int) -> Times:
    """The times of a run in which `seconds` are known for all `tokens` after the first together.

    Raises ModelUnavailable if there are none.
    """
    if tokens < 1:
        raise ModelUnavailable(
            "The model ended its answer at once, so that its speed cannot be measured.",
            hint="Measure another model: polaris bench --model NAME",
        )
    return Times(first, (seconds / tokens,) * tokens)


def bytes_per_token(model: Any, position: int) -> int:
    """Bytes that a decode step must read: the weights, the state, and the KV cache so far."""
    config = model.config.get_text_config()
    weights = {id(weight): stored_bytes(weight) for weight in model.parameters()}
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    # A head in 8 bits has no attribute of that name; it is never tied.
    if head is not None and getattr(head, "weight", None) is not embedding.weight:
        weights.pop(id(embedding.weight))  # a step reads one row of it
    per_token, state, per_sliding, window = cache_of_config(config.to_dict())
    cache = position * per_token + min(position, window) * per_sliding
    wide = max(1, model.dtype.itemsize // 2)  # `cache_of_config` gives bytes in bf16
    total: int = sum(weights.values()) + 2 * state + cache * wide
    return total


def stored_bytes(weight: torch.Tensor) -> int:
    """Bytes that a weight takes. For torchao's quantized ones, `nbytes` is that of bf16."""
    if not hasattr(weight, "__tensor_flatten__"):
        return weight.nbytes
    names, _ = weight.__tensor_flatten__()
    return sum(stored_bytes(getattr(weight, name)) for name in names)


def memory_bandwidth(device: torch.device) -> float:
    """The device's memory bandwidth in bytes/s, the best of several measurements."""
    numbers = torch.ones(PROBE_BYTES // 4, device=device)
    target = torch.empty_like(numbers)

    numbers.sum()
    read = min(timed(numbers.sum, device) for _ in range(PROBES))
    copied = min(timed(lambda: target.copy_(numbers), device) for _ in range(PROBES))
    return max(PROBE_BYTES / read, 2 * PROBE_BYTES / copied)


def peak_memory(device: torch.device) -> int:
    """Peak memory so far in bytes: torch's on a GPU, else that of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
