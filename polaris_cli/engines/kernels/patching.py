"""Makes a loaded model faster: `patch_forwards`.

Replaces the `forward` of single modules of one model, and nothing global in torch or transformers,
and only if a test on this machine gives the same result. The replacements are in `one_token` (fewer
operations), `matmul` (faster kernels) and `grouped_attention` (reads less memory). Does not know
how they work, and expects that any of them may fail; the stock forward is then used.
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

UNSUITABLE = "The faster {} does not work with this release of transformers; the stock one is used."


@dataclass(frozen=True, slots=True)
class Patched:
    """The result of `patch_forwards`: a function that undoes it, and a note on each failure."""

    undo: Undo
    notes: tuple[str, ...] = ()


class Replacements:
    """Records what was replaced in a model, so that it can be restored."""

    def __init__(self) -> None:
        self._undos: list[Undo] = []

    def __bool__(self) -> bool:
        return bool(self._undos)

    def replace(self, module: Any, forward: Callable[..., Any]) -> None:
        """Replace the module's forward."""
        before = vars(module).get("forward")
        self._undos.append(lambda: _restore(module, before))
        module.forward = forward

    def set_attention(self, model: Any, name: str) -> None:
        """Set the model's attention implementation, by its name in transformers."""
        before = model.config._attn_implementation

        def restore() -> None:
            if model.config._attn_implementation != before:
                model.set_attn_implementation(before)

        self._undos.append(restore)
        model.set_attn_implementation(name)

    def undo(self) -> None:
        """Restore everything."""
        while self._undos:
            self._undos.pop()()


def _restore(module: Any, forward: Any) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward


Patch = Callable[[Any, Replacements], bool]  # applies it to a model; False if results differ
Fits = Callable[[Replacements], bool]


def patch_forwards(model: Any) -> Patched:
    """Make the decode steps of `model` faster, in place.

    Its weights must not change afterwards. Only Qwen3.5 gets new module forwards; faster matrix
    products and attention are for the CPU. A patch that fails is skipped, with a note.
    """
    patches: dict[str, Patch] = {"forward pass": _patch_modules}
    if model.device.type == "cpu":
        patches |= {"matrix product": _patch_linears, "attention": _patch_attention}
    found = _apply_all(patches, model, lambda replaced: True)
    if not _runs(model):  # find the patch that breaks it: run the model after each one, slower
        found.undo()
        found = _apply_all(patches, model, lambda replaced: not replaced or _runs(model))
    return found


def _apply_all(patches: dict[str, Patch], model: Any, fits: Fits) -> Patched:
    """Apply the patches in order, and undo those that fail or do not fit."""
    replaced = {name: Replacements() for name in patches}
    failed = [
        name for name, patch in patches.items() if not _apply(patch, model, replaced[name], fits)
    ]

    def undo() -> None:
        for replacements in reversed(replaced.values()):
            replacements.undo()

    return Patched(undo, tuple(UNSUITABLE.format(name) for name in failed))


def _apply(patch: Patch, model: Any, replaced: Replacements, fits: Fits) -> bool:
    """Apply a patch and return True, or undo it and return False."""
    with suppress(Exception):  # other releases or machines may raise any exception
        if patch(model, replaced) and fits(replaced):
            return True
    replaced.undo()
    return False


def _runs(model: Any) -> bool:
    """Whether the model can run a prefill and a decode step."""
    tokens = torch.zeros(
        (1, 2), dtype=torch.long, device=model.get_input_embeddings().weight.device
    )
    options = {"use_cache": True, "return_dict": True}
    with suppress(Exception), torch.inference_mode():
        cache = cache_of(model(input_ids=tokens, **options))
        model(input_ids=tokens[:, :1], **{cache_name(model.forward): cache}, **options)
        return True
    return False


def _patch_modules(model: Any, replaced: Replacements) -> bool:
    """Replace the forwards of Qwen3.5's modules. False if the layers' outputs then differ."""
    layers = list(_one_layer_of_each_kind(model))
    if not layers:
        return True
    from polaris_cli.engines.kernels.one_token import FORWARDS

    before = [_trial_output(model, layer) for layer in layers]
    for module in model.modules():
        if make := FORWARDS.get(type(module).__name__):
            replaced.replace(module, make(module))
    after = [_trial_output(model, layer) for layer in layers]
    return all(map(_close, before, after))


def _patch_linears(model: Any, replaced: Replacements) -> bool:
    """Use the matrix products that are faster on this machine, if any."""
    linears = matmul.bf16_linears(model.modules())
    if linears and matmul.float32_is_faster():
        for linear in linears:
            replaced.replace(linear, matmul.in_float32(linear))
    for linear in matmul.faster_linears(linears):
        replaced.replace(linear, matmul.without_onednn(linear))
    return True


def _patch_attention(model: Any, replaced: Replacements) -> bool:
    """Use grouped attention in a model that has transformers' "sdpa" attention."""
    if model.config._attn_implementation == "sdpa":
        from polaris_cli.engines.kernels import grouped_attention

        replaced.set_attention(model, grouped_attention.register())
    return True


def _one_layer_of_each_kind(model: Any) -> Iterator[Any]:
    """The first decoder layer of each kind, such as "linear_attention"."""
    seen = set()
    for module in model.modules():
        if type(module).__name__ == "Qwen3_5DecoderLayer" and kind_of(module) not in seen:
            seen.add(kind_of(module))
            yield module


@torch.inference_mode()
def _trial_output(model: Any, layer: Any) -> torch.Tensor:
    """The layer's output for a decode step after a prefill of four tokens."""
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


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal up to rounding in the dtype: intermediate results are rounded at other places."""
    scale = float(one.abs().max())
    return bool((one - other).abs().max() <= 8 * torch.finfo(one.dtype).eps * scale)
