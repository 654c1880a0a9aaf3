"""The local engine: a model's files become a loaded transformers model that streams text.

Knows loading: precision, device, what can go wrong. The prompt is `chat`'s matter, the loop over
tokens `decode`'s, where the files come from `hub`'s.
"""

import importlib.util
import json
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
)

from polaris_cli import devices, hub, memory
from polaris_cli.cache import ModelRef
from polaris_cli.devices import Device, size_text
from polaris_cli.engines import MayEnd, Message, ModelInfo, always
from polaris_cli.engines.chat import Chat
from polaris_cli.engines.decode import context_length, decode, stop_ids
from polaris_cli.engines.fast_cpu import quicken
from polaris_cli.engines.quantizers import Packed, bitsandbytes, kernel_of
from polaris_cli.engines.static import supports
from polaris_cli.engines.storing import store, way_for
from polaris_cli.errors import ModelUnavailable, OutOfMemory, PolarisError
from polaris_cli.events import RawEvent
from polaris_cli.hub_errors import corrupt, not_for_text
from polaris_cli.memory import Plan, Precision
from polaris_cli.request import Quantize, Sampling

DTYPE = torch.bfloat16
TINY = 100_000_000  # bytes of weights below which a processor computes faster in float32


class LocalEngine:
    """A model in the memory of this machine; see `polaris_cli.engines.Engine`."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        info: ModelInfo,
        load_seconds: float,
        *,
        static: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.info = info
        self.notes = notes  # sentences for the user on what went otherwise than it should
        self.context = context_length(model)
        self.load_seconds = load_seconds
        self._model, self._tokenizer = model, tokenizer
        self._static = static
        self._chat = Chat(tokenizer)
        self._stop_ids = stop_ids(model, tokenizer)

    def stream(
        self,
        messages: tuple[Message, ...],
        sampling: Sampling,
        max_new_tokens: int,
        *,
        opening: Sequence[int] = (),
        after: Sequence[int] = (),
        may_end: MayEnd = always,
    ) -> Iterator[RawEvent]:
        """Yield the model's answer to the messages as it comes, then one Finish."""
        inside = self.opens_thinking(sampling)
        # Some templates open the thinking whatever is asked: an opening is the story's, not its.
        closing = self._chat.closing_ids() if opening and inside else ()
        return decode(
            self._model,
            self._tokenizer,
            self._chat.prompt_ids(messages, thinking=sampling.thinks),
            sampling,
            max_new_tokens=max_new_tokens,
            stop_ids=self._stop_ids,
            inside_thinking=inside and not opening,
            opening=(*closing, *opening),
            after=after,
            told=self.encode("\n\n".join(message.told for message in messages if message.told)),
            may_end=may_end,
            static=self._static,
        )

    def opens_thinking(self, sampling: Sampling) -> bool:
        """Whether the answer begins inside the thinking."""
        return self._chat.opens_thinking(thinking=sampling.thinks)

    def encode(self, text: str) -> tuple[int, ...]:
        """The tokens of a text within an answer."""
        return self._chat.text_ids(text)

    def count_tokens(self, messages: tuple[Message, ...], sampling: Sampling) -> int:
        """How many tokens the prompt of these messages has."""
        return len(self._chat.prompt_ids(messages, thinking=sampling.thinks))


def load(
    model: str,
    *,
    revision: str | None = None,
    quantize: Quantize = "auto",
    device: str = "auto",
    compile: bool = True,
    context_tokens: int,
    on_progress: Callable[[float], None] | None = None,
) -> LocalEngine:
    """Load a model, fetching it first if it is not on this machine.

    `compile` lets a CUDA device record its steps, `context_tokens` is the length of the longest
    sequence that must fit, `on_progress` is told the share of the weights loaded. Raises
    ModelUnavailable when the model cannot be had or read, OutOfMemory when it does not fit the
    device, UsageError for a device that is not there.
    """
    start = time.monotonic()
    weights, tokenizer, info = load_stock(
        model,
        revision=revision,
        quantize=quantize,
        device=device,
        context_tokens=context_tokens,
        on_progress=on_progress,
    )
    kind = weights.device.type
    notes = quicken(weights).notes if kind != "mps" else ()
    static = compile and kind == "cuda" and supports(weights)
    seconds = time.monotonic() - start
    return LocalEngine(weights, tokenizer, info, seconds, static=static, notes=notes)


def load_stock(
    model: str,
    *,
    revision: str | None = None,
    quantize: Quantize = "auto",
    device: str = "auto",
    context_tokens: int,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[Any, Any, ModelInfo]:
    """As `load`: the model as transformers made it, its tokenizer and what it is."""
    reference = hub.resolve(model, revision)
    chosen = devices.pick(device, devices.list_devices(with_torch=True))
    folder = hub.ensure(reference)
    config = read_config(reference, folder)
    plan = _plan(reference, folder, config, chosen, quantize, context_tokens)
    tokenizer = load_tokenizer(reference, folder)
    weights, kernel = load_weights(reference, folder, plan, on_progress)
    return weights, tokenizer, model_info(reference, folder, config, plan, kernel)


def read_config(reference: ModelRef, folder: Path) -> dict[str, Any]:
    """The model's `config.json`. Raises ModelUnavailable if it is damaged or not for text."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise corrupt(reference, "config.json cannot be read") from error
    if not isinstance(config, dict):
        raise corrupt(reference, "config.json holds no settings")
    hub.check_config(reference, config)
    return config


def _plan(
    reference: ModelRef,
    folder: Path,
    config: Mapping[str, Any],
    device: Device,
    quantize: Quantize,
    tokens: int,
) -> Plan:
    try:
        size = memory.size_of_folder(folder, config)
    except (OSError, ValueError) as error:
        raise corrupt(reference, "a weight file cannot be read") from error
    plan = memory.choose_quantization(size, device, quantize, tokens)
    if plan.quantize != "none" and not importlib.util.find_spec("bitsandbytes"):
        raise no_bitsandbytes(plan.quantize)
    return plan


def load_tokenizer(reference: ModelRef, folder: Path) -> Any:
    """The model's tokenizer. Raises ModelUnavailable if it cannot be read."""
    with _quiet():
        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # tokenizers raises bare Exceptions
            raise corrupt(reference, "the tokenizer cannot be read") from error


def load_weights(
    reference: ModelRef,
    folder: Path,
    plan: Plan,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[Any, str]:
    """The model itself, on its device and ready to run, and the kernel of its quantized matrices.

    Raises what `explain` words.
    """
    way = quantization(plan, folder)
    later = way if isinstance(way, Packed) else None
    try:
        with _quiet(None if later else on_progress):
            model, found = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=number_format(plan),
                device_map={"": plan.device.id},
                quantization_config=None if later else way,
                local_files_only=True,
                output_loading_info=True,
            )
            if later:
                store(model, later, on_progress)
    except Exception as error:
        sentence = explain(error, reference, plan)
        if sentence is None:
            raise
        raise sentence from error
    if found["missing_keys"]:
        # transformers would fill them with random numbers, and the text would be noise.
        raise corrupt(reference, f"{len(found['missing_keys'])} weights are missing")
    return model.eval(), kernel_of(way)


def number_format(plan: Plan) -> torch.dtype:
    """What the model computes in: bf16, but float32 for a tiny model on a processor.

    There the format costs no time, and rounding can turn no token into another when a story is
    taken up again.
    """
    tiny = plan.device.kind == "cpu" and plan.memory.weights < TINY and plan.quantize == "none"
    return torch.float32 if tiny else DTYPE


def quantization(plan: Plan, folder: Path) -> Any:
    """How the matrices are stored; None for weights as they are."""
    if plan.quantize == "none":
        return None
    # The plan counts nf4; the other ways' 4 bits take up to a tenth more.
    room = plan.device.free_bytes - plan.memory.total >= plan.memory.weights // 10
    with suppress(Exception):  # a trial that fails must not stop what it only was to make faster
        return way_for(_shapes_alone(folder), plan.quantize, plan.device.id, room=room)
    return bitsandbytes(plan.quantize)


def _shapes_alone(folder: Path) -> Any:
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):  # takes no memory
        return AutoModelForCausalLM.from_config(_text_part(config))


def _text_part(config: Any) -> Any:
    """What `from_pretrained` takes of a config; `from_config` took all of it in older releases."""
    kind = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    text = config.get_text_config()
    return text if getattr(kind, "config_class", None) is type(text) else config


def model_info(
    reference: ModelRef, folder: Path, config: Mapping[str, Any], plan: Plan, kernel: str
) -> ModelInfo:
    """What is recorded of the model as it really runs."""
    stored = (config.get("quantization_config") or {}).get("quant_method")
    return ModelInfo(
        name=reference.name,
        id=reference.id,
        revision=folder.name if folder.parent.name == "snapshots" else reference.revision,
        engine="local",
        quantization=str(stored or plan.quantize),
        kernel=kernel,
        dtype=str(number_format(plan)).removeprefix("torch."),
        device=plan.device.id,
    )


@contextmanager
def _quiet(on_progress: Callable[[float], None] | None = None) -> Iterator[None]:
    """Keep the libraries off stderr, for good, and report the weights loaded inside the block."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(bitsandbytes|transformers|torch)\b")

    def hook(factory: Callable[..., Any], args: Any, options: Any) -> Any:
        if on_progress and args and hasattr(args[0], "__len__"):
            return _reported(args[0], on_progress)
        return factory(*args, **options)

    # Older releases of transformers 5 have no such hook: there is no progress then.
    set_hook = getattr(transformers.logging, "set_tqdm_hook", lambda hook: None)
    previous = set_hook(hook)
    try:
        yield
    finally:
        set_hook(previous)


def _reported(items: Any, on_progress: Callable[[float], None]) -> Iterable[Any]:
    for done, item in enumerate(items):
        on_progress(done / len(items))
        yield item
    on_progress(1.0)


def explain(error: BaseException, reference: ModelRef, plan: Plan) -> PolarisError | None:
    """The sentence for what loading can raise; None for an error that nobody expects."""
    text = str(error)
    match error:
        case SafetensorError():
            return corrupt(reference, "a weight file cannot be read")
        case torch.OutOfMemoryError():
            return _out_of_memory(reference, plan)
        case RuntimeError() if "allocate" in text or "out of memory" in text:
            return _out_of_memory(reference, plan)
        case RuntimeError() if "mismatch" in text or "conversion of the weights" in text:
            return corrupt(reference, "the weights do not match config.json")
        case ImportError() if "bitsandbytes" in text:
            return no_bitsandbytes(plan.quantize)
        case ImportError():
            return ModelUnavailable(
                f"{reference.name} needs a package that is not installed: {_first_line(text)}",
                hint="Install what the message names, or choose another model: polaris models",
            )
        case ValueError() | KeyError() if _unknown_kind(text):
            why = f"transformers {transformers.__version__} knows no such model type"
            return not_for_text(reference, why)
        case OSError():
            return corrupt(reference, _first_line(text))
    return None


def _unknown_kind(text: str) -> bool:
    signs = ("model type", "nrecognized configuration class", "nrecognized model")
    return any(sign in text for sign in signs)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".")


def _out_of_memory(reference: ModelRef, plan: Plan) -> OutOfMemory:
    smaller = "--quantize 4bit" if plan.quantize == "none" else "a smaller --model, or --device cpu"
    return OutOfMemory(
        f"{plan.device.id} ran out of memory while {reference.name} was loaded: it needs about "
        f"{size_text(plan.memory.total)}, {size_text(plan.device.free_bytes)} were free.",
        hint=f"Close what else uses the memory, or try {smaller}",
    )


def no_bitsandbytes(precision: Precision) -> ModelUnavailable:
    """The weights are to be quantized, and the package for it is missing."""
    return ModelUnavailable(
        f"Loading in {precision.replace('bit', '-bit')} needs bitsandbytes, which is missing.",
        hint="pip install bitsandbytes, or add --quantize none",
    )
