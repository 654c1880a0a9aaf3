"""How many stories to write at once: `stories_at_once`, then `worth_at_once`.

Knows engines and memory, not the stories.
"""

from dataclasses import replace

from polaris_cli.engines.base import Engine, MeasuresRows
from polaris_cli.models.devices import device_for
from polaris_cli.models.hub import ensure
from polaris_cli.models.memory import LoadPlan, choose_quantization, most_at_once
from polaris_cli.models.sizes import cache_tokens, size_on
from polaris_cli.request.settings import naming_sources
from polaris_cli.story.job import Job

# A server takes turns itself; llama.cpp on a CPU gains little beyond four sequences. The others are
# rows of a batch: beyond these, computing takes more time than reading the weights.
USUAL = {"endpoint": 8, "gguf": 4, "local": 32}
SPARE = 200_000_000  # bytes that this program and others may take until the model is loaded


def stories_at_once(job: Job) -> int:
    """What suits the engine and fits the memory, for stories as long as that of `job`.

    The precision of the weights is the one for a single story. A model whose size is not known is
    downloaded. Raises OutOfMemory if not even a single story fits, ModelUnavailable as `ensure`.
    """
    request, most = job.request, USUAL[job.request.engine]
    if request.engine == "endpoint":
        return most
    with naming_sources(job.settings):
        local = request.engine == "local"  # it imports torch in any case
        device = device_for(request.engine, request.device, with_torch=local)
    if not (found := size_on(job.reference, request.engine, device)):
        ensure(job.reference)
        found = size_on(job.reference, request.engine, device)
        assert found
    quantize = request.quantize if request.engine == "local" else "auto"
    tokens = cache_tokens(job.reference, request.engine, job.tokens)
    plan = choose_quantization(found[0], device, quantize, tokens)
    if request.engine == "local":
        tokens = tokens * 5 // 4  # the cache of several rows grows by that much
    return max(1, min(most, most_at_once(found[0], _with_less(plan), tokens)))


def _with_less(plan: LoadPlan) -> LoadPlan:
    return replace(plan, device=replace(plan.device, free_bytes=plan.device.free_bytes - SPARE))


def worth_at_once(engine: Engine, most: int) -> int:
    """How many of `most` stories at once a loaded engine writes best, by a short trial.

    Engines that do not take steps of their own write `most`.
    """
    return engine.rows_worth(most) if isinstance(engine, MeasuresRows) else most
