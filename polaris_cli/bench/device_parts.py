"""The parts of `device`: their functions by name, and those that measure more than single steps.

Each part stands alone: it makes what it needs, and leaves the model as it found it. Does not know
files, tables or the time that is left.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from polaris_cli.bench.batch import throughputs
from polaris_cli.bench.device_model import Measured, Steps
from polaris_cli.bench.device_steps import (
    NEEDS_GPU,
    SAMPLING,
    Figures,
    bandwidth,
    compiled,
    kernels,
    launches,
    loop_ms,
    own_loop,
    quantized,
    step,
)
from polaris_cli.bench.prompts import prompt_of
from polaris_cli.bench.speed import has_graphs, patched, peak_memory
from polaris_cli.engines.local.decode import decode
from polaris_cli.engines.local.forward import Forward
from polaris_cli.engines.local.generation import TokenizedRequest, sampler_class
from polaris_cli.engines.local.loading import load_model
from polaris_cli.engines.local.random_models import size_of
from polaris_cli.engines.local.sampling import Sampler
from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.events import Chunk, Finish
from polaris_cli.models.devices import GB, size_text
from polaris_cli.models.memory import memory_needed
from polaris_cli.models.resolving import resolve
from polaris_cli.request.story_request import Sampling

LONG = 8000  # tokens of a long prompt
SHORT = 500  # tokens of a usual prompt
ROWS = (1, 8, 32)  # in lockstep
RUNS = 10  # with the same seed


def reproducible(measured: Measured) -> Figures:
    """How many runs with the same seed write the same tokens, and whether a resumed one does.

    It is resumed after half of them. `resumed_equal` is the number of tokens before the first that
    differs. Random weights have many tokens of nearly equal probability, so rounding changes tokens
    here that it would not change with a trained model.
    """
    with patched(measured.model):
        first, *others = [_written(measured) for _ in range(RUNS)]
        resumed = _written(measured, first[: len(first) // 2])
    return {
        "tokens": len(first),
        "runs": RUNS,
        "same": 1 + others.count(first),
        "resumed_same": resumed == first,
        "resumed_equal": _equal(resumed, first),
    }


def _written(measured: Measured, after: Sequence[int] = ()) -> list[int]:
    """The tokens of a run with the usual sampling settings, those of `after` included."""
    model, ids = measured.model, list[int]()
    prompt = prompt_of(model, measured.tokens(SHORT))
    request = TokenizedRequest(prompt, SAMPLING, measured.written - len(after), after=after)
    vocabulary = Vocabulary(measured.tokenizer)
    for event in decode(model, vocabulary, request, static=has_graphs(model)):
        if isinstance(event, Chunk):
            ids.extend(event.ids)
        elif isinstance(event, Finish) and event.error:
            raise event.error
    return ids


def _equal(ids: Sequence[int], others: Sequence[int]) -> int:
    """How many tokens are equal before the first that differs."""
    equal = [one == other for one, other in zip(ids, others, strict=False)]
    return [*equal, False].index(False)


def lockstep(measured: Measured) -> Figures:
    """Tokens/s and milliseconds of a step with several rows, beside those of a single story.

    `times` is the tokens/s of all rows / those of the story, which has a recorded graph.
    """
    with patched(measured.model):
        step_ms = loop_ms(own_loop(measured, measured.model), measured, 0)
    found = throughputs(
        measured.model, measured.tokenizer, SAMPLING, sizes=ROWS, tokens=measured.steps
    )
    rows = {
        f"rows {one.size}": {
            "tokens_per_s": one.tokens_per_s,
            "step_ms": 1000 * one.size / one.tokens_per_s,
            "times": one.tokens_per_s * step_ms / 1000,
        }
        for one in found
    }
    return {"story": {"tokens_per_s": 1000 / step_ms, "step_ms": step_ms}, **rows}


def memory(measured: Measured) -> Figures:
    """Peak memory in GB while writing after a long prompt, beside the estimate.

    Without a GPU, the peak is that of the whole process since its start.
    """
    measured.free()
    model, tokens = measured.model, measured.tokens(LONG)
    if measured.is_cuda:
        torch.cuda.reset_peak_memory_stats(measured.torch_device)
    with patched(model):
        loop_ms(own_loop(measured, model), measured, tokens)
    found = {"peak": peak_memory(measured.torch_device), **_reserved(measured)}
    return {f"{name}_gb": size / GB for name, size in (found | _estimate(measured, tokens)).items()}


def _estimate(measured: Measured, tokens: int) -> dict[str, int]:
    """What polaris expects before it loads a model of this size, in bytes."""
    room = tokens + measured.written
    need = memory_needed(size_of(measured.config), "none", room, measured.device.kind)
    parts = {f"estimate_{name}": size for name, size in asdict(need).items()}
    return {"estimate": need.total, **parts}


def _reserved(measured: Measured) -> dict[str, int]:
    """What torch keeps, and what is used in all, by other programs too, in bytes."""
    if not measured.is_cuda:
        return {}
    free, total = torch.cuda.mem_get_info(measured.torch_device)
    return {"reserved": torch.cuda.max_memory_reserved(measured.torch_device), "used": total - free}


def prefill(measured: Measured) -> Figures:
    """Seconds to read a long prompt."""
    model, tokens = measured.model, measured.tokens(LONG)
    prompt = prompt_of(model, tokens)
    with patched(model):
        seconds = measured.seconds(lambda: Forward(model).prefill(prompt))
    return {"tokens": tokens, "seconds": seconds, "tokens_per_s": tokens / seconds}


def sampling(measured: Measured) -> Figures:
    """Microseconds to choose a token after a long text, and the launches for it.

    "usual, fused" is with Triton's kernels, if they are in use. Only the DRY penalty depends on the
    length of the text.
    """
    settings = {
        "usual": SAMPLING,
        "no top-k": Sampling(top_k=0),
        "DRY": Sampling(dry_multiplier=0.8),
        "greedy": Sampling(temperature=0.0, repetition_penalty=1.0),
    }
    numbers = torch.Generator().manual_seed(0)
    logits = torch.randn(measured.config.vocab_size, generator=numbers).to(measured.torch_device)
    fastest = sampler_class(SAMPLING, measured.torch_device, len(logits))
    figures = {name: _choice(measured, Sampler, one, logits) for name, one in settings.items()}
    if fastest is not Sampler:
        figures["usual, fused"] = _choice(measured, fastest, SAMPLING, logits)
    return figures


def _choice(
    measured: Measured, make: type[Sampler], settings: Sampling, logits: torch.Tensor
) -> Figures:
    prompt = [7919 * place % len(logits) for place in range(measured.tokens(LONG))]
    sampler = make(settings, prompt, logits)

    def choose() -> None:
        token, _ = sampler.choose(logits)
        sampler.add(token)

    us = 1e6 * measured.seconds(choose, times=measured.steps)
    return {"us": us, "launches": launches(measured, choose)["launches"]}


def loading(measured: Measured) -> Figures:
    """Seconds to load a saved model, of its first token, and of recording a graph.

    The files were just written, so they are read from the page cache; `read_s` is what reading them
    alone takes. The first token includes a recording. `first_recording_s` is the first one of this
    model, `recording_s` the next one.
    """
    loaded = list[Any]()
    with tempfile.TemporaryDirectory() as folder:
        _save(measured, folder)
        measured.free()
        read = measured.once(lambda: _read(Path(folder)))
        load = measured.once(lambda: loaded.append(_load(measured, folder)))
    return {"read_s": read, "load_s": load, **_first_token(measured, loaded.pop().model)}


def _save(measured: Measured, folder: str) -> None:
    """Save model and tokenizer. Raises RuntimeError if the disk has no room for them."""
    weights = sum(weight.nbytes for weight in measured.model.parameters())
    free = shutil.disk_usage(folder).free
    if free < 1.1 * weights:
        raise RuntimeError(
            f"The model takes {size_text(weights)}, but {size_text(free)} is free in {folder}."
        )
    measured.model.save_pretrained(folder)
    measured.tokenizer.save_pretrained(folder)


def _load(measured: Measured, folder: str) -> Any:
    room = SHORT + measured.written
    return load_model(
        resolve(folder), quantize="none", device=measured.device.id, context_tokens=room
    )


def _read(folder: Path) -> None:
    """Read all files once and keep nothing, as `cat` does."""
    buffer = bytearray(1 << 24)
    for path in folder.iterdir():
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def _first_token(measured: Measured, model: Any) -> Figures:
    names = ("first_recording_s", "recording_s")
    with patched(model):
        steps = Steps(model, 0)
        recordings = {
            name: measured.once(steps.record) if measured.is_cuda else NEEDS_GPU for name in names
        }
        prompt = prompt_of(model, measured.tokens(SHORT))
        first = own_loop(measured, model)(prompt, 1).first
    return {"first_token_s": first, **recordings}


PARTS: Mapping[str, Callable[[Measured], Figures]] = MappingProxyType(
    {
        part.__name__: part
        for part in (
            bandwidth, step, kernels, compiled, quantized, reproducible, lockstep, memory,
            prefill, sampling, loading,
        )
    }
)  # fmt: skip
