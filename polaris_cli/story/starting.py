"""Setting a prepared request going on a loaded engine: `start`, `start_outline` for a plan alone.

Knows which way of writing a request asks for; not how each of them works.
"""

from collections.abc import Iterator

from polaris_cli.engines.base import Engine
from polaris_cli.events import Event
from polaris_cli.story.chapters import chapter_count, in_chapters, outline_ask, outlined
from polaris_cli.story.extending import extended
from polaris_cli.story.prepare import Prepared, budget_for
from polaris_cli.story.result import Story, begin
from polaris_cli.story.single_pass import behind, write_story


def start(prepared: Prepared, engine: Engine) -> tuple[Story, Iterator[Event]]:
    """Set a prepared request going on a loaded engine, with the exact token budget.

    Returns the record of the story as it is begun, and the events that will fill it. Raises
    UsageError when prompt and words do not fit the model's context after all.
    """
    request, profile = prepared.request, prepared.reference.profile
    if request.length == "chapters":
        count = count_of(prepared)
        begun = begin(request, engine.info, (outline_ask(request, count),))
        return begun, in_chapters(engine, request, count, profile, request.plan)
    return _in_one_turn(prepared, engine)


def _in_one_turn(prepared: Prepared, engine: Engine) -> tuple[Story, Iterator[Event]]:
    request, messages, draft = prepared.request, prepared.messages, prepared.request.draft
    profile = prepared.reference.profile
    opening = engine.encode(draft.text) if draft else ()
    prompt_tokens = engine.count_tokens(messages, request.sampling) + len(opening)
    limit = budget_for(
        request, messages, profile, context=engine.context, prompt_tokens=prompt_tokens
    ).max_new_tokens
    begun = begin(request, engine.info, messages, prompt_tokens)
    ask = (engine, messages, request.sampling, limit)
    if request.length == "extend":
        run = extended(*ask, words=request.words, draft=draft.text if draft else "")
    else:
        run = write_story(*ask, opening=opening)
    return begun, behind(draft, run)


def start_outline(prepared: Prepared, engine: Engine) -> tuple[Story, Iterator[Event]]:
    """As `start`, for the outline of a story in chapters alone."""
    request = prepared.request
    count = count_of(prepared)
    ask = (outline_ask(request, count),)
    return begin(request, engine.info, ask), outlined(engine, request, count)


def count_of(prepared: Prepared) -> int:
    """How many chapters a story in chapters gets: those asked for, else as many as suit."""
    words = prepared.request.words
    return prepared.request.chapters or chapter_count(words, prepared.reference.profile)
