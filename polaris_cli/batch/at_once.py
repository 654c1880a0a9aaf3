"""How many stories to write at once: `stories_at_once`, then `worth_at_once`.

Knows engines and memory, not the stories.
"""

from polaris_cli.engines.base import Engine, MeasuresRows
from polaris_cli.models.devices import device_for
from polaris_cli.models.memory import choose_quantization, most_at_once
from polaris_cli.models.sizes import size_on
from polaris_cli.story.job import Job

# A server takes turns itself; llama.cpp on a CPU gains little beyond four sequences. The others are
# rows of a batch: beyond these, computing takes more time than reading the weights.
USUAL = {"endpoint": 8, "gguf": 4, "local": 32}
UNKNOWN = 4  # for a model whose size is not known before it is downloaded


def stories_at_once(job: Job) -> int:
    """What suits the engine and fits the memory, for stories as long as that of `job`.

    The precision of the weights is the one for a single story. Raises OutOfMemory if not even that
    fits.
    """
    request, most = job.request, USUAL[job.request.engine]
    if request.engine == "endpoint":
        return most
    device = device_for(request.engine, request.device)
    found = size_on(job.reference, request.engine, device)
    if not found:
        return UNKNOWN
    quantize = request.quantize if request.engine == "local" else "auto"
    plan = choose_quantization(found[0], device, quantize, job.tokens)
    return max(1, min(most, most_at_once(found[0], plan, job.tokens)))


def worth_at_once(engine: Engine, most: int) -> int:
    """How many of `most` stories at once a loaded engine writes best, by a short trial.

    Engines that do not take steps of their own write `most`.
    """
    return engine.rows_worth(most) if isinstance(engine, MeasuresRows) else most
