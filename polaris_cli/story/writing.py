"""Writing a job on a loaded engine: `write_job`.

Knows which way of writing a request asks for, and where an earlier run left off; not how each way
works.
"""

from collections.abc import Iterator

from polaris_cli.engines.base import Engine
from polaris_cli.events import Event, Piece, Reason
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
    request, draft, messages = job.request, job.request.draft, job.messages
    budget = budget_for(
        request,
        messages,
        job.reference.profile,
        context=engine.context,
        prompt_tokens=_prompt_tokens(job, engine),
    )
    limit, sampling = budget.max_new_tokens, request.sampling
    attempt, rounds = 0, Rounds()
    if job.earlier:
        attempt, answer = since_restart(job.earlier.events)
        rounds = _earlier_rounds(job, engine, job.earlier.finish, answer)
        if job.earlier.finish == "length":  # else the limit is that of an uninterrupted run
            limit += sum(map(len, rounds))
    if request.length == "extend":
        text = draft.text if draft else ""
        ask = (engine, messages, sampling, limit)
        words = request.words
        run = extended(*ask, words=words, draft=text, after=rounds, attempt=attempt)
    else:
        after = tuple(id_ for ids in rounds for id_ in ids)
        opening = engine.encode(draft.text) if draft else ()
        left = limit - len(after)
        ask = (engine, messages, sampling, left)
        run = write_story(*ask, opening=opening, after=after, attempt=attempt)
    return behind(draft, run)


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
    replay = engine.stream(job.messages, job.request.sampling, 0, opening=opening, after=ids)
    pieces = [piece for piece in replay if isinstance(piece, Piece)]
    left = good_length("".join(piece.text for piece in pieces))
    kept: list[int] = []
    for piece in pieces:
        left -= len(piece.text)
        if left < 0:
            break
        kept += piece.ids
    return tuple(kept)
