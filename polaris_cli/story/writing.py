"""Writes a job with a loaded engine: `write_job`.

Chooses the length mode's function, and continues where an earlier run stopped. Does not know how
the modes work.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.errors import UsageError
from polaris_cli.events import ChapterStart, Chunk, Event, Reason
from polaris_cli.story.chapter_drafts import earlier_parts, ends_finished
from polaris_cli.story.chapters import in_chapters, in_parts
from polaris_cli.story.decayed import RETRIES, without_decay
from polaris_cli.story.extending import extended, rounds_of
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import budget_for
from polaris_cli.story.result import Story, new_record
from polaris_cli.story.single_pass import (
    before_loop,
    ids_of,
    since_restart,
    stream_answer,
    with_draft,
    with_log_probs,
)
from polaris_cli.streaming.loops import length_before_loop

Rounds = list[tuple[int, ...]]


def record_for(job: Job, engine: Engine) -> Story:
    """The record, with a new id, of the story that `write_job` will write."""
    prompt_tokens = _prompt_tokens(job, engine, _opening(job, engine))
    record = new_record(job.request, engine.info, job.messages, prompt_tokens, job.place)
    earlier = job.earlier
    if not earlier:
        return record
    extended = 0 if _extends_within(job) else earlier.extended  # it goes on after the same ends
    return replace(record, extended=extended, rewritten=earlier.rewritten)


def replayed_tokens(job: Job, engine: Engine) -> int:
    """How many tokens of an earlier run come first in the stream of `write_job`.

    After a loop, this is an estimate: where the text before it ends is not known yet.
    """
    planned = job.request.length == "chapters"
    if not job.earlier or (planned and not job.plan):
        return 0
    events, can_continue = job.earlier.events, engine.capabilities.token_ids
    starts = [n for n, event in enumerate(events) if isinstance(event, ChapterStart)]
    last = (
        len(events)
        if ends_finished(job, engine)
        else max(starts, default=len(events) if planned else 0)
    )
    whole = sum(event.tokens for event in events[:last] if isinstance(event, Chunk))
    return whole + (_continued(events[last:], job.earlier.finish) if can_continue else 0)


def _continued(answer: Iterable[Event], finish: Reason) -> int:
    """The tokens of an earlier answer that the engine continues."""
    chunks = [event for event in since_restart(answer)[1] if isinstance(event, Chunk)]
    tokens = sum(len(chunk.ids) for chunk in chunks)
    if finish != "loop":
        return tokens
    text = "".join(chunk.text for chunk in chunks)
    return round(tokens * length_before_loop(text) / max(len(text), 1))


def write_job(job: Job, engine: Engine) -> Iterator[Event]:
    """Stream a job's story: the text of an earlier run first, then the new text and one `Finish`.

    Raises UsageError if the prompt and the words do not fit the loaded model's context, and if the
    engine cannot continue an answer where the job needs it.
    """
    _check_capabilities(job, engine)
    events = _written(job, engine)
    return with_log_probs(events, job.earlier.events) if job.earlier else events


def _written(job: Job, engine: Engine) -> Iterator[Event]:
    """The events of the job's length mode."""
    if job.request.length == "chapters":
        return in_chapters(job, engine)
    if job.request.length == "extend" and not _extends_within(job):
        return _in_parts(job, engine)
    return _as_one_text(job, engine)


def _check_capabilities(job: Job, engine: Engine) -> None:
    """Raise UsageError if the job has to continue an answer, and the engine cannot."""
    request = job.request
    resumed = job.earlier and request.length != "chapters"
    continues = request.draft or resumed or _extends_within(job)
    if engine.capabilities.token_ids or not continues:
        return
    what = "--continue" if request.draft else "resume" if resumed else "--length extend"
    raise UsageError(
        f"This server takes only whole messages, so it cannot continue a text ({what}).",
        hint="Use --length chapters, or a server that takes token ids: llama.cpp or vLLM.",
    )


def _extends_within(job: Job) -> bool:
    """Whether a text that ends too early goes on within the same answer."""
    return job.request.length == "extend" and job.reference.profile.continues


def _in_parts(job: Job, engine: Engine) -> Iterator[Event]:
    run = in_parts(job, engine, _opening(job, engine), earlier_parts(job, engine))
    return with_draft(job.request.draft, run)


def _as_one_text(job: Job, engine: Engine) -> Iterator[Event]:
    """The events of a single pass, or of a text that goes on within the same answer."""
    opening = _opening(job, engine)
    limit = _limit(job, engine, opening)
    request = GenerationRequest(job.messages, job.request.sampling, limit, opening)
    attempt, rounds = _earlier_answer(job, engine, request)
    # A run cut off by the limit gets the limit again; any other shares it with the earlier run.
    if job.earlier and job.earlier.finish == "length":
        request = replace(request, max_new_tokens=limit + sum(map(len, rounds)))
    write = _extended if job.request.length == "extend" else _in_one_pass
    return with_draft(job.request.draft, write(job, engine, request, attempt, rounds))


def _extended(
    job: Job, engine: Engine, request: GenerationRequest, attempt: int, rounds: Rounds
) -> Iterator[Event]:
    draft = job.request.draft.text if job.request.draft else ""
    words = job.request.words
    return extended(engine, request, words=words, draft=draft, rounds=rounds, attempt=attempt)


def _in_one_pass(
    job: Job, engine: Engine, request: GenerationRequest, attempt: int, rounds: Rounds
) -> Iterator[Event]:
    after = tuple(id_ for ids in rounds for id_ in ids)
    return without_decay(
        lambda request: stream_answer(engine, request, attempt=attempt),
        replace(request, max_new_tokens=request.max_new_tokens - len(after), after=after),
        narrative=job.request.narrative,
        retries=RETRIES if engine.capabilities.token_ids else 0,
    )


def _opening(job: Job, engine: Engine) -> tuple[int, ...]:
    """The token ids of the draft that the answer continues, if there is one."""
    draft = job.request.draft
    return engine.encode(draft.text) if draft else ()


def _limit(job: Job, engine: Engine, opening: tuple[int, ...]) -> int:
    """The limit of new tokens, computed from the exact length of the prompt."""
    return budget_for(
        job.request,
        job.messages,
        job.reference.profile,
        context=engine.context,
        prompt_tokens=_prompt_tokens(job, engine, opening),
    ).max_new_tokens


def _prompt_tokens(job: Job, engine: Engine, opening: tuple[int, ...]) -> int:
    """The length of the prompt in tokens, including the draft that the answer continues."""
    return engine.count_tokens(job.messages, job.request.sampling) + len(opening)


def _earlier_answer(job: Job, engine: Engine, request: GenerationRequest) -> tuple[int, Rounds]:
    """How many times an earlier run had restarted, and its token ids by rounds.

    Without the loop if it ended in one.
    """
    if not job.earlier:
        return 0, []
    attempt, answer = since_restart(job.earlier.events)
    if job.earlier.finish != "loop":
        return attempt, rounds_of(answer)
    return attempt, [before_loop(engine, request, ids_of(answer))]
