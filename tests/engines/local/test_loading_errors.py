"""Exceptions of the libraries, explained: by a row of the table, or else quoted."""

import pickle
from typing import Any

import jinja2
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from polaris_cli.engines.local.loading_errors import (
    SETTINGS,
    TABLE,
    TOKENIZER,
    WEIGHTS,
    Case,
    explain,
    library_errors,
    run_errors,
)
from polaris_cli.errors import DEBUG_HINT, ModelUnavailable, OutOfMemory, UsageError
from polaris_cli.models.devices import Device
from polaris_cli.models.memory import LoadPlan, Memory
from polaris_cli.models.reference import ModelRef

MINE = ModelRef("mine", "owner/mine")
PLAN = LoadPlan("4bit", Device("cuda", 0, "card", 80, 8), Memory(6, 2, 1), "")
WHOLE = LoadPlan("none", Device("cpu", 0, "cpu", 80, 8), Memory(6, 2, 1), "")


class PanicException(BaseException):
    """Has the name of what tokenizers and safetensors raise for a panic in Rust."""


GONE = FileNotFoundError(2, "No such file or directory", "/a/folder/merges.txt")
UNICODE = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

CASES: list[tuple[BaseException, str, LoadPlan | None, int, str]] = [
    (torch.OutOfMemoryError("CUDA out of memory. Tried"), WEIGHTS, PLAN, 4, "cuda:0 ran out of"),
    (MemoryError(), TOKENIZER, None, 4, "memory ran out while reading mine"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), WEIGHTS, WHOLE, 4, "ran out"),
    (ValueError("Please pass `trust_remote_code=True`"), SETTINGS, None, 3, "Python code of its"),
    (
        pickle.UnpicklingError("Unsupported operand 149"),
        WEIGHTS,
        WHOLE,
        3,
        "safe loading refuses",
    ),
    (SafetensorError("HeaderTooLarge"), WEIGHTS, WHOLE, 3, "a weight file cannot be read"),
    (EOFError(), WEIGHTS, WHOLE, 3, "a weight file cannot be read"),
    (RuntimeError("PytorchStreamReader failed"), WEIGHTS, WHOLE, 3, "a weight file cannot be"),
    (RuntimeError("size mismatch for a.weight"), WEIGHTS, WHOLE, 3, "do not match config.json"),
    (RuntimeError("No GPU or XPU found. A GPU is needed"), WEIGHTS, WHOLE, 3, "on this device"),
    (ImportError("Using this requires a GPU"), WEIGHTS, WHOLE, 3, "on this device"),
    (ImportError("bitsandbytes: `pip install -U bitsandbytes`"), WEIGHTS, PLAN, 3, "4-bit needs"),
    (ImportError("pip install sentencepiece\nor not"), TOKENIZER, None, 3, "needs a package"),
    (
        ValueError("has model type `x` but Transformers"),
        SETTINGS,
        None,
        3,
        "does not know its model type",
    ),
    (KeyError("model type"), SETTINGS, None, 3, "does not know its model type"),
    (ValueError("Unrecognized configuration class <ViT>"), WEIGHTS, WHOLE, 3, "not a text-gen"),
    (StrictDataclassError("Field 'a':\n  not int"), SETTINGS, None, 3, "Field 'a': not int"),
    (jinja2.TemplateSyntaxError("unexpected '}'", 3), TOKENIZER, None, 3, "the chat template"),
    (UNICODE, SETTINGS, None, 3, "config.json cannot be read"),
    (RecursionError("too deep"), SETTINGS, None, 3, "config.json cannot be read"),
    (GONE, WEIGHTS, WHOLE, 3, "merges.txt is missing"),
    (Exception("data did not match any variant"), TOKENIZER, None, 3, "the tokenizer cannot be"),
    (PanicException("index out of bounds"), TOKENIZER, None, 3, "the tokenizer cannot be read"),
    (OSError("Error no file named a.bin\nin b"), WEIGHTS, WHOLE, 3, "(Error no file named a.bin)"),
]


@pytest.mark.parametrize(("error", "part", "plan", "code", "says"), CASES)
def test_each_exception_has_its_explanation(
    error: BaseException, part: str, plan: LoadPlan | None, code: int, says: str
) -> None:
    sentence = explain(error, Case(MINE, part, plan))
    assert (sentence.exit_code, says in sentence.message) == (code, True), sentence.message
    assert sentence.hint and "\n" not in sentence.message


def test_every_row_has_a_case() -> None:
    used = {
        next((n for n, row in enumerate(TABLE) if row.fits(error, Case(MINE, part, plan))), None)
        for error, part, plan, _, _ in CASES
    }
    assert used == set(range(len(TABLE)))


def test_a_hint_says_what_to_install() -> None:
    for text, package in (
        ("requires auto-round (`pip install 'auto-round>=0.5'`)", "pip install auto-round,"),
        ("requires AQLM: `pip install aqlm[gpu]`", "pip install aqlm[gpu],"),
        ("No module named 'x'", "Install the package in the message,"),
    ):
        assert explain(ImportError(text), Case(MINE, WEIGHTS, WHOLE)).hint.startswith(package)


def test_the_cause_is_explained_first() -> None:
    error = OSError("Unable to load weights")
    error.__cause__ = pickle.UnpicklingError("Unsupported global")
    assert "safe loading" in explain(error, Case(MINE, WEIGHTS, WHOLE)).message


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ZeroDivisionError(), "reading the weights failed: ZeroDivisionError."),
        (RuntimeError("something new\nwith more lines"), "RuntimeError: something new."),
        (ValueError("x" * 9000), "xxx…"),
    ],
)
def test_unexpected_errors_are_quoted(error: Exception, named: str) -> None:
    sentence = explain(error, Case(MINE, WEIGHTS, WHOLE))
    assert isinstance(sentence, ModelUnavailable)
    assert named in sentence.message and sentence.hint == DEBUG_HINT and len(sentence.message) < 300


def test_other_exceptions_pass_through() -> None:
    case = Case(MINE, SETTINGS)
    for kind in (KeyboardInterrupt, SystemExit, UsageError):
        with pytest.raises(kind), library_errors(case):
            raise kind("x")
        with pytest.raises(kind), run_errors():
            raise kind("x")


@pytest.mark.parametrize("error", [IndexError("index out of range in self"), PanicException("x")])
def test_what_a_model_raises_when_it_runs(error: BaseException) -> None:
    with pytest.raises(ModelUnavailable, match="do not match each other") as caught, run_errors():
        raise error
    assert caught.value.__cause__ is error and "POLARIS_DEBUG=1" in caught.value.hint


def test_out_of_memory_passes_through_a_run() -> None:
    for error in (RuntimeError("can't allocate memory"), OutOfMemory("no room"), MemoryError()):
        with pytest.raises(type(error)), run_errors():
            raise error


def test_the_explanation_has_the_error_as_cause() -> None:
    error: Any = SafetensorError("HeaderTooLarge")
    with pytest.raises(ModelUnavailable) as caught, library_errors(Case(MINE, WEIGHTS, WHOLE)):
        raise error
    assert caught.value.__cause__ is error
