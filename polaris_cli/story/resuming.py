"""Taking up a story that is already recorded: to go on with it, or to write it again.

Knows records, and what a job needs; not the library's file, nor how a model runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from polaris_cli.engines.base import ModelInfo
from polaris_cli.errors import UsageError
from polaris_cli.events import Chunk, Event
from polaris_cli.models import catalogue
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import QUANTIZE, StoryRequest
from polaris_cli.story.job import Earlier, Job
from polaris_cli.story.length import NEAR
from polaris_cli.story.prepare import settle
from polaris_cli.story.result import Story, versions


def write_again(story: Story) -> Job:
    """The job that writes a story again, by the model that wrote it and from the same prompt.

    Raises ModelUnavailable when the model is not known any more.
    """
    return _settled(story, _as_it_ran(story))


def resume(story: Story, events: Sequence[Event], words: int | None = None) -> Job:
    """The job that goes on with a story, from the events that its stream brought.

    `words` replaces the length asked for. Raises UsageError for a story that is finished, for one
    whose tokens are not known, and for words that do not fit the model's context;
    ModelUnavailable when the model is not known any more.
    """
    requested = words or story.requested
    _check_unfinished(story, requested)
    _check_tokens(story, events)
    request = replace(_as_it_ran(story), words=requested)
    if request.length == "single" and (story.finish == "stop" or requested > story.requested):
        request = replace(request, length="extend")
    if story.finish == "loop":  # the same draws would lead into the same loop
        request = replace(request, sampling=request.sampling.redrawn())
    job = _settled(story, request)
    earlier = Earlier(tuple(events), story.finish)
    return replace(job, plan=story.plan or job.plan, earlier=earlier)


def differences(story: Story, model: ModelInfo) -> Iterator[str]:
    """What is not as it was when the story was written, and may change the text; one by one."""
    now = versions()
    for package in ("polaris", "transformers", "torch"):
        before = story.versions.get(package)
        if before != now.get(package):
            yield f"{package} was {before} then and is {now.get(package)} now"
    for field in ("revision", "quantization", "kernel", "dtype", "device"):
        before, after = getattr(story.model, field), getattr(model, field)
        if before and after and before != after:
            yield f"the {field} was {before} then and is {after} now"


def _as_it_ran(story: Story) -> StoryRequest:
    """The request with the model, revision and quantization that `auto` stood for."""
    model = story.model
    ran = model.quantization if model.quantization in QUANTIZE else "auto"
    return replace(
        story.request,
        model=model.name if catalogue.find(model.name) else model.id,
        revision=model.revision,
        quantize=ran,  # type: ignore[arg-type]
    )


def _settled(story: Story, request: StoryRequest) -> Job:
    """The job of a request, with the prompt that the model saw; nobody needs advice again."""
    messages = (Message("user", story.prompt),)
    return replace(settle(request), messages=messages, notes=())


def _check_unfinished(story: Story, requested: int) -> None:
    if story.finish == "stop" and story.written >= NEAR * requested:
        more = max(story.written * 2, requested + 500)
        raise UsageError(
            f"Story {story.id} is finished: {story.written:,} of {requested:,} words.",
            hint=f"Ask for more: polaris resume {story.id} --words {more}",
        )


def _check_tokens(story: Story, events: Sequence[Event]) -> None:
    """Raise UsageError for text without tokens; in a story in chapters it may be a heading."""
    draft = story.request.draft
    written = story.text.removeprefix(draft.text.rstrip() if draft else "")
    has_tokens = any(event.ids for event in events if isinstance(event, Chunk))
    if written and not story.plan and not has_tokens:
        raise UsageError(
            f"Story {story.id} was written by an engine that keeps no tokens.",
            hint=f"Write it again: polaris rerun {story.id}",
        )
