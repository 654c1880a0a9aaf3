"""The plan of a story in chapters: asked of the model, or the arc of a story: `make_plan`.

Does not know how a plan is read (`plan`) or followed (`chapters`).
"""

from collections.abc import Generator, Iterator
from dataclasses import replace

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.events import Chunk, Event, Finish, Plan, Planned, Restart, closing
from polaris_cli.story.arc import arc_plan
from polaris_cli.story.job import Job
from polaris_cli.story.plan import even_plan, is_complete, parse_plan
from polaris_cli.story.single_pass import seed_of_call, stream_answer

TRIES = 3  # attempts at a plan before one without events is used
TOKENS = 160  # for the title and the cast
TOKENS_PER_CHAPTER = 90  # a line of about 60, and room


def make_plan(job: Job, engine: Engine) -> Generator[Event, None, Plan | None]:
    """Ask for a plan until one can be read; yield and return it, or None if the run was cut off.

    The text of the answers is streamed as thinking. A model that cannot plan gets the arc at once.
    """
    request, count, profile = job.request, job.request.chapters, job.reference.profile
    assert count
    for attempt in range(TRIES if profile.plans else 0):
        if attempt:
            yield Restart(attempt)
        answer = yield from _plan_answer(_ask(job, engine, attempt), count)
        if answer is None:
            return None
        plan = parse_plan(answer, request.words)
        if plan and abs(len(plan.chapters) - count) <= count // 4:
            yield Planned(plan)
            return plan
    generic = even_plan(request.premise, request.words, count)
    plan = generic if profile.continues else arc_plan(request, count)
    note = "The model did not write a usable plan; a generic one is used." if profile.plans else ""
    yield Planned(plan, note)
    return plan


def _ask(job: Job, engine: Engine, attempt: int) -> Iterator[Event]:
    """Stream the answer to the prompt for a plan."""
    sampling, count = job.request.sampling, job.request.chapters or 0
    sampling = replace(sampling, seed=seed_of_call(sampling, -attempt))
    limit = TOKENS + TOKENS_PER_CHAPTER * count
    limit += max(sampling.thinking_budget, 0) * sampling.thinks
    return stream_answer(engine, GenerationRequest(job.messages, sampling, limit))


def _plan_answer(run: Iterator[Event], count: int) -> Generator[Event, None, str | None]:
    """Yield an answer as thinking and return its text, or None if the run was cut off.

    Stops after the line of the last chapter: small models continue with the story itself.
    """
    answer = ""
    with closing(run):
        for event in run:
            if isinstance(event, Chunk):
                yield replace(event, kind="thinking")
                answer += event.text if event.kind == "story" else ""
                if "\n" in event.text and is_complete(answer, count):
                    break
            elif isinstance(event, Finish) and event.reason in ("interrupted", "error"):
                yield event
                return None
    return answer
