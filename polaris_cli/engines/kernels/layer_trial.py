"""A decode step of single decoder layers: its output and its time, to judge new forwards by.

Knows Qwen3.5's layers and their caches; does not know what was replaced in them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache, StaticCache

from polaris_cli.engines.kernels.cuda_graph import Step
from polaris_cli.engines.kernels.timing import fastest_run, recorded
from polaris_cli.engines.releases import cache_name, kind_of

PROMPT = 4  # tokens before the step
SMALL = 0.02
CAPACITY = 512  # tokens in a static cache; the runs of a timing add fewer
RUNS = 20  # timed together


def layers_of_each_kind(model: Any) -> list[Any]:
    """The first decoder layer of each kind, such as "linear_attention"; [] if not Qwen3.5."""
    found: dict[str, Any] = {}
    for module in model.modules():
        if type(module).__name__ == "Qwen3_5DecoderLayer":
            found.setdefault(kind_of(module), module)
    return list(found.values())


@torch.inference_mode()
def outputs(model: Any, layers: Sequence[Any], *, static: bool = False) -> list[torch.Tensor]:
    """Each layer's output for the same token after a prompt, with a growing or a static cache."""
    return [_after_prompt(model, layer, static)() for layer in layers]


@torch.inference_mode()
def seconds(model: Any, layers: Sequence[Any]) -> float:
    """Seconds for a step of these layers with a static cache, on CUDA as a recorded graph."""
    steps = (_after_prompt(model, layer, static=True) for layer in layers)
    return sum(fastest_run(recorded(step, model.device), model.device, RUNS) for step in steps)


def _after_prompt(model: Any, layer: Any, static: bool) -> Step:
    """Run a prompt through the layer; return a function that runs one more token."""
    config = model.config.get_text_config()
    numbers = torch.Generator().manual_seed(0)
    # Small, so that the layer's own output counts beside the input, to which it is added.
    x = SMALL * torch.randn(1, PROMPT + 1, config.hidden_size, generator=numbers)
    size = model.get_submodule("model.rotary_emb").inv_freq.numel() * 2
    turns = torch.randn(2, 1, PROMPT + 1, size, generator=numbers)
    x, turns = (part.to(model.device, model.dtype) for part in (x, turns))
    cache: Any = (
        StaticCache(config=config, max_cache_len=CAPACITY)
        if static
        else DynamicCache(config=config)
    )

    def run(part: slice, mask: torch.Tensor | None = None) -> torch.Tensor:
        output: torch.Tensor = layer(
            x[:, part],
            position_embeddings=tuple(turns[:, :, part]),
            attention_mask=mask,
            **{cache_name(type(layer).forward): cache},
        )
        return output

    run(slice(0, PROMPT))
    # A token sees all keys so far. Those of a static cache that are still empty need a mask.
    masked = static and kind_of(layer) == "full_attention"
    mask = torch.arange(CAPACITY, device=model.device).view(1, 1, 1, -1) <= PROMPT
    return lambda: run(slice(PROMPT, PROMPT + 1), mask if masked else None)


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal up to rounding in the dtype: intermediate results are rounded at other places."""
    scale = float(one.abs().max())
    return bool((one - other).abs().max() <= 8 * torch.finfo(one.dtype).eps * scale)
