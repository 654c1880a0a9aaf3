"""The Python interface: write stories, keep them and save them, without a command line.

    from polaris_cli import open_engine, save, write

    story = write("a lighthouse keeper", words=300, model="demo")
    save(story, "keeper.epub")

    with open_engine("demo") as engine:
        stories = [write(premise, engine=engine, words=200) for premise in ("a fox", "a hen")]

Prints nothing and keeps nothing by itself; knows no options and no terminal.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from polaris_cli.engines import opening
from polaris_cli.engines.base import Engine
from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.events import Event
from polaris_cli.formats.export import save as save_file
from polaris_cli.library.recording import Recorder
from polaris_cli.library.store import Library
from polaris_cli.models import catalogue
from polaris_cli.request.story_request import Form, Length, Quantize, StoryRequest
from polaris_cli.screen.terminal import Sink, show
from polaris_cli.story.accumulator import Accumulator
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare, settle
from polaris_cli.story.result import Story
from polaris_cli.story.writing import record_for, write_job

ROOM = 3_000  # words that an engine opened without a length has room for

FLAGS = {"force", "think", "headings", "compile"}

_OPTION = re.compile(r"--(no-)?([a-z][a-z-]*)(?:[ =](?=[A-Z\d])([A-Z]+|[\d.-]+))?")


class Settings(TypedDict, total=False):
    """What `write` and `stream` can be given by name: the settings of `polaris write`.

    `words` is a number, or text such as "3k"; `band` the ratios written / asked that count as on
    target; `think` whether the model thinks first. The others are those of `StoryRequest` and
    `Sampling`. What is not given comes from the environment, `config.toml` and the preset.
    """

    words: int | str
    model: str
    revision: str
    preset: str
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
    presence_penalty: float
    dry_multiplier: float
    seed: int
    max_new_tokens: int
    think: bool
    thinking_budget: int
    quantize: Quantize
    device: str
    compile: bool
    band: tuple[float, float]


def write(
    premise: str | StoryRequest, *, engine: Engine | None = None, **settings: Unpack[Settings]
) -> Story:
    """Write a story and return it when it is finished.

    `premise` is what it is about, or a whole request. `engine` is a model opened before, by
    `open_engine`; without it the model is loaded for this story alone. Raises UsageError for
    settings that cannot be right, ModelUnavailable and OutOfMemory when the model cannot be loaded;
    what happens later is told by the story's `finish`.
    """
    with _in_pythons_words():
        job = _prepared(premise, engine, settings)
        return run_job(job, engine or opened(job)).story


def stream(
    premise: str | StoryRequest, *, engine: Engine | None = None, **settings: Unpack[Settings]
) -> Iterator[Event]:
    """Yield thinking and story as they are written, then one `Finish`.

    Arguments and errors are those of `write`. Closing the iterator stops the model.
    """
    with _in_pythons_words():
        job = _prepared(premise, engine, settings)
        return write_job(job, engine or opened(job))


@contextmanager
def open_engine(
    model: str = "auto",
    *,
    revision: str | None = None,
    quantize: Quantize = "auto",
    device: str = "auto",
    words: int = ROOM,
) -> Iterator[Engine]:
    """Load a model to write several stories with, each by `write(..., engine=engine)`.

    There is room for stories of `words` words. Raises UsageError for a device that is not here,
    ModelUnavailable and OutOfMemory where the model cannot be loaded.
    """
    options = {"model": model, "revision": revision, "quantize": quantize, "device": device}
    with _in_pythons_words():
        engine = opened(prepare("any story", {**options, "words": words}))
    yield engine


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: its story, the error that broke it off, whether the library has it."""

    story: Story
    error: PolarisError | None = None
    kept: bool = False


def run_job(
    job: Job,
    engine: Engine,
    *,
    library: Library | None = None,
    sinks: Sequence[Sink] = (),
    warn: Callable[[str], None] = lambda text: None,
    watch: Callable[[Iterator[Event]], Iterator[Event]] = iter,
) -> Outcome:
    """Write a job on a loaded engine, keep it in `library` meanwhile and show it on `sinks`.

    `warn` is told of trouble with the library, in one sentence. `watch` is a stage of the caller's
    own, right behind the engine: it may end the stream, as after Ctrl-C. Raises UsageError when
    prompt and words do not fit the model's context after all.
    """
    events = watch(write_job(job, engine))
    accumulator = Accumulator(record_for(job, engine), engine.load_seconds)
    events = accumulator.watch(events)
    recorder = Recorder(library, accumulator, warn) if library else None
    if recorder:
        events = recorder.watch(events)
    for _ in show(events, sinks):
        pass
    kept = bool(recorder and recorder.kept)
    return Outcome(accumulator.story(), accumulator.finish.error, kept)


def opened(job: Job, on_progress: Callable[[float], None] | None = None) -> Engine:
    """The engine of a job request, with room for all of its story."""
    return opening.open_engine(job.reference, job.request, job.tokens, on_progress)


def save(story: Story, path: str | Path, *, force: bool = False) -> None:
    """Write a story to a file, in the format of its suffix: txt, md, html, epub, docx or json.

    Raises UsageError for another suffix, and for a file that is there already without `force`.
    """
    with _in_pythons_words():
        save_file(story, Path(path), force=force)


def _prepared(premise: str | StoryRequest, engine: Engine | None, settings: Settings) -> Job:
    """The request settled; a model that is open already need not be named again."""
    if isinstance(premise, StoryRequest):
        if settings:
            raise UsageError(
                "A StoryRequest has its settings already.",
                hint="Change them in it: dataclasses.replace(request, words=800)",
            )
        return settle(premise)
    options: dict[str, object] = {**settings}
    if engine and "model" not in options and (model := _model_of(engine)):
        options |= {"model": model, "revision": engine.info.revision}
    return prepare(premise, options)


def _model_of(engine: Engine) -> str | None:
    """What an open engine's model is asked for by, where it has such a name."""
    info = engine.info
    if catalogue.find(info.name):
        return info.name
    return info.id if "/" in info.id else None


@contextmanager
def _in_pythons_words() -> Iterator[None]:
    """Word an error's options as Python's arguments: "--words 800" as "words=800"."""
    try:
        yield
    except PolarisError as error:
        error.message, error.hint = map(_as_arguments, (error.message, error.hint))
        error.args = (error.message,)
        raise


def _as_arguments(text: str) -> str:
    def argument(match: re.Match[str]) -> str:
        name = match[2].replace("-", "_")
        if match[1] or name in FLAGS:
            return f"{name}={not match[1]}"
        return f"{name}={match[3]}" if match[3] else name

    return _OPTION.sub(argument, text)
