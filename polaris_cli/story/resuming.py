"""Jobs from a recorded story: to resume it, or to write it again.

Knows records and jobs. Does not know the library's file or how a model runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from polaris_cli.engines.base import ModelInfo, is_file_type
from polaris_cli.errors import UsageError
from polaris_cli.events import Chunk, Event
from polaris_cli.models import catalogue
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import QUANTIZE, StoryRequest
from polaris_cli.story.job import Earlier, Job
from polaris_cli.story.length import ACCEPT_END_AT, least_to_end
from polaris_cli.story.prepare import settle
from polaris_cli.story.result import Story, versions

PACKAGES = {
    "local": ("polaris", "transformers", "torch"),
    "gguf": ("polaris", "xllamacpp"),
    "endpoint": ("polaris",),
    "scripted": ("polaris",),
}
"""The packages on which the text of each engine depends."""
DRAWS_OF_A_RUN = 16
"""More than a run draws again: an answer, its end and its decayed passages, twice each."""


def write_again(story: Story) -> Job:
    """The job that writes a story again, with the same model and prompt.

    Raises ModelUnavailable if the model is no longer known.
    """
    return _job_with_prompt(story, _resolved_request(story))


def resume(story: Story, events: Sequence[Event], words: int | None = None) -> Job:
    """The job that resumes a story; `events` are those of its stream.

    `words` replaces the words requested. With it, and for a story that was cut off, the user's
    limit of new tokens no longer counts. Raises UsageError for a finished story, for one without
    recorded tokens, and for words that do not fit the model's context; ModelUnavailable if the
    model is no longer known.
    """
    requested = words or story.requested
    _check_unfinished(story, requested)
    _check_longer(story, words)
    _check_tokens(story, events)
    _check_vocabulary(story)
    request = replace(_resolved_request(story), words=requested)
    silent = story.finish == "stop" and not story.text  # so it is written anew
    ended = story.finish == "stop" and not silent
    if request.length == "single" and (ended or requested > story.requested):
        request = replace(request, length="extend")
    if silent or story.finish in ("loop", "decay"):  # the same draws would give the same text
        request = replace(request, sampling=request.sampling.redrawn(DRAWS_OF_A_RUN))
    limit = request.sampling.max_new_tokens
    lifted = limit and (words or story.finish == "length")  # the new run would be cut off, too
    if lifted:
        request = replace(request, sampling=replace(request.sampling, max_new_tokens=None))
    job = _job_with_prompt(story, request)
    if lifted:
        job = replace(job, notes=(f"The limit of {limit:,} new tokens no longer counts.",))
    earlier = Earlier(tuple(events), story.finish, story.extended, story.rewritten)
    return replace(job, plan=story.plan or job.plan, earlier=None if silent else earlier)


def _check_vocabulary(story: Story) -> None:
    """Raise UsageError for a story whose token ids mean other text today."""
    if story.model.name == "demo" and story.versions.get("polaris", "").startswith("0.1."):
        raise UsageError(
            "The demo model has another vocabulary since this story was written.",
            hint=f"Write it again: polaris rerun {story.id}",
        )


def differences(story: Story, model: ModelInfo) -> Iterator[str]:
    """Yield what differs from when the story was written and may change the text."""
    now = versions()
    for package in PACKAGES[story.model.engine]:
        before = story.versions.get(package)
        if before != now.get(package):
            yield f"{package} was {before} and is now {now.get(package)}"
    for field in ("revision", "quantization", "kernel", "dtype", "device", "server"):
        before, after = getattr(story.model, field), getattr(model, field)
        if before and after and before != after:
            yield f"the {field} was {before} and is now {after}"


def _resolved_request(story: Story) -> StoryRequest:
    """The request with the model, revision and quantization that were used for `auto`."""
    model = story.model
    *_, ran = model.quantization.split(", ")
    quantize = "none" if is_file_type(ran) else ran if ran in QUANTIZE else "auto"
    return replace(
        story.request,
        model=model.name if catalogue.find(model.name) else model.id,
        revision=model.revision,
        quantize=quantize,  # type: ignore[arg-type]
    )


def _job_with_prompt(story: Story, request: StoryRequest) -> Job:
    """The job for a request with the recorded prompt, without repeating the notes."""
    job = settle(request)
    messages = (*job.messages[:-1], Message("user", story.prompt))
    return replace(job, messages=messages, notes=())


def _check_unfinished(story: Story, requested: int) -> None:
    entry = catalogue.find(story.model.name)
    within = story.request.length == "extend" and entry and entry.profile.continues
    least = least_to_end(requested) if within else ACCEPT_END_AT * requested
    if story.finish == "stop" and story.counted >= least:
        more = max(story.counted * 2, requested + 500)
        raise UsageError(
            f"Story {story.id} is finished: {story.counted:,} of {requested:,} words.",
            hint=f"Ask for more: polaris resume {story.id} --words {more}",
        )


def _check_longer(story: Story, words: int | None) -> None:
    """Raise UsageError for fewer words than there are: the existing text is not cut."""
    if words and story.counted >= words:
        raise UsageError(
            f"Story {story.id} already has {story.counted:,} words.",
            hint=f"Ask for more: polaris resume {story.id} --words {story.counted + 500}",
        )


def _check_tokens(story: Story, events: Sequence[Event]) -> None:
    """Raise UsageError for text without tokens; in chapters it may be only a heading."""
    draft = story.request.draft
    written = story.text.removeprefix(draft.text.rstrip() if draft else "")
    has_tokens = any(event.ids for event in events if isinstance(event, Chunk))
    if written and not story.plan and not has_tokens:
        raise UsageError(
            f"Story {story.id} was written by an engine that does not record tokens.",
            hint=f"Write it again: polaris rerun {story.id}",
        )
