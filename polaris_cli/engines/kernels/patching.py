"""Makes a loaded model faster: `patch_forwards`.

Replaces the `forward` of single modules of one model, and nothing global in torch or transformers,
and only if a test on this machine gives the same result. The replacements are in `one_token` (fewer
operations), `fused` (fewer kernels, CUDA only), `matmul` (faster kernels) and `grouped_attention`
(reads less memory). Does not know how they work, and expects that any of them may fail; the stock
forward is then used.
"""

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from polaris_cli.engines.kernels import matmul
from polaris_cli.engines.kernels.layer_trial import close, layers_of_each_kind, outputs, seconds
from polaris_cli.engines.releases import cache_name, cache_of

Makers = Mapping[str, Callable[[Any], Callable[..., Any]]]  # a new forward for a class of module
Undo = Callable[[], None]

UNSUITABLE = (
    "The faster {} does not work on this machine or with this release of transformers; the stock "
    "one is used."
)


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

    Its weights must not change afterwards. Only Qwen3.5 gets new module forwards, those of `fused`
    on CUDA only and if a test step is faster; faster matrix products and attention are for the CPU.
    A patch that fails is skipped, with a note.
    """
    patches: dict[str, Patch] = {"forward pass": patch_modules}
    if model.device.type == "cuda":
        patches |= {"set of kernels": patch_fused}
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


def patch_modules(model: Any, replaced: Replacements) -> bool:
    """Replace the forwards of Qwen3.5's modules. False if the layers' outputs then differ."""
    layers = layers_of_each_kind(model)
    if not layers:
        return True
    from polaris_cli.engines.kernels.one_token import FORWARDS

    before = outputs(model, layers)
    _replace_all(model, FORWARDS, replaced)
    return all(map(close, before, outputs(model, layers)))


def patch_fused(model: Any, replaced: Replacements) -> bool:
    """Use Triton's kernels if they are faster. False if the layers' outputs then differ."""
    layers = layers_of_each_kind(model)
    if not layers or not has_triton():
        return True
    took = seconds(model, layers)
    same = fuse(model, replaced)
    if same and seconds(model, layers) > took:
        replaced.undo()
    return same


def has_triton() -> bool:
    """Whether Triton is installed (torch brings it where there is CUDA) and can launch kernels.

    Outside Windows it compiles a small C file for that.
    """
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    compiles = os.name == "nt" or bool(compiler and header.exists())
    return compiles and importlib.util.find_spec("triton") is not None


def fuse(model: Any, replaced: Replacements) -> bool:
    """Replace forwards by those with Triton's kernels. False if the layers' outputs then differ."""
    from polaris_cli.engines.kernels.fused import FORWARDS

    layers = layers_of_each_kind(model)
    before = [outputs(model, layers, static=static) for static in (False, True)]
    _replace_all(model, FORWARDS, replaced)
    after = [outputs(model, layers, static=static) for static in (False, True)]
    return all(map(close, chain(*before), chain(*after)))


def _replace_all(model: Any, forwards: Makers, replaced: Replacements) -> None:
    for module in model.modules():
        if make := forwards.get(type(module).__name__):
            replaced.replace(module, make(module))


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
