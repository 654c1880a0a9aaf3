"""Taking a story up again: from its record and its tokens to the run that goes on with it.

Knows records and the ways to write; not the library's file, nor how a model runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from polaris_cli.engines.base import Engine, ModelInfo
from polaris_cli.errors import UsageError
from polaris_cli.events import RESTART, Chunk, Event, Piece
from polaris_cli.models import catalogue
from polaris_cli.models.hub import resolve
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import QUANTIZE, StoryRequest
from polaris_cli.story.chapters import in_chapters, told_in
from polaris_cli.story.extending import NEAR, extended, rounds_of
from polaris_cli.story.prepare import Prepared, budget_for
from polaris_cli.story.result import Story, begin, versions
from polaris_cli.story.single_pass import behind, turn_of, write_story
from polaris_cli.story.starting import count_of
from polaris_cli.streaming.loops import good_length


def prepare_again(story: Story, words: int | None = None) -> Prepared:
    """The request of a story, to be written again or gone on with, by the model that wrote it.

    `words` replaces the length asked for. Raises ModelUnavailable when the model is not known
    any more, UsageError when the words do not fit its context.
    """
    model = story.model
    name = model.name if catalogue.find(model.name) else model.id
    kept = model.quantization if model.quantization in QUANTIZE else "auto"
    request = replace(
        story.request,
        words=words or story.requested,
        model=name,
        revision=model.revision,
        quantize=kept,  # type: ignore[arg-type]
    )
    reference = resolve(name, model.revision)
    messages = (Message("user", story.prompt),)
    budget = budget_for(request, messages, reference.profile)
    return Prepared(request, {}, messages, reference, budget, ())


def check_unfinished(story: Story, words: int | None) -> None:
    """Raise UsageError for a story that has ended by itself at the length asked for."""
    requested = words or story.requested
    if story.finish == "stop" and story.written >= NEAR * requested:
        more = max(story.written * 2, requested + 500)
        raise UsageError(
            f"Story {story.id} is finished: {story.written:,} of {requested:,} words.",
            hint=f"Ask for more: polaris resume {story.id} --words {more}",
        )


def go_on(
    prepared: Prepared, engine: Engine, story: Story, chunks: Sequence[Chunk]
) -> tuple[Story, Iterator[Event]]:
    """Go on with a story from the chunks that its stream brought.

    Returns a new record, and the events that fill it, the earlier text first. Raises UsageError
    for a story whose tokens are not known.
    """
    # In a story in chapters the text may be a first heading alone, which no model wrote.
    draft = story.request.draft.text if story.request.draft else ""
    written = story.text.removeprefix(draft.rstrip())
    if written and not story.outline and not any(chunk.ids for chunk in chunks):
        raise UsageError(
            f"Story {story.id} was written by an engine that keeps no tokens.",
            hint=f"Write it again: polaris rerun {story.id}",
        )
    request = _reseeded(prepared.request) if story.finish == "loop" else prepared.request
    begun = begin(request, engine.info, prepared.messages)
    if request.length == "chapters":
        return begun, _chapters_on(prepared, request, engine, story, chunks)
    return begun, _text_on(prepared, request, engine, story, chunks)


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


def _reseeded(request: StoryRequest) -> StoryRequest:
    """Other draws: the same ones would lead into the same loop."""
    return replace(request, sampling=request.sampling.redrawn())


def _chapters_on(
    prepared: Prepared,
    request: StoryRequest,
    engine: Engine,
    story: Story,
    chunks: Sequence[Chunk],
) -> Iterator[Event]:
    """Without an outline the story begins anew; a chapter that looped is written anew."""
    told = told_in(chunks) if story.outline else []
    if story.finish == "loop":
        told = told[:-1]
    profile = prepared.reference.profile
    plan = story.outline
    count = len(plan.chapters) if plan else count_of(prepared)
    return in_chapters(engine, request, count, profile, outline=plan, told=told)


def _text_on(
    prepared: Prepared,
    request: StoryRequest,
    engine: Engine,
    story: Story,
    chunks: Sequence[Chunk],
) -> Iterator[Event]:
    messages = prepared.messages
    sampling = request.sampling.redrawn(chunks.count(RESTART))
    draft = request.draft
    opening = engine.encode(draft.text) if draft else ()
    rounds = rounds_of(chunks)
    after = tuple(id_ for chunk in turn_of(chunks) for id_ in chunk.ids)
    if story.finish == "loop":
        after = _before_loop(engine, messages, request, opening, after)
        rounds = [after]
    limit = prepared.budget.max_new_tokens
    if story.finish == "length":  # else the limit is that of a story never interrupted
        limit += len(after)
    longer = story.finish == "stop" or request.words > story.requested
    if longer or request.length == "extend":
        ask = (engine, messages, sampling, limit)
        text = draft.text if draft else ""
        run = extended(*ask, words=request.words, draft=text, after=rounds)
    else:
        left = limit - len(after)
        run = write_story(engine, messages, sampling, left, opening=opening, after=after)
    return behind(draft, run)


def _before_loop(
    engine: Engine,
    messages: tuple[Message, ...],
    request: StoryRequest,
    opening: tuple[int, ...],
    ids: tuple[int, ...],
) -> tuple[int, ...]:
    """The tokens up to where the text began to repeat itself."""
    replay = engine.stream(messages, request.sampling, 0, opening=opening, after=ids)
    pieces = [piece for piece in replay if isinstance(piece, Piece)]
    left = good_length("".join(piece.text for piece in pieces))
    kept: list[int] = []
    for piece in pieces:
        left -= len(piece.text)
        if left < 0:
            break
        kept += piece.ids
    return tuple(kept)
