"""From rows of premises to stories to write: `Grid`, `Task`.

A row gives one story, or one for each point of the grid: words x seeds x models. Tasks are made one
after another, so that any number of rows fits in memory. Does not know how they are written.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from itertools import product
from typing import Any

from polaris_cli.batch.premises import Row
from polaris_cli.errors import PolarisError
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.resolving import resolve
from polaris_cli.request.conflicts import check_options
from polaris_cli.request.settings import OF_THE_ENGINE
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare
from polaris_cli.story.result import Place

FRESH = 60.0  # seconds
# Settings that do not decide the text, and their defaults.
OF_THE_MACHINE = {"server": None, "device": "auto", "compile": True, "threads": None}

Options = Mapping[str, object]
Loading = tuple[str, ...]
"""The values of `OF_THE_ENGINE`: stories with the same share a loaded engine."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What is written for each row: every length, with `seeds` seeds, by every model.

    Without values, a row keeps its own or that of the command. Several values, each of them once,
    replace them.
    """

    words: tuple[str, ...] = ()
    seeds: int = 1
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A story to write. `key` names it in its batch: the row, and its point of the grid. `later` is
    added to the seed, `loaded_file` is the GGUF file that was chosen by the free memory."""

    key: str
    row: Row
    options: Options
    later: int = 0
    loaded_file: str | None = None

    @property
    def loading(self) -> Loading:
        """What its engine is loaded by, as text: a wrong value may be a list."""
        return tuple(repr(self.options.get(name)) for name in OF_THE_ENGINE)

    def for_model(self, loaded: ModelRef) -> "Task":
        """The same with the GGUF file that is loaded: now, less memory is free to choose one by."""
        if len(loaded.gguf_files) < 2:
            return self
        return replace(self, loaded_file=loaded.gguf_name)

    def job(self) -> Job:
        """The job, ready for an engine. Raises UsageError or ModelUnavailable as `prepare` does."""
        with _naming_fields(self.row.settings):
            check_options(self.row.settings)
            return self._job()

    def _job(self) -> Job:
        row, file = self.row, self.options.get("gguf_file")
        options = {**self.options, "gguf_file": self.loaded_file or file}
        job = seeded(prepare(row.premise, options, resolved=_resolved), 0, self.later)
        place = Place(self.key, fingerprint(job, file), row.number, row.id, row.scale)
        return replace(job, place=place)


def seeded(job: Job, otherwise: int, later: int = 0) -> Job:
    """The job with the seed of its settings, or `otherwise` if they have none, plus `later`."""
    first = job.settings["seed"].value if "seed" in job.settings else otherwise
    sampling = replace(job.request.sampling, seed=first + later)
    return replace(job, request=replace(job.request, sampling=sampling))


@contextmanager
def _naming_fields(settings: Mapping[str, object]) -> Iterator[None]:
    """Name a setting of a row as the row does, not as an option: "top_p" for "--top-p"."""
    try:
        yield
    except PolarisError as error:
        for name in settings:
            option = re.compile(rf"--{name.replace('_', '-')}(?![\w-])")
            error.reword(partial(option.sub, name))
        raise


def _resolved(*model: Any) -> ModelRef:
    """As `resolve`, which may ask a server or the hub: once a minute is enough for a batch."""
    return _resolved_within(int(time.monotonic() / FRESH), *model)


@lru_cache(maxsize=64)
def _resolved_within(_: int, *model: Any) -> ModelRef:
    return resolve(*model)


def tasks_of(rows: Iterable[Row], options: Options, grid: Grid) -> Iterator[Task]:
    """The tasks of each row; its own settings are stronger than the command's `options`.

    A task without a seed gets 0, so that the same command asks for the same stories again. The key
    of the first seed does not say so: more seeds keep it.
    """
    for row in rows:
        settings = _settings(options, row.settings)
        for words, model, later in product(
            grid.words or ("",), grid.models or ("",), range(grid.seeds)
        ):
            seed = f"seed +{later}" if later else ""
            named = filter(None, (row.key, words, model, seed))
            point = {"words": words or settings.get("words")}
            point |= {"model": model or settings.get("model")}
            yield Task(", ".join(named), row, {**settings, **point}, later)


def _settings(options: Options, own: Options) -> dict[str, object]:
    """The settings of a row: its own, and the options that do not contradict them."""
    if own.get("length") in ("single", "extend"):
        options = {**options, "chapters": None}
    return {**options, **own}


def fingerprint(job: Job, gguf_file: object = None) -> str:
    """A digest of all that decides the text, as far as it is asked for: request and model.

    A server may move, and be waited for longer, and a machine may have other devices: the model is
    the same. Of several GGUF files, the `gguf_file` asked for counts, not the one that fits the
    memory today.
    """
    return _digest(job, gguf_file, OF_THE_MACHINE)


def earlier_fingerprint(job: Job, gguf_file: object = None) -> str:
    """The fingerprint that earlier versions gave, with the settings of the machine."""
    return _digest(job, gguf_file, {"server": None})


def _digest(job: Job, gguf_file: object, unasked: Mapping[str, object]) -> str:
    """A digest of a job's model and request, with the values of `unasked` in place of its own."""
    request = {**asdict(job.request), **unasked}
    del request["book"]  # it does not change the text
    if len(job.reference.gguf_files) > 1:
        request["gguf_file"] = gguf_file
    asked = [request, job.reference.id, job.reference.revision]
    data = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(data.encode(errors="surrogatepass")).hexdigest()[:16]
