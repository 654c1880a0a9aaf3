"""Writing a job on a loaded engine: `write_job`.

Knows which way of writing a request asks for, and where an earlier run left off; not how each way
works.
"""

from collections.abc import Iterator
from dataclasses import replace

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.events import Chunk, Event, Reason
from polaris_cli.story.chapters import in_chapters
from polaris_cli.story.extending import extended, rounds_of
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import budget_for
from polaris_cli.story.result import Story, begin
from polaris_cli.story.single_pass import behind, ids_of, since_restart, write_story
from polaris_cli.streaming.loops import good_length

Rounds = list[tuple[int, ...]]


def begun(job: Job, engine: Engine) -> Story:
    """The record of the story that `write_job` is about to write, with a new id."""
    return begin(job.request, engine.info, job.messages, _prompt_tokens(job, engine))


def write_job(job: Job, engine: Engine) -> Iterator[Event]:
    """Stream the story of a job: what an earlier run wrote comes first, then one `Finish` ends it.

    Raises UsageError when prompt and words do not fit the model's context after all.
    """
    if job.request.length == "chapters":
        return in_chapters(job, engine)
    return _as_one_text(job, engine)


def _as_one_text(job: Job, engine: Engine) -> Iterator[Event]:
    request, draft = job.request, job.request.draft
    generation = GenerationRequest(job.messages, request.sampling, _limit(job, engine))
    attempt, rounds = 0, Rounds()
    if job.earlier:
        attempt, answer = since_restart(job.earlier.events)
        rounds = _earlier_rounds(job, engine, job.earlier.finish, answer)
    earlier = tuple(id_ for ids in rounds for id_ in ids)
    limit = generation.max_new_tokens
    if job.earlier and job.earlier.finish == "length":  # else the limit of an uninterrupted run
        limit += len(earlier)
    if request.length == "extend":
        run = extended(
            engine,
            replace(generation, max_new_tokens=limit),
            words=request.words,
            draft=draft.text if draft else "",
            rounds=rounds,
            attempt=attempt,
        )
    else:
        opening = engine.encode(draft.text) if draft else ()
        left = limit - len(earlier)
        generation = replace(generation, max_new_tokens=left, opening=opening, after=earlier)
        run = write_story(engine, generation, attempt=attempt)
    return behind(draft, run)


def _limit(job: Job, engine: Engine) -> int:
    """The limit of new tokens, from the exact length of the prompt."""
    return budget_for(
        job.request,
        job.messages,
        job.reference.profile,
        context=engine.context,
        prompt_tokens=_prompt_tokens(job, engine),
    ).max_new_tokens


def _prompt_tokens(job: Job, engine: Engine) -> int:
    """The length of the prompt, with the draft that the answer goes on from."""
    draft = job.request.draft
    opening = len(engine.encode(draft.text)) if draft else 0
    return engine.count_tokens(job.messages, job.request.sampling) + opening


def _earlier_rounds(job: Job, engine: Engine, finish: Reason, answer: list[Event]) -> Rounds:
    """The tokens of an earlier run by rounds; of one that ended in a loop, those before it."""
    if finish != "loop":
        return rounds_of(answer)
    return [_before_loop(job, engine, ids_of(answer))]


def _before_loop(job: Job, engine: Engine, ids: tuple[int, ...]) -> tuple[int, ...]:
    """The tokens up to where the text began to repeat itself."""
    draft = job.request.draft
    opening = engine.encode(draft.text) if draft else ()
    request = GenerationRequest(job.messages, job.request.sampling, 0, opening, ids)
    chunks = [chunk for chunk in engine.stream(request) if isinstance(chunk, Chunk)]
    left = good_length("".join(chunk.text for chunk in chunks))
    kept: list[int] = []
    for chunk in chunks:
        left -= len(chunk.text)
        if left < 0:
            break
        kept += chunk.ids
    return tuple(kept)
