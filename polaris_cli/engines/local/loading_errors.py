"""Explains the exceptions that libraries raise while a model is loaded or run; see `TABLE`.

Pure functions of an exception and of what was being read. `library_errors` and `run_errors` apply
them, around calls of transformers, torch, tokenizers and jinja2 only. Reads and loads nothing.
"""

import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from jinja2 import TemplateError
from safetensors import SafetensorError

from polaris_cli.errors import DEBUG_HINT, ModelUnavailable, OutOfMemory, PolarisError
from polaris_cli.models import hub_errors
from polaris_cli.models.devices import size_text
from polaris_cli.models.hub_errors import causes, corrupt, not_for_text
from polaris_cli.models.memory import LoadPlan, Precision
from polaris_cli.models.reference import ModelRef

SETTINGS, TOKENIZER, WEIGHTS = "config.json", "the tokenizer", "the weights"
PANIC = "PanicException"  # a panic in Rust code; a BaseException that cannot be imported
NO_MEMORY = r"allocate|out of memory|not enough memory|ALLOC_FAILED"
LONG = 200  # characters of a library's message to show at most
OTHER = "Choose another model: polaris models"


@dataclass(frozen=True, slots=True)
class Case:
    """What was being loaded: the model, the part of it, and the plan once there is one."""

    reference: ModelRef
    part: str
    plan: LoadPlan | None = None


Explanation = Callable[[BaseException, Case], PolarisError]


@dataclass(frozen=True, slots=True)
class Row:
    """Matches exceptions of these kinds whose text matches `pattern`, raised while reading `part`.

    An empty pattern or part matches any.
    """

    kinds: tuple[type[BaseException], ...]
    explanation: Explanation
    pattern: str = ""
    part: str = ""

    def fits(self, error: BaseException, case: Case) -> bool:
        """Whether the row matches this exception."""
        return (
            isinstance(error, self.kinds)
            and self.part in ("", case.part)
            and bool(re.search(self.pattern, str(error)))
        )


def explain(error: BaseException, case: Case) -> PolarisError:
    """A library's exception, or one of its causes, explained by the first row that matches.

    If no row matches, the message quotes the exception.
    """
    for link in causes(error):
        for row in TABLE:
            if row.fits(link, case):
                return row.explanation(link, case)
    return ModelUnavailable(
        f"{case.reference.name} cannot be loaded: reading {case.part} failed: {_quoted(error)}.",
        hint=DEBUG_HINT,
    )


@contextmanager
def library_errors(case: Case) -> Iterator[None]:
    """Turn a library's exceptions inside the block into PolarisError."""
    try:
        yield
    except PolarisError:
        raise
    except BaseException as error:
        if not is_library_error(error):
            raise
        raise explain(error, case) from error


@contextmanager
def run_errors() -> Iterator[None]:
    """Turn the exceptions of a running model into ModelUnavailable, except out of memory."""
    try:
        yield
    except BaseException as error:
        ours = isinstance(error, PolarisError | MemoryError) or not is_library_error(error)
        if ours or re.search(NO_MEMORY, str(error)):
            raise
        raise ModelUnavailable(
            f"The model cannot be run, as its files do not match each other: {_quoted(error)}.",
            hint=f"{OTHER}. {DEBUG_HINT}",
        ) from error


def is_library_error(error: BaseException) -> bool:
    """Whether it is an error or a Rust panic, not KeyboardInterrupt or the like."""
    return isinstance(error, Exception) or type(error).__name__ == PANIC


# The explanations.


def out_of_memory(error: BaseException, case: Case) -> OutOfMemory:
    """The device ran out of memory, though the plan said that the model fits."""
    plan = case.plan
    if plan is None:
        return OutOfMemory(f"The memory ran out while reading {case.reference.name}.", hint=OTHER)
    smaller = "--quantize 4bit" if plan.quantize == "none" else "a smaller --model, or --device cpu"
    return OutOfMemory(
        f"{plan.device.id} ran out of memory while loading {case.reference.name}: it needs about "
        f"{size_text(plan.memory.total)}, and {size_text(plan.device.free_bytes)} was free.",
        hint=f"Close other programs that use the memory, or try {smaller}",
    )


def needs_code(error: BaseException, case: Case) -> ModelUnavailable:
    """transformers asks to run code from the model's folder."""
    return code_of_its_own(case.reference)


def code_of_its_own(reference: ModelRef) -> ModelUnavailable:
    """The model needs Python code from its own folder or from the hub."""
    return ModelUnavailable(
        f"{reference.name} needs Python code of its own, which polaris does not run.",
        hint="Choose a model that transformers supports itself: polaris models",
    )


def unsafe(error: BaseException, case: Case) -> ModelUnavailable:
    """The weight file is a pickle with code in it."""
    return ModelUnavailable(
        f"{case.reference.name} has a weight file that could run code, so torch's safe loading "
        "refuses it.",
        hint="Get the model as model.safetensors, or choose another: polaris models",
    )


def needs_package(error: BaseException, case: Case) -> ModelUnavailable:
    """A package is missing; its name is in the message of transformers."""
    text = " ".join(str(error).split())
    named = re.search(r"pip install (?:-U |--upgrade )*['\"]?([\w.-]+(?:\[\w+\])?)", text)
    if case.plan and case.plan.quantize != "none" and "bitsandbytes" in text:
        return no_bitsandbytes(case.plan.quantize)
    install = f"pip install {named[1]}" if named else "Install the package in the message"
    return ModelUnavailable(
        f"{case.reference.name} needs a package that is not installed: {_first_line(error)}.",
        hint=f"{install}, or choose another model: polaris models",
    )


def needs_device(error: BaseException, case: Case) -> ModelUnavailable:
    """The weights are quantized in a format that this device does not support."""
    return ModelUnavailable(
        f"{case.reference.name} cannot be loaded on this device: {_first_line(error)}.",
        hint="Use a machine with a GPU, or another format of the model: polaris models",
    )


def unknown_kind(error: BaseException, case: Case) -> ModelUnavailable:
    """transformers has no class for this model type."""
    why = f"transformers {transformers.__version__} does not know its model type"
    return not_for_text(case.reference, why)


def damaged(detail: str) -> Explanation:
    """An explanation with this detail, or with the exception's first line if it is empty."""
    return lambda error, case: corrupt(case.reference, detail or _first_line(error))


def unreadable(error: BaseException, case: Case) -> ModelUnavailable:
    """The part that was being read is damaged, or may not be read."""
    return hub_errors.unreadable(case.reference, case.part, error)


def wrong_setting(error: BaseException, case: Case) -> ModelUnavailable:
    """A setting has an invalid value."""
    return corrupt(case.reference, f"{case.part}: {_cut(' '.join(str(error).split()))}")


def missing_file(error: BaseException, case: Case) -> ModelUnavailable:
    """A file is missing."""
    name = str(getattr(error, "filename", "") or "").replace("\\", "/").rpartition("/")[2]
    return corrupt(case.reference, f"{name} is missing" if name else _first_line(error))


def template(error: BaseException, case: Case) -> ModelUnavailable:
    """jinja2 cannot run the chat template."""
    return corrupt(case.reference, f"the chat template: {_first_line(error)}")


def no_bitsandbytes(precision: Precision) -> ModelUnavailable:
    """Quantizing to this precision needs bitsandbytes, which is not installed."""
    return ModelUnavailable(
        f"Loading in {precision.replace('bit', '-bit')} needs bitsandbytes, which is missing.",
        hint="pip install bitsandbytes, or add --quantize none",
    )


def _first_line(error: BaseException) -> str:
    return _cut(str(error).strip().partition("\n")[0])


def _cut(text: str) -> str:
    return f"{text[:LONG]}…" if len(text) > LONG else text.rstrip(".: ")


def _quoted(error: BaseException) -> str:
    line = _first_line(error)
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


# The first row that matches is used.
TABLE: tuple[Row, ...] = (
    Row((torch.OutOfMemoryError, MemoryError), out_of_memory),
    Row((RuntimeError,), out_of_memory, NO_MEMORY),
    Row((ValueError, OSError), needs_code, "trust_remote_code|custom code"),
    Row((pickle.UnpicklingError,), unsafe),
    Row((SafetensorError, EOFError), damaged("a weight file cannot be read"), part=WEIGHTS),
    Row((RuntimeError,), damaged("a weight file cannot be read"), "PytorchStreamReader|zip arch"),
    Row(
        (RuntimeError,),
        damaged("the weights do not match config.json"),
        "mismatch|conversion of the weights|size calculation overflowed",
    ),
    Row(
        (RuntimeError, ValueError, ImportError, NotImplementedError),
        needs_device,
        r"\b(GPU|XPU|CUDA|accelerator)\b.*\b(required|needed|found|available)\b"
        r"|(requires an?|supported on|contains a) (GPU|CUDA|CPU)\b",
    ),
    Row((ImportError,), needs_package),
    Row(
        (ValueError, KeyError),
        unknown_kind,
        "model type|nrecognized configuration class|nrecognized model",
    ),
    Row((StrictDataclassError,), wrong_setting),
    Row((TemplateError,), template),
    Row((UnicodeError, RecursionError), unreadable),
    Row((FileNotFoundError,), missing_file),
    Row((BaseException,), unreadable, part=TOKENIZER),  # tokenizers raises plain Exception
    Row((OSError,), damaged("")),
)
