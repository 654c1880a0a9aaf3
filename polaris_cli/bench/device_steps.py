"""The measurements of `device` that time single decode steps; each returns its figures by name.

Knows models and steps. Does not know files, tables or the time that is left.
"""

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from polaris_cli.bench.device_model import Measured, Steps, compiled_steps, plain
from polaris_cli.bench.prompts import prompt_of
from polaris_cli.bench.speed import (
    SHORTEST,
    Write,
    bytes_per_token,
    decoding,
    has_graphs,
    patched,
    snippet,
)
from polaris_cli.engines.quantize.apply import disable_packing_of_odd_shapes, quantize_layers
from polaris_cli.engines.quantize.quantizers import Bits, alternatives, bitsandbytes, kernel_of
from polaris_cli.models.devices import GB
from polaris_cli.request.story_request import Sampling

Figures = dict[str, Any]

NEEDS_GPU = "needs a GPU"
NO_GRAPH = "cannot be recorded"
POSITIONS = (0, 2000, 8000, 16_000)  # tokens before the step that is measured
SAMPLING = Sampling(thinking_budget=-1)
TOP = 25  # kernels in the list
NAME = 100  # characters of a kernel's name; those of templates are far longer
QUANTIZED: tuple[Bits, ...] = ("8bit", "4bit")


def bandwidth(measured: Measured) -> Figures:
    """GB/s of a sum, which reads a large buffer, and of a copy, which reads and writes one."""
    return {
        "read_gb_per_s": measured.read / GB,
        "copy_gb_per_s": measured.copied / GB,
        "buffer_gb": measured.probe_bytes / GB,
    }


def step(measured: Measured) -> Figures:
    """Milliseconds of a decode step after texts of several lengths, and of the card's snippet.

    `loop_ms` is the whole decoding loop with the choice of the token, `eager_ms` and `graph_ms` are
    the forward pass alone without and with a recorded graph. The share of the limit is the loop's.
    `fused` says whether Triton's kernels are in use; two texts are measured without them too.
    """
    model, positions = measured.model, [*map(measured.tokens, POSITIONS)]
    with patched(model) as has_fused:
        found: Figures = {
            str(position): measured.attempt(partial(_step, measured, model, position))
            for position in positions
        }
    with plain(model):
        for position in (positions[0], positions[-1]):
            work = partial(_step, measured, model, position)
            found[f"without fused at {position}"] = measured.attempt(work)
    found["snippet at 0"] = measured.attempt(partial(_snippet, measured, model))
    return {"fused": has_fused, **found}


def _step(measured: Measured, model: Any, position: int) -> Figures:
    loop = loop_ms(own_loop(measured, model), measured, position)
    forward = _forward_ms(measured, Steps(model, position))
    return {"loop_ms": loop, **forward, **_of_limit(measured, model, position, loop)}


def _snippet(measured: Measured, model: Any) -> Figures:
    loop = loop_ms(snippet(model, SAMPLING), measured, 0)
    return {"loop_ms": loop, **_of_limit(measured, model, 0, loop)}


def own_loop(measured: Measured, model: Any) -> Write:
    """Our decoding loop, with a recorded graph where that is possible."""
    return decoding(model, measured.tokenizer, SAMPLING, static=has_graphs(model))


def loop_ms(write: Write, measured: Measured, position: int) -> float:
    """Milliseconds for each token written after a prompt of that length, its choice included."""
    prompt = prompt_of(measured.model, max(position, SHORTEST))
    return 1000 * median(write(prompt, measured.written).steps)


def _forward_ms(measured: Measured, steps: Steps, *, captured: bool = True) -> Figures:
    """Milliseconds of a step without a recorded graph and, if `captured`, with one."""
    eager = 1000 * measured.seconds(steps.next, times=measured.steps)

    def graph() -> float:
        steps.record()
        return 1000 * measured.seconds(steps.next, times=measured.steps)

    if not measured.is_cuda:
        return {"eager_ms": eager, "graph_ms": NEEDS_GPU}
    return {"eager_ms": eager, "graph_ms": measured.attempt(graph) if captured else NO_GRAPH}


def _of_limit(measured: Measured, model: Any, position: int, took: float) -> Figures:
    """Milliseconds in which weights and cache can be read, and their share of the time taken."""
    limit = 1000 * bytes_per_token(model, position) / measured.read
    return {"limit_ms": limit, "share_of_limit": limit / took}


def _forward_of_limit(measured: Measured, model: Any, position: int, forward: Figures) -> Figures:
    """These times of a forward pass; its share of the limit is with a graph, if there is one."""
    graph = forward["graph_ms"]
    best = graph if isinstance(graph, float) else forward["eager_ms"]
    return {**forward, **_of_limit(measured, model, position, best)}


def compiled(measured: Measured) -> Figures:
    """The forward pass with one layer of each kind compiled, and seconds to compile cold and warm.

    Warm means that the compiler's files are there, but nothing is in memory. `graphs` is the number
    of layers compiled; `difference` is the largest between its logits and those of the stock
    layers, as a share of the largest logit. Without a GPU the layers are traced, but not compiled:
    a C++ compiler takes half a minute.
    """
    from torch._inductor.utils import fresh_cache

    model = measured.model
    backend = "inductor" if measured.is_cuda else "eager"
    expected = Steps(model, 0).next().clone()
    with fresh_cache():
        cold, graphs, logits = _compile(measured, model, backend)
        warm, _, _ = _compile(measured, model, backend)
        found = {
            str(position): measured.attempt(
                partial(_compiled_step, measured, model, position, backend)
            )
            for position in map(measured.tokens, POSITIONS)
        }
    torch.compiler.reset()
    difference = float((logits - expected).abs().max() / expected.abs().max())
    seconds = {"cold_s": cold, "warm_s": warm}
    return {"backend": backend, **seconds, "graphs": graphs, "difference": difference, **found}


def _compile(measured: Measured, model: Any, backend: str) -> tuple[float, int, torch.Tensor]:
    """Compile in one step, with nothing in memory; the seconds, the graphs, and the logits."""
    from torch._dynamo.utils import counters
    from torch._inductor.utils import clear_caches

    torch.compiler.reset()
    clear_caches()
    before = counters["stats"]["unique_graphs"]
    logits = list[torch.Tensor]()
    with compiled_steps(model, 0, backend) as steps:
        seconds = measured.once(lambda: logits.append(steps.next().clone()))
    return seconds, counters["stats"]["unique_graphs"] - before, logits[0]


def _compiled_step(measured: Measured, model: Any, position: int, backend: str) -> Figures:
    with compiled_steps(model, position, backend) as steps:
        return _forward_of_limit(measured, model, position, _forward_ms(measured, steps))


def kernels(measured: Measured) -> Figures:
    """Kernel launches in a step and their microseconds, by name; without a GPU, torch's operators.

    Operators that call others count too, with the time of their own. `recorded` has the sums for a
    recorded step.
    """
    with patched(measured.model):
        steps = Steps(measured.model, 0)
        found = launches(measured, steps.next)
        recorded = (
            measured.attempt(partial(_recorded, measured, steps)) if measured.is_cuda else NEEDS_GPU
        )
    return {**found, "recorded": recorded}


def _recorded(measured: Measured, steps: Steps) -> Figures:
    steps.record()
    found = launches(measured, steps.next)
    return {"launches": found["launches"], "us": found["us"]}


def launches(measured: Measured, work: Callable[[], object]) -> Figures:
    """The launches of one run of `work`, and those that take longest in total."""
    measured.once(work)
    activity = ProfilerActivity.CUDA if measured.is_cuda else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiler:
        measured.once(lambda: [work() for _ in range(measured.steps)])
    found = [
        {
            "name": event.key[:NAME],
            "launches": event.count / measured.steps,
            "us": _own_us(event, measured.is_cuda) / measured.steps,
        }
        for event in profiler.key_averages()
        if (event.device_type.name == "CUDA") == measured.is_cuda
    ]
    if not found:
        raise RuntimeError("The profiler recorded no kernels.")
    sums = {name: sum(one[name] for one in found) for name in ("launches", "us")}
    return {**sums, "longest": sorted(found, key=lambda one: -one["us"])[:TOP]}


def _own_us(event: Any, is_cuda: bool) -> float:
    return float(event.self_device_time_total if is_cuda else event.self_cpu_time_total)


def quantized(measured: Measured) -> Figures:
    """Milliseconds of a step in 8 and 4 bits, with each method that there is for the device."""
    measured.free()  # so that a card with room for one model can hold the other one
    found: Figures = {}
    for precision in QUANTIZED:
        others = alternatives(measured.device.id, precision, [])
        for method in (bitsandbytes(precision, []), *others):
            name = f"{precision} {kernel_of(method)}"
            found[name] = measured.attempt(partial(_quantized_step, measured, method))
            measured.free()
    return found


def _quantized_step(measured: Measured, method: Any) -> Figures:
    model = measured.new_model()
    quantize_layers(model, method)
    disable_packing_of_odd_shapes(model)
    # LLM.int8 synchronizes at each product; after a recording that fails, torch's random numbers
    # fail too, and with them the next model.
    captured = not getattr(method, "load_in_8bit", False)
    with patched(model):
        forward = _forward_ms(measured, Steps(model, 0), captured=captured)
    return _forward_of_limit(measured, model, 0, forward)
