"""Keeping the libraries quiet while a model is loaded, and away from the user's input and output.

Knows transformers' logging; nothing of models.
"""

import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import transformers

# transformers imports torchao wherever it is installed, and torchao warns of the kernels that are
# for other cards.
TALKATIVE = ("torchao", "torch.utils._pytree")


@contextmanager
def quiet(on_progress: Callable[[float], None] | None = None) -> Iterator[None]:
    """Keep the libraries off stderr, for good, and report the weights loaded inside the block.

    Inside it stdin is empty and stdout a sink: what comes in is the user's premise, what goes out
    is the story, and a library that asks a question there must get no answer.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(bitsandbytes|transformers|torch)\b")
    with _reported_to(on_progress), redirect_stdout(io.StringIO()), _empty_stdin():
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
def _reported_to(on_progress: Callable[[float], None] | None) -> Iterator[None]:
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
