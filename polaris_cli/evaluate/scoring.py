"""Scores many texts, with up to 16 cores and a few texts in memory: `score_all`.

Knows processes, not figures.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_context

from polaris_cli.evaluate.figures import Figures, figures_of
from polaris_cli.evaluate.samples import Sample

AT_ONCE = 64  # texts in memory, and what one process scores before others are started
CHUNK = 4  # texts that a process gets at once


def score_all(
    samples: Iterable[Sample], band: tuple[float, float]
) -> Iterator[tuple[Sample, Figures]]:
    """Yield each text with its figures, in their order."""
    left = iter(samples)
    score = partial(figures_of, band=band)
    first = list(islice(left, AT_ONCE))
    yield from zip(first, map(score, first), strict=True)
    more = list(islice(left, AT_ONCE))
    if not more:
        return
    # A new interpreter: a forked one would have the locks of this process's threads.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(processes(), mp_context=spawn) as pool:
        while more:
            with _without_ctrl_c():  # it may start processes
                scored = pool.map(score, more, chunksize=CHUNK)
            following = list(islice(left, AT_ONCE))  # read while the others are scored
            yield from zip(more, scored, strict=True)
            more = following


def processes() -> int:
    """How many processes score: one for each core, as long as there are texts in memory for it."""
    return min(os.cpu_count() or 1, AT_ONCE // CHUNK)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A Ctrl-C comes at the end of the block, and never to the processes that are started in it.

    A terminal sends it to them too. One that ends by it while it starts would leave the others, and
    this one, waiting for good.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
