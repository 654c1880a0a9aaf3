"""Makes a loaded model write faster: `patch_forwards`.

Replaces the `forward` of single modules of that model, nothing else of torch or transformers, and
only where a trial on this machine gives the same numbers. What replaces them is in `one_token`
(fewer operations), `matmul` (faster kernels) and `grouped_attention` (less memory read). Knows
none of their workings, and expects each of them to fail: the stock way then stays.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from polaris_cli.engines.kernels import matmul
from polaris_cli.engines.releases import cache_name, cache_of, kind_of

Undo = Callable[[], None]

UNSUITABLE = "The faster {} does not suit this release of transformers; the stock one is used."


@dataclass(frozen=True, slots=True)
class Patched:
    """The way back from `patch_forwards`, and a sentence on each faster way that failed."""

    undo: Undo
    notes: tuple[str, ...] = ()


class Replacements:
    """What was replaced in a model, so that it can be put back."""

    def __init__(self) -> None:
        self._ways_back: list[Undo] = []

    def __bool__(self) -> bool:
        return bool(self._ways_back)

    def replace(self, module: Any, forward: Callable[..., Any]) -> None:
        """Let `forward` stand in for the module's own."""
        before = vars(module).get("forward")
        self._ways_back.append(lambda: _put_back(module, before))
        module.forward = forward

    def attend(self, model: Any, name: str) -> None:
        """Let the model attend in the way that transformers knows by this name."""
        before = model.config._attn_implementation

        def back() -> None:
            if model.config._attn_implementation != before:
                model.set_attn_implementation(before)

        self._ways_back.append(back)
        model.set_attn_implementation(name)

    def undo(self) -> None:
        """Put all of them back."""
        while self._ways_back:
            self._ways_back.pop()()


def _put_back(module: Any, forward: Any) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward


Way = Callable[[Any, Replacements], bool]  # puts a faster way in place; False if it does not fit
Fits = Callable[[Replacements], bool]


def patch_forwards(model: Any) -> Patched:
    """Make `model` faster at one token a step.

    Its weights must not change afterwards. A model of another architecture than Qwen3.5 keeps its
    modules; the kernels are those for a processor. Whatever fails is left out, and noted.
    """
    ways: dict[str, Way] = {"forward pass": _fewer_operations}
    if model.device.type == "cpu":
        ways |= {"matrix product": _kernels, "attention": _folded}
    found = _along(ways, model, lambda replaced: True)
    if not _writes(model):  # one of them is to blame: try each, which takes longer
        found.undo()
        found = _along(ways, model, lambda replaced: not replaced or _writes(model))
    return found


def _along(ways: dict[str, Way], model: Any, fits: Fits) -> Patched:
    """Go these ways one after the other, each as far as it fits."""
    replaced = {what: Replacements() for what in ways}
    failed = [what for what, way in ways.items() if not _placed(way, model, replaced[what], fits)]

    def undo() -> None:
        for replacements in reversed(replaced.values()):
            replacements.undo()

    return Patched(undo, tuple(UNSUITABLE.format(what) for what in failed))


def _placed(way: Way, model: Any, replaced: Replacements, fits: Fits) -> bool:
    """Put a faster way in place, or leave nothing of it."""
    with suppress(Exception):  # another release, or another machine, may raise anything
        if way(model, replaced) and fits(replaced):
            return True
    replaced.undo()
    return False


def _writes(model: Any) -> bool:
    """Whether the model takes a prompt and a token more."""
    tokens = torch.zeros(
        (1, 2), dtype=torch.long, device=model.get_input_embeddings().weight.device
    )
    options = {"use_cache": True, "return_dict": True}
    with suppress(Exception), torch.inference_mode():
        cache = cache_of(model(input_ids=tokens, **options))
        model(input_ids=tokens[:, :1], **{cache_name(model.forward): cache}, **options)
        return True
    return False


def _fewer_operations(model: Any, replaced: Replacements) -> bool:
    """Replace the modules of Qwen3.5. False if its layers then give something else."""
    layers = list(_kinds_of_layers(model))
    if not layers:
        return True
    from polaris_cli.engines.kernels.one_token import FORWARDS

    before = [_trial(model, layer) for layer in layers]
    for module in model.modules():
        if make := FORWARDS.get(type(module).__name__):
            replaced.replace(module, make(module))
    after = [_trial(model, layer) for layer in layers]
    return all(map(_same, before, after))


def _kernels(model: Any, replaced: Replacements) -> bool:
    """Multiply by the kernels that are quicker here, if any are."""
    linears = matmul.in_bf16(model.modules())
    if linears and matmul.widening_pays():
        for linear in linears:
            replaced.replace(linear, matmul.widened(linear))
    for linear in matmul.quicker(linears):
        replaced.replace(linear, matmul.plain(linear))
    return True


def _folded(model: Any, replaced: Replacements) -> bool:
    """Read shared keys once, in a model that would attend in torch's usual way."""
    if model.config._attn_implementation == "sdpa":
        from polaris_cli.engines.kernels import grouped_attention

        replaced.attend(model, grouped_attention.register())
    return True


def _kinds_of_layers(model: Any) -> Iterator[Any]:
    """The first layer of each kind."""
    seen = set()
    for module in model.modules():
        if type(module).__name__ == "Qwen3_5DecoderLayer" and kind_of(module) not in seen:
            seen.add(kind_of(module))
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
