"""The Python API: write stories, record them in a library and save them to files.

    from polaris_cli import open_engine, save, write

    story = write("a lighthouse keeper", words=300, model="demo")
    save(story, "keeper.epub")

    with open_engine("demo") as engine:
        stories = [write(premise, engine=engine, words=200) for premise in ("a fox", "a hen")]

`write` and `stream` print nothing and record nothing. Does not know about the command line.
"""

import gc
import os
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack, cast
from weakref import WeakKeyDictionary, WeakSet

from polaris_cli.engines import opening
from polaris_cli.engines.base import Engine
from polaris_cli.errors import COMMAND, PolarisError, UsageError
from polaris_cli.events import Event, Held, closing, with_held
from polaris_cli.formats.cover import read_cover
from polaris_cli.formats.export import save as save_file
from polaris_cli.library.recording import Recorder
from polaris_cli.library.store import Library
from polaris_cli.models import catalogue
from polaris_cli.request.conflicts import check_options
from polaris_cli.request.paths import expanded
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.settings import (
    OF_THE_ENGINE,
    SETTINGS,
    from_options,
    naming_sources,
    variable_of,
)
from polaris_cli.request.story_request import EngineName, Form, Length, Quantize, StoryRequest
from polaris_cli.request.text_files import check_whole
from polaris_cli.screen.terminal import Sink, show
from polaris_cli.story.accumulator import Accumulator
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare, settle
from polaris_cli.story.result import Story
from polaris_cli.story.writing import record_for, replayed_tokens, write_job

DEFAULT_WORDS = 3_000  # the length of story that `open_engine` makes room for

# The options that each loaded engine was opened with, and the engines that are closed.
_OPENED: WeakKeyDictionary[Engine, dict[str, object]] = WeakKeyDictionary()
_CLOSED: WeakSet[Engine] = WeakSet()

FLAGS = {"force", "think", "headings", "compile"}  # options without a value

_OPTION = re.compile(rf"{COMMAND}|--(no-)?([a-z][a-z-]*)(?:[ =](?=[A-Z\d])([A-Z]+|[\d.-]+))?")


class Settings(TypedDict, total=False):
    """The keyword arguments of `write` and `stream`: the settings of `polaris write`.

    `words` is a number, or text such as "3k". `band` is the range of words written / words
    requested that counts as on target. `think` says whether the model thinks first; `title`,
    `author`, `language` and `cover` are those of `Book`. The others are those of `StoryRequest` and
    `Sampling`. Defaults come from the environment, `config.toml` and the preset.
    """

    words: int | str
    model: str | Path
    revision: str
    preset: str | Path
    form: Form
    template: str
    length: Length
    chapters: int
    headings: bool
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    repetition_window: int
    presence_penalty: float
    dry_multiplier: float
    seed: int
    max_new_tokens: int
    think: bool
    thinking_budget: int
    quantize: Quantize
    device: str
    compile: bool
    gguf_file: str
    threads: int
    base_url: str
    api_key_env: str
    connect_timeout: float
    stall_timeout: float
    band: tuple[float, float]
    title: str
    author: str
    language: str
    cover: str | Path


def write(
    premise: str | StoryRequest,
    *,
    engine: Engine | EngineName | None = None,
    **settings: Unpack[Settings],
) -> Story:
    """Write a story and return it when it is finished.

    `premise` is what the story is about, or a whole request. `engine` is a model loaded with
    `open_engine`, which stays open, or the name of an engine that loads the model for this story
    only, and is closed when it ends. Raises UsageError for invalid settings, ModelUnavailable or
    OutOfMemory if the model cannot be loaded.
    Errors during writing do not raise: the story's `finish` is then "error", and its `error` says
    why. Ctrl-C raises Interrupted, a KeyboardInterrupt with the story so far.
    """
    with _python_error_messages(), ExitStack() as opened:
        job, loaded = _job_for(premise, engine, settings)
        story = run_job(job, loaded or _loaded_within(opened, job)).story
        return replace(story, error=_as_arguments(story.error))


def stream(
    premise: str | StoryRequest,
    *,
    engine: Engine | EngineName | None = None,
    **settings: Unpack[Settings],
) -> Generator[Event]:
    """Yield thinking and story as they are generated, then one `Finish`.

    The last 150 words or so come as `Held`, each replacing the one before: they may still change.
    Arguments and errors are those of `write`. Closing the generator stops the model.
    """
    with _python_error_messages(), ExitStack() as opened:
        job, loaded = _job_for(premise, engine, settings)
        used = loaded or _loaded_within(opened, job)
        events = _while_open(write_job(job, used), used, opened.pop_all())
        next(events)  # so that closing it has an effect even before the first event
        return events


@contextmanager
def open_engine(
    model: str | Path = "auto",
    *,
    revision: str | None = None,
    engine: EngineName = "auto",
    base_url: str | None = None,
    quantize: Quantize = "auto",
    device: str = "auto",
    threads: int | None = None,
    words: int = DEFAULT_WORDS,
) -> Iterator[Engine]:
    """Load a model once to write several stories, each with `write(..., engine=engine)`.

    The memory is planned for stories of `words` words. Raises UsageError for an unknown device,
    ModelUnavailable or OutOfMemory if the model cannot be loaded.
    """
    name = os.fspath(model)
    options: dict[str, object] = {"model": name, "revision": revision, "engine": engine}
    options |= {"base_url": base_url, "quantize": quantize, "device": device, "threads": threads}
    with _python_error_messages({*SETTINGS} - {*options, "words"}):
        job = prepare("any story", {**options, "words": words})
        loaded = engine_for(job)
    _OPENED[loaded] = options | {"model": job.request.model, "revision": loaded.info.revision}
    try:
        yield loaded
    finally:
        close_engine(loaded)
        _CLOSED.add(loaded)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a story was written. `story` is the story so far."""

    def __init__(self, story: Story) -> None:
        super().__init__(f"{story.counted} of {story.requested} words were written")
        self.story = story

    def __reduce__(self) -> tuple[object, ...]:
        """How it is pickled and copied: with its story, which `args` does not have."""
        return type(self), (self.story,)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a job: its story, the error that ended it, and whether the library has it."""

    story: Story
    error: PolarisError | None = None
    saved: bool = False


def run_job(
    job: Job,
    engine: Engine,
    *,
    library: Library | None = None,
    sinks: Sequence[Sink] = (),
    warn: Callable[[str], None] = lambda text: None,
    watch: Callable[[Iterator[Event]], Iterator[Event]] = iter,
) -> Outcome:
    """Write a job with a loaded engine; save it to `library` meanwhile and show it on `sinks`.

    `warn` is called with one sentence if saving fails. `watch` is a stage directly after the
    engine, which may end the stream early, as on Ctrl-C. Raises Interrupted if it does not, and
    UsageError if the prompt and the words do not fit the loaded model's context.
    """
    events = with_held(watch(write_job(job, engine)))
    deviations = partial(engine.deviations, job.request.sampling)
    replayed, record = replayed_tokens(job, engine), record_for(job, engine)
    accumulator = Accumulator(record, engine.load_seconds, deviations, replayed)
    events = accumulator.watch(events)
    recorder = Recorder(library, accumulator, warn) if library else None
    if recorder:
        events = recorder.watch(events)
    try:
        for _ in show(events, sinks):
            pass
    except KeyboardInterrupt as interrupt:
        raise Interrupted(accumulator.story()) from interrupt
    saved = bool(recorder and recorder.saved)
    return Outcome(accumulator.story(), accumulator.finish.error, saved)


def engine_for(
    job: Job, on_progress: Callable[[float], None] | None = None, parallel: int = 1
) -> Engine:
    """Load the engine for a job, with memory for `parallel` stories as long as its own.

    `on_progress` is called with the share of the weights loaded, 0 to 1. Raises PolarisError as
    `opening.open_engine`; it names the variable or the file that a wrong value comes from.
    """
    with naming_sources(job.settings):
        return opening.open_engine(
            job.reference, job.request, job.tokens, on_progress, parallel=parallel
        )


def close_engine(engine: Engine) -> None:
    """Close an engine, and free at once what refers to itself, as the layers of a model do."""
    engine.close()
    gc.collect()


def save(story: Story, path: str | Path, *, force: bool = False) -> None:
    """Write a story to a file, in the format of its suffix: txt, md, html, epub, docx or json.

    Raises UsageError for any other suffix, and for an existing file unless `force` is set.
    """
    with _python_error_messages():
        save_file(story, expanded(path), force=force)


def _job_for(
    premise: str | StoryRequest, engine: Engine | EngineName | None, settings: Settings
) -> tuple[Job, Engine | None]:
    """The job for the arguments of `write`, and the loaded engine if one is given.

    The default model is that of the loaded engine.
    """
    loaded = _loaded(engine)
    _check_text(premise.premise if isinstance(premise, StoryRequest) else premise)
    if isinstance(premise, StoryRequest):
        if settings or isinstance(engine, str):
            raise UsageError(
                "A StoryRequest already has its settings.",
                hint="Change them in the request: dataclasses.replace(request, words=800)",
            )
        _check_request(premise)
        if loaded:
            _check_loaded(loaded, {"model": None if premise.model == "auto" else premise.model})
            premise = _by_engine(premise, loaded)
        return _with_cover(settle(premise)), loaded
    options = {name: _as_text(value) for name, value in settings.items()}
    check_options(options)
    if isinstance(engine, str):
        options["engine"] = engine
    elif loaded:
        _check_loaded(loaded, options)
        options = _options_of(loaded) | options
    return _with_cover(prepare(premise, options)), loaded


def _by_engine(request: StoryRequest, engine: Engine) -> StoryRequest:
    """The request; if it names no model, with that of the engine."""
    named = _options_of(engine)
    if request.model != "auto" or not named:
        return request
    url = named.get("base_url")
    return replace(
        request,
        model=cast(str, named["model"]),
        revision=cast(str | None, named.get("revision")),
        engine=cast(EngineName, named.get("engine", "auto")),
        server=ServerAddress(cast(str, url)) if url else request.server,
    )


def _loaded(engine: object) -> Engine | None:
    """The engine, unless it is only a name, or none."""
    if engine is None or isinstance(engine, str):
        return None
    if not hasattr(engine, "stream"):
        raise UsageError(
            "The engine is not a loaded model, nor the name of an engine.",
            hint='Load one: with open_engine("demo") as engine',
        )
    return cast(Engine, engine)


def _as_text(value: object) -> object:
    """A path as text, as the settings have it."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _check_text(premise: object) -> None:
    """Raise UsageError for a premise that is no text, or has half a character."""
    if not isinstance(premise, str):
        raise UsageError(f"The premise is {premise!r}, but must be text or a StoryRequest.")
    check_whole(premise, "The premise", hint='Read it with encoding="utf-8", or decode it so.')


def _check_request(request: StoryRequest) -> None:
    """Raise UsageError for a template without its fields, and for chapters in a single pass."""
    from_options({"template": request.template})
    if request.chapters and not request.plan and request.length in ("single", "extend"):
        raise UsageError(
            f"The request has chapters, and length {request.length}, which writes none.",
            hint='Set its length to "chapters", or leave out the chapters.',
        )


def _with_cover(job: Job) -> Job:
    """The job. Raises UsageError if its cover cannot be read, which would be left out later."""
    if job.request.book.cover:
        read_cover(Path(job.request.book.cover))
    return job


def _loaded_within(block: ExitStack, job: Job) -> Engine:
    """The engine for a job, which is closed at the end of the block."""
    engine = engine_for(job)
    block.callback(close_engine, engine)
    return engine


def _while_open(events: Iterator[Event], engine: Engine, opened: ExitStack) -> Generator[Event]:
    """Yield nothing of use, then the events, and close what is `opened` for them.

    Raises UsageError once the engine is closed.
    """
    with opened, closing(events):
        yield Held()
        _check_open(engine)
        for event in events:
            yield event
            _check_open(engine)


def _check_open(engine: Engine) -> None:
    if engine in _CLOSED:
        raise UsageError(
            "The engine is closed.", hint="Write inside the block: with open_engine(...) as engine"
        )


def _check_loaded(engine: Engine, options: Mapping[str, object]) -> None:
    """Raise UsageError for an engine that is closed, or was opened with other settings."""
    _check_open(engine)
    for name in OF_THE_ENGINE if engine in _OPENED else ():
        wanted, loaded = options.get(name), _OPENED[engine].get(name)
        if wanted is not None and _known_as(wanted) != _known_as(loaded):
            raise UsageError(
                f"The engine is loaded with {name}={loaded!r}, not {wanted!r}.",
                hint=f"Leave out {name}, or open another engine with it.",
            )


def _known_as(value: object) -> object:
    """A model's name in the catalogue, also for its hub id; any other value as it is."""
    entry = catalogue.find(value) if isinstance(value, str) else None
    return entry.name if entry else value


def _options_of(engine: Engine) -> dict[str, object]:
    """The options that an engine was opened with; of one that was not opened here the model, if the
    catalogue knows it."""
    known: dict[str, object] = {"model": engine.info.name}
    return _OPENED.get(engine, known if catalogue.find(engine.info.name) else {})


@contextmanager
def _python_error_messages(lacking: Collection[str] = ()) -> Iterator[None]:
    """Write options in an error as Python arguments: "--words 800" as "words=800".

    Settings that the function is `lacking` have variables.
    """
    try:
        yield
    except PolarisError as error:
        error.reword(lambda text: _as_arguments(text, lacking))
        raise


def _as_arguments(text: str, lacking: Collection[str] = ()) -> str:
    def argument(match: re.Match[str]) -> str:
        if not match[2]:
            return match[0]
        name = match[2].replace("-", "_")
        value = str(not match[1]) if match[1] or name in FLAGS else match[3]
        if text.startswith(": invalid value", match.end()):  # the message gives the value
            value = ""
        shown = variable_of(name) if name in lacking else name
        return f"{shown}={value}" if value else shown

    return _OPTION.sub(argument, text)
