"""How large a model is on a device, from the catalogue or its files: `size_on`, `cache_tokens`.

Reads configs and headers of files; loads no weights. What fits: `memory`.
"""

from polaris_cli.models.cache import cached, gguf_path
from polaris_cli.models.devices import Device
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.hub import ensure
from polaris_cli.models.memory import (
    ModelSize,
    llama_cpp_context,
    size_of_entry,
    size_of_gguf,
)
from polaris_cli.models.model_files import as_computed, measured, read_config, stored_as
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import EngineName


def size_on(
    reference: ModelRef, engine: EngineName, device: Device
) -> tuple[ModelSize, str] | None:
    """The model's size, and how its weights are quantized if they stay as stored.

    None if the model is in no catalogue and not on this machine yet.
    """
    if not (reference.entry or reference.folder or cached(reference)):
        return None
    if file := gguf_path(reference):
        facts = gguf_facts(file)
        return size_of_gguf(facts, engine), facts.quantization or "as stored"
    if reference.entry:
        return size_of_entry(reference.entry), ""
    folder = ensure(reference)  # downloads nothing, as the files are here
    config = read_config(reference, folder)
    size = measured(reference, folder, config)
    return as_computed(size, config, device.kind), stored_as(config)


def cache_tokens(reference: ModelRef, engine: EngineName, tokens: int) -> int:
    """The tokens for which an engine keeps a cache to write a story of about `tokens` tokens."""
    if engine != "gguf":
        return tokens
    file = gguf_path(reference)
    return llama_cpp_context(tokens, gguf_facts(file).context if file else 0)
