"""What the libraries raise while a model is loaded or run, in words: one table, `TABLE`.

Pure functions of an exception and of what was being read; `library_errors` and `run_errors` apply
them around calls of transformers, torch, tokenizers and jinja2, and around nothing else. Knows no
folder and loads nothing.
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
from polaris_cli.models.devices import size_text
from polaris_cli.models.hub_errors import causes, corrupt, not_for_text
from polaris_cli.models.memory import Plan, Precision
from polaris_cli.models.reference import ModelRef

SETTINGS, TOKENIZER, WEIGHTS = "config.json", "the tokenizer", "the weights"
PANIC = "PanicException"  # what a fault in Rust becomes: a BaseException that cannot be imported
NO_MEMORY = r"allocate|out of memory|not enough memory|ALLOC_FAILED"
LONG = 200  # characters of what a library says
OTHER = "Choose another model: polaris models"


@dataclass(frozen=True, slots=True)
class Case:
    """What was being loaded: of which model, which part of it, in which way if that is settled."""

    reference: ModelRef
    part: str
    plan: Plan | None = None


Sentence = Callable[[BaseException, Case], PolarisError]


@dataclass(frozen=True, slots=True)
class Row:
    """Exceptions of these kinds, with `pattern` in their text, while `part` was read."""

    kinds: tuple[type[BaseException], ...]
    sentence: Sentence
    pattern: str = ""
    part: str = ""

    def fits(self, error: BaseException, case: Case) -> bool:
        """Whether the row is for this exception."""
        return (
            isinstance(error, self.kinds)
            and self.part in ("", case.part)
            and bool(re.search(self.pattern, str(error)))
        )


def explain(error: BaseException, case: Case) -> PolarisError:
    """The sentence for what a library has raised; an error that no row fits is named itself."""
    for link in causes(error):
        for row in TABLE:
            if row.fits(link, case):
                return row.sentence(link, case)
    return ModelUnavailable(
        f"{case.reference.name} cannot be loaded, reading {case.part} failed: {_named(error)}.",
        hint=DEBUG_HINT,
    )


@contextmanager
def library_errors(case: Case) -> Iterator[None]:
    """Turn what a library raises inside the block into a sentence."""
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
    """Turn what a model raises when it is run into ModelUnavailable; being out of memory stays."""
    try:
        yield
    except BaseException as error:
        ours = isinstance(error, PolarisError | MemoryError) or not is_library_error(error)
        if ours or re.search(NO_MEMORY, str(error)):
            raise
        raise ModelUnavailable(
            f"The model cannot be run, its files do not fit each other: {_named(error)}.",
            hint=f"{OTHER}. {DEBUG_HINT}",
        ) from error


def is_library_error(error: BaseException) -> bool:
    """Whether it is an error at all, and no signal to end."""
    return isinstance(error, Exception) or type(error).__name__ == PANIC


# The sentences.


def out_of_memory(error: BaseException, case: Case) -> OutOfMemory:
    """The device has no room for the model after all."""
    plan = case.plan
    if plan is None:
        return OutOfMemory(f"The memory ran out while {case.reference.name} was read.", hint=OTHER)
    smaller = "--quantize 4bit" if plan.quantize == "none" else "a smaller --model, or --device cpu"
    return OutOfMemory(
        f"{plan.device.id} ran out of memory while {case.reference.name} was loaded: it needs "
        f"about {size_text(plan.memory.total)}, {size_text(plan.device.free_bytes)} were free.",
        hint=f"Close what else uses the memory, or try {smaller}",
    )


def needs_code(error: BaseException, case: Case) -> ModelUnavailable:
    """transformers would have to run what the folder brings along."""
    return code_of_its_own(case.reference)


def code_of_its_own(reference: ModelRef) -> ModelUnavailable:
    """The folder brings Python along that would have to run."""
    return ModelUnavailable(
        f"{reference.name} needs Python code of its own, which polaris does not run.",
        hint="Choose a model of a kind that transformers knows itself: polaris models",
    )


def unsafe(error: BaseException, case: Case) -> ModelUnavailable:
    """The weights are a pickle that is more than numbers."""
    return ModelUnavailable(
        f"{case.reference.name} needs safetensors, or weights that torch's safe loading accepts: "
        "its file of weights is a program as well.",
        hint="Get the model as model.safetensors, or choose another: polaris models",
    )


def needs_package(error: BaseException, case: Case) -> ModelUnavailable:
    """A package is missing; transformers says which."""
    text = " ".join(str(error).split())
    named = re.search(r"pip install (?:-U |--upgrade )*['\"]?([\w.-]+(?:\[\w+\])?)", text)
    if case.plan and case.plan.quantize != "none" and "bitsandbytes" in text:
        return no_bitsandbytes(case.plan.quantize)
    install = f"pip install {named[1]}" if named else "Install what the message names"
    return ModelUnavailable(
        f"{case.reference.name} needs a package that is not installed: {_first_line(error)}.",
        hint=f"{install}, or choose another model: polaris models",
    )


def needs_device(error: BaseException, case: Case) -> ModelUnavailable:
    """The weights are stored in a way that this device cannot compute with."""
    return ModelUnavailable(
        f"{case.reference.name} cannot be loaded on this device: {_first_line(error)}.",
        hint="Take a machine with a graphics card, or the model in another form: polaris models",
    )


def unknown_kind(error: BaseException, case: Case) -> ModelUnavailable:
    """transformers has no class for it."""
    why = f"transformers {transformers.__version__} knows no such model type"
    return not_for_text(case.reference, why)


def damaged(detail: str) -> Sentence:
    """A sentence that says no more than which file or part is damaged."""
    return lambda error, case: corrupt(case.reference, detail or _first_line(error))


def unreadable(error: BaseException, case: Case) -> ModelUnavailable:
    """The part that was being read is damaged."""
    return corrupt(case.reference, f"{case.part} cannot be read")


def wrong_setting(error: BaseException, case: Case) -> ModelUnavailable:
    """A setting has a value that it cannot have."""
    return corrupt(case.reference, f"{case.part}: {_cut(' '.join(str(error).split()))}")


def missing_file(error: BaseException, case: Case) -> ModelUnavailable:
    """A file is not there."""
    name = str(getattr(error, "filename", "") or "").replace("\\", "/").rpartition("/")[2]
    return corrupt(case.reference, f"{name} is missing" if name else _first_line(error))


def template(error: BaseException, case: Case) -> ModelUnavailable:
    """The chat template is no program that jinja2 can run."""
    return corrupt(case.reference, f"the chat template: {_first_line(error)}")


def no_bitsandbytes(precision: Precision) -> ModelUnavailable:
    """The weights are to be quantized, and the package for it is missing."""
    return ModelUnavailable(
        f"Loading in {precision.replace('bit', '-bit')} needs bitsandbytes, which is missing.",
        hint="pip install bitsandbytes, or add --quantize none",
    )


def _first_line(error: BaseException) -> str:
    return _cut(str(error).strip().partition("\n")[0])


def _cut(text: str) -> str:
    return f"{text[:LONG]}…" if len(text) > LONG else text.rstrip(".: ")


def _named(error: BaseException) -> str:
    line = _first_line(error)
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


# The first row that fits is taken.
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
    Row((UnicodeError, RecursionError), unreadable),  # a ValueError, as JSON's own errors are
    Row((FileNotFoundError,), missing_file),
    Row((BaseException,), unreadable, part=TOKENIZER),  # tokenizers raises bare Exceptions
    Row((OSError,), damaged("")),
)
