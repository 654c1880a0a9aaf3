"""Loads a model's files as a transformers model and its tokenizer, and checks them.

Chooses precision and device. `loading_errors` explains the exceptions, `hub` gets the files. Never
runs Python code from a model's folder. Does not know what the model is used for.
"""

import importlib.util
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
)
from transformers.models.auto.tokenization_auto import (
    get_tokenizer_config,
    tokenizer_class_from_name,
)

from polaris_cli.engines.base import ModelInfo
from polaris_cli.engines.channels import needs_server
from polaris_cli.engines.local import gguf_loading as gguf
from polaris_cli.engines.local.chat import Chat
from polaris_cli.engines.local.cpu_threads import nothing, set_threads
from polaris_cli.engines.local.forward import step_threads, takes_one_thread
from polaris_cli.engines.local.loading_errors import (
    SETTINGS,
    TOKENIZER,
    WEIGHTS,
    Case,
    code_of_its_own,
    library_errors,
    no_bitsandbytes,
)
from polaris_cli.engines.local.quiet import quiet
from polaris_cli.engines.quantize.apply import (
    choose_method,
    disable_packing_of_odd_shapes,
    quantize_layers,
)
from polaris_cli.engines.quantize.quantizers import Packed, bitsandbytes, kernel_of
from polaris_cli.models import devices, hub, memory
from polaris_cli.models.cache import gguf_path
from polaris_cli.models.devices import Device
from polaris_cli.models.gguf_files import gguf_facts
from polaris_cli.models.hub_errors import corrupt
from polaris_cli.models.memory import LoadPlan, ModelSize, text_settings
from polaris_cli.models.model_files import (
    adapter_note,
    as_computed,
    check_others,
    measured,
    read_config,
    stored_as,
)
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.weights import file_bytes, listed
from polaris_cli.request.story_request import Quantize

DTYPE = torch.bfloat16
TINY = 100_000_000  # bytes of weights below which a CPU uses float32
SLACK = 64_000_000  # values that a model may have beyond its files: masks, rotary angles, positions
NO_ADAPTER = {"subfolder": "no-adapter"}  # no such folder, so transformers loads no adapter
NO_TEMPLATE = "The model has no chat template: it gets only the text of the prompt."


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model as transformers loads it, its tokenizer, its `ModelInfo`, and notes for the user.

    `restore_threads` takes back the number of threads that was set for it.
    """

    model: Any
    tokenizer: Any
    info: ModelInfo
    notes: tuple[str, ...] = ()
    restore_threads: Callable[[], None] = nothing


def load_model(
    reference: ModelRef,
    *,
    quantize: Quantize = "auto",
    device: str = "auto",
    threads: int | None = None,
    context_tokens: int,
    on_progress: Callable[[float], None] | None = None,
) -> LoadedModel:
    """Load a model without our faster forwards; arguments and errors are those of `local.load`."""
    chosen = devices.pick(device, devices.list_devices(with_torch=True))
    setting = set_threads(threads, chosen)
    load = _load_gguf if reference.is_gguf else _load_folder
    with ExitStack() as failed:
        failed.callback(setting.restore)
        loaded = load(reference, chosen, quantize, context_tokens, on_progress)
        failed.pop_all()
    used = step_threads(loaded.model) if threads or chosen.kind == "cpu" else None
    info = replace(loaded.info, threads=used)
    # Small models take one thread, whatever was chosen.
    notes = () if takes_one_thread(loaded.model) else setting.notes
    notes = (*loaded.notes, *notes)
    return replace(loaded, info=info, notes=notes, restore_threads=setting.restore)


def _load_folder(
    reference: ModelRef,
    device: Device,
    quantize: Quantize,
    tokens: int,
    on_progress: Callable[[float], None] | None,
) -> LoadedModel:
    folder = hub.ensure(reference)
    config = read_config(reference, folder)
    check_others(reference, folder)
    size = as_computed(measured(reference, folder, config), config, device.kind)
    meta = meta_model(reference, folder, config)
    plan = _plan(size, device, quantize, tokens)
    tokenizer = load_tokenizer(reference, folder)
    check_template(reference, tokenizer)
    weights, kernel = load_weights(reference, folder, plan, quantization(plan, meta), on_progress)
    notes = (adapter_note(folder), "" if tokenizer.chat_template else NO_TEMPLATE)
    revision = folder.name if folder.parent.name == "snapshots" else reference.revision
    info = model_info(reference, revision, stored_as(config) or plan.quantize, plan, kernel)
    return LoadedModel(weights, tokenizer, info, tuple(filter(None, notes)))


def _load_gguf(
    reference: ModelRef,
    device: Device,
    quantize: Quantize,
    tokens: int,
    on_progress: Callable[[float], None] | None,
) -> LoadedModel:
    hub.ensure(reference)
    file = gguf_path(reference)
    assert file
    gguf.check(file)
    file_type = gguf_facts(file).quantization
    with gguf.read_once(on_progress):
        settings = gguf.read_settings(reference, file)
        meta = gguf.meta_model_of(reference, settings)
        size = memory.size_of_model(meta, settings.to_dict())
        plan = _plan(size, device, quantize, tokens)
        gguf.check_room(file, size, devices.list_devices(with_torch=True)[-1])
        tokenizer = gguf.tokenizer_of(reference, file, settings)
        check_template(reference, tokenizer)
        method = quantization(plan, meta)
        with quiet(), library_errors(Case(reference, WEIGHTS, plan)):
            model, missing = gguf.plain_weights(file, settings, number_format(plan))
            check_whole(reference, model, missing)
            if isinstance(method, Packed):
                quantize_layers(model, method, device=device.id)
                model.to(device.id)
            elif method:
                model = gguf.quantized(model, method, device.id)
            else:
                model = model.to(device.id)
    ran = _joined(file_type, plan.quantize)
    info = model_info(reference, reference.revision, ran, plan, kernel_of(method))
    notes = () if tokenizer.chat_template else (NO_TEMPLATE,)
    return LoadedModel(model.eval(), tokenizer, info, notes)


def _joined(file_type: str, again: str) -> str:
    """The type of a GGUF file, and that to which its weights were quantized again, if they were."""
    return ", ".join(part for part in (file_type, again) if part not in ("", "none")) or "none"


def meta_model(reference: ModelRef, folder: Path, config: Mapping[str, Any]) -> Any:
    """The model on torch's meta device: without weights, so it takes no memory.

    Raises ModelUnavailable if it is far larger than its files: loading would allocate memory for
    all missing weights.
    """
    _check_implementations(reference, config)
    with quiet(), library_errors(Case(reference, SETTINGS)):
        settings = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(text_part(settings), trust_remote_code=False)
        numbers = sum(part.numel() for part in (*model.parameters(), *model.buffers()))
    # Usually two bytes per weight, or at least one bit for a quantized model.
    most = file_bytes(folder) * (8 if stored_as(config) else 1) + SLACK
    if numbers > most:
        raise corrupt(reference, f"{SETTINGS} describes {numbers:,} weights, more than the files")
    return model


def text_part(config: Any) -> Any:
    """The part of a config that `from_pretrained` uses.

    `from_config` of older releases would use all of a multimodal config.
    """
    kind = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    text = config.get_text_config()
    return text if getattr(kind, "config_class", None) is type(text) else config


def _check_implementations(reference: ModelRef, config: Mapping[str, Any]) -> None:
    """Raise ModelUnavailable if the config names code on the hub, such as owner/kernel.

    transformers would download and run it if the package `kernels` is installed.
    """
    for settings in (config, text_settings(config)):
        named = [settings[key] for key in settings if key.endswith("_implementation")]
        if any("/" in str(name) for name in named):
            raise code_of_its_own(reference)


def _plan(size: ModelSize, device: Device, quantize: Quantize, tokens: int) -> LoadPlan:
    plan = memory.choose_quantization(size, device, quantize, tokens)
    if plan.quantize != "none" and not importlib.util.find_spec("bitsandbytes"):
        raise no_bitsandbytes(plan.quantize)
    return plan


def load_tokenizer(reference: ModelRef, folder: Path) -> Any:
    """The model's tokenizer. Raises ModelUnavailable if it cannot be read or needs its own code."""
    with quiet(), library_errors(Case(reference, TOKENIZER)):
        _check_class(reference, folder)
        tokenizer = AutoTokenizer.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            mistral_format=False,  # the tokenizer of mistral-common, which lacks added tokens
        )
        tokenizer.decode(tokenizer.encode("A story."))  # some wrong settings only show in use
        return tokenizer


def check_template(reference: ModelRef, tokenizer: Any) -> None:
    """Raise ModelUnavailable for a model that answers in channels, which only servers separate.

    Also for a tokenizer that cannot do all that a chat needs.
    """
    with library_errors(Case(reference, TOKENIZER)):
        if Chat(tokenizer).answers_in_channels():
            raise needs_server(reference.name)


def _check_class(reference: ModelRef, folder: Path) -> None:
    """Raise ModelUnavailable if only the folder's own code has the tokenizer's class.

    transformers would use its generic class instead, which might give other tokens.
    """
    config = get_tokenizer_config(folder, local_files_only=True)
    name = str(config.get("tokenizer_class") or "")
    known = (name, f"{name}Fast", name.removesuffix("Fast"))
    if name and "auto_map" in config and not any(map(tokenizer_class_from_name, known)):
        raise code_of_its_own(reference)


def load_weights(
    reference: ModelRef,
    folder: Path,
    plan: LoadPlan,
    method: Any = None,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[Any, str]:
    """The model on its device, ready to run, and the kernel of its quantized layers.

    Raises ModelUnavailable for damaged weights, OutOfMemory if the device runs out of memory.
    """
    later = method if isinstance(method, Packed) else None
    # Even None for this argument would override the quantization in config.json.
    stored = {} if later or method is None else {"quantization_config": method}
    with quiet(None if later else on_progress), library_errors(Case(reference, WEIGHTS, plan)):
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=number_format(plan),
            device_map={"": "cpu" if later else plan.device.id},
            adapter_kwargs=dict(NO_ADAPTER),
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **stored,
        )
        check_whole(reference, model, found["missing_keys"])
        if later:  # one layer at a time, as the device may have no room for all in bf16
            quantize_layers(model, later, on_progress, device=plan.device.id)
            model.to(plan.device.id)
        disable_packing_of_odd_shapes(model)
    return model.eval(), kernel_of(method)


@torch.inference_mode()
def check_whole(reference: ModelRef, model: Any, missing: Any) -> None:
    """Raise ModelUnavailable if weights are missing, or are NaN or infinite.

    transformers initializes missing weights at random, and the text would be noise.
    """
    if missing:
        raise corrupt(reference, f"{listed(sorted(missing))} missing in the weights")
    for name, weight in model.named_parameters():
        # aminmax reads the weights once, without a copy. It does not support float8, most formats
        # of which have no infinity.
        if weight.is_floating_point() and weight.itemsize > 1 and weight.numel():
            least, most = weight.aminmax()
            if not (least.isfinite() and most.isfinite()):
                raise corrupt(reference, f"{name} holds NaN or infinity")


def number_format(plan: LoadPlan) -> torch.dtype:
    """The dtype to compute in: bf16, but float32 for a tiny model on a CPU.

    There float32 costs no time, and rounding does not change tokens when a story is resumed.
    """
    tiny = plan.device.kind == "cpu" and plan.memory.weights < TINY and plan.quantize == "none"
    return torch.float32 if tiny else DTYPE


def quantization(plan: LoadPlan, meta: Any) -> Any:
    """How to quantize the model `meta` (on the meta device); None: load the weights as stored."""
    if plan.quantize == "none":
        return None
    # The plan's figures are for nf4; other 4-bit formats take up to a tenth more.
    room = plan.device.free_bytes - plan.memory.total >= plan.memory.weights // 10
    with suppress(Exception):  # a failed timing only costs speed, so it must not stop the loading
        return choose_method(meta, plan.quantize, plan.device.id, room=room)
    return bitsandbytes(plan.quantize)


def model_info(
    reference: ModelRef, revision: str | None, quantization: str, plan: LoadPlan, kernel: str
) -> ModelInfo:
    """The facts to record about the model as it runs."""
    return ModelInfo(
        name=reference.name,
        id=reference.id,
        revision=revision,
        engine="local",
        quantization=quantization,
        kernel=kernel,
        dtype=str(number_format(plan)).removeprefix("torch."),
        device=plan.device.id,
        device_name=plan.device.name,
    )
