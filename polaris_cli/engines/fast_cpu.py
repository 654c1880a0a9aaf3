"""Makes a loaded model write faster: `quicken`.

Replaces the `forward` of single modules of that model, nothing else of torch or transformers, and
only where a trial on this machine gives the same numbers. What replaces them is in `one_token`
(fewer operations), `products` (faster kernels) and `folded_attention` (less memory read).
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import torch
from transformers import DynamicCache
from transformers.models.qwen3_5 import modeling_qwen3_5 as qwen3_5

from polaris_cli.engines import folded_attention, one_token, products
from polaris_cli.engines.cache_names import cache_name

Undo = Callable[[], None]

ONE_TOKEN: dict[type, Callable[[Any], Callable[..., Any]]] = {
    qwen3_5.Qwen3_5RMSNorm: one_token.norm,
    qwen3_5.Qwen3_5MLP: one_token.feed_forward,
    qwen3_5.Qwen3_5Attention: one_token.attention,
    qwen3_5.Qwen3_5GatedDeltaNet: one_token.gated_delta_rule,
    qwen3_5.Qwen3_5TextModel: one_token.text_model,
}

# What a release of transformers with other modules raises when they are called as these are.
UNSUITABLE = (AttributeError, TypeError, RuntimeError, ValueError, KeyError, IndexError)


class Replacements:
    """The forwards replaced on modules, so that they can be put back."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, Any]] = []

    def replace(self, module: Any, forward: Callable[..., Any]) -> None:
        """Let `forward` stand in for the module's own."""
        self._before.append((module, vars(module).get("forward")))
        module.forward = forward

    def undo(self) -> None:
        """Put all of them back."""
        while self._before:
            module, forward = self._before.pop()
            if forward is None:
                del module.forward
            else:
                module.forward = forward


def quicken(model: Any) -> Undo:
    """Make `model` faster at one token a step; return the way back.

    Its weights must not change afterwards. A model of another architecture than Qwen3.5 keeps its
    modules; the kernels are those for a processor.
    """
    modules = _fewer_operations(model)
    if model.device.type != "cpu":
        return modules.undo
    kernels = Replacements()
    linears = products.in_bf16(model.modules())
    if linears and products.widening_pays():
        for linear in linears:
            kernels.replace(linear, products.widened(linear))
    for linear in products.quicker(linears):
        kernels.replace(linear, products.plain(linear))
    attention = model.config._attn_implementation
    if attention == "sdpa":
        model.set_attn_implementation(folded_attention.register())

    def undo() -> None:
        model.set_attn_implementation(attention)
        kernels.undo()
        modules.undo()

    return undo


def _fewer_operations(model: Any) -> Replacements:
    """Replace the modules of Qwen3.5, if its layers then still give the same."""
    replaced = Replacements()
    layers = list(_kinds_of_layers(model))
    if not layers:
        return replaced
    with suppress(*UNSUITABLE):
        before = [_trial(model, layer) for layer in layers]
        for module in model.modules():
            if make := ONE_TOKEN.get(type(module)):
                replaced.replace(module, make(module))
        after = [_trial(model, layer) for layer in layers]
        if all(map(_same, before, after)):
            return replaced
    replaced.undo()
    return replaced


def _kinds_of_layers(model: Any) -> Iterator[Any]:
    """The first layer of each kind."""
    seen = set()
    for module in model.modules():
        if type(module) is qwen3_5.Qwen3_5DecoderLayer and module.block_type not in seen:
            seen.add(module.block_type)
            yield module


@torch.inference_mode()
def _trial(model: Any, layer: Any) -> torch.Tensor:
    """What the layer makes of a fifth token after four."""
    config = model.config.get_text_config()
    numbers = torch.Generator().manual_seed(0)
    x = torch.randn(1, 5, config.hidden_size, generator=numbers).to(model.device, model.dtype)
    size = model.get_submodule("model.rotary_emb").inv_freq.numel() * 2
    turns = torch.randn(2, 1, 5, size, generator=numbers).to(model.device, model.dtype)
    cache = DynamicCache(config=config)
    for part in (slice(0, 4), slice(4, 5)):
        output: torch.Tensor = layer(
            x[:, part],
            position_embeddings=tuple(turns[:, :, part]),
            **{cache_name(type(layer).forward): cache},
        )
    return output


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal as far as the number format goes: intermediate results are rounded elsewhere."""
    scale = float(one.abs().max())
    return bool((one - other).abs().max() <= 8 * torch.finfo(one.dtype).eps * scale)
