"""Keeps libraries quiet while a model loads, and away from the user's stdin and stdout.

Knows the logging of transformers; does not know about models.
"""

import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import transformers

# transformers imports torchao if it is installed, and torchao warns about kernels for other GPUs.
TALKATIVE = ("torchao", "torch.utils._pytree")


@contextmanager
def quiet(on_progress: Callable[[float], None] | None = None) -> Iterator[None]:
    """Silence the libraries on stderr for good, and report the progress of loading in the block.

    `on_progress` is called with the share of weights loaded, 0 to 1. Inside the block, stdin is
    empty and stdout discards its text: stdin is for the user's premise and stdout for the story,
    and a library that asks a question must get no answer.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(bitsandbytes|transformers|torch|triton)\b")
    with _progress_to(on_progress), redirect_stdout(io.StringIO()), _empty_stdin():
        yield


@contextmanager
def _empty_stdin() -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.StringIO()
    try:
        yield
    finally:
        sys.stdin = before


@contextmanager
def _progress_to(on_progress: Callable[[float], None] | None) -> Iterator[None]:
    def hook(factory: Callable[..., Any], args: Any, options: Any) -> Any:
        if on_progress and args and hasattr(args[0], "__len__"):
            return counted(args[0], on_progress)
        return factory(*args, **options)

    # Older releases of transformers 5 have no such hook; then no progress is reported.
    set_hook = getattr(transformers.logging, "set_tqdm_hook", lambda hook: None)
    previous = set_hook(hook)
    try:
        yield
    finally:
        set_hook(previous)


def counted(items: Any, on_progress: Callable[[float], None] | None) -> Iterable[Any]:
    """Pass the items on, and report the share of them that is done."""
    report = on_progress or (lambda share: None)
    for done, item in enumerate(items):
        report(done / len(items))
        yield item
    report(1.0)
