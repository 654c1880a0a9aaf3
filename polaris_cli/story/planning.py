"""The plan of a story in chapters: asked of the model, or the arc of a story: `make_plan`.

Does not know how a plan is read (`plan_answer`) or followed (`chapters`).
"""

from collections.abc import Generator, Iterator
from dataclasses import replace

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.events import Chapter, Chunk, Event, Finish, Plan, Planned, Restart, closing
from polaris_cli.models.catalogue import PlanKind
from polaris_cli.request.prompts import Message, missing_line_prompt
from polaris_cli.request.story_request import Sampling
from polaris_cli.story.arc import arc_plan
from polaris_cli.story.job import Job
from polaris_cli.story.plan import even_plan
from polaris_cli.story.plan_answer import PlanAnswer, is_complete, read_answer
from polaris_cli.story.single_pass import seed_of_call, stream_answer

TRIES = 3  # attempts at a plan before one without events is used
# Tokens of a plan, for what is in it once, and for each chapter: a line of about 60, or one of 25
# and three events of 35. All with room.
TOKENS: dict[PlanKind, int] = {"arc": 0, "lines": 160, "full": 700}
TOKENS_PER_CHAPTER: dict[PlanKind, int] = {"arc": 0, "lines": 90, "full": 180}


def make_plan(job: Job, engine: Engine) -> Generator[Event, None, Plan | None]:
    """Ask for a plan until one can be read; yield and return it, or None if the run was cut off.

    The answers are streamed as chunks of the kind "plan". A chapter's line that one lacks is asked
    for alone. A model that cannot plan gets the arc at once.
    """
    count = job.request.chapters
    assert count
    plans = job.reference.profile.plans != "arc"
    for attempt in range(TRIES if plans else 0):
        if attempt:
            yield Restart(attempt)
        planning = _Planning(job, engine, count)
        text = yield from planning.ask_for_plan(attempt)
        if text is None:
            return None
        answer = read_answer(text)
        if answer.is_readable(count):
            return (yield from planning.complete(answer))
    plan = _generic_plan(job, count)
    note = "The model did not write a usable plan; a generic one is used." if plans else ""
    yield Planned(plan, note)
    return plan


def plan_tokens(kind: PlanKind, chapters: int) -> int:
    """The most tokens of a plan of this number of chapters, without its thinking."""
    return TOKENS[kind] + TOKENS_PER_CHAPTER[kind] * chapters


def _generic_plan(job: Job, count: int) -> Plan:
    """A plan without a model."""
    request = job.request
    if job.reference.profile.continues:
        return even_plan(request.premise, request.words, count)
    return arc_plan(request, count)


class _Planning:
    """One attempt at a plan of `count` chapters, in one conversation.

    An engine that can hold an answer to a grammar is not asked to: an answer that is read leniently
    and a question for what it lacks are enough, with every engine.
    """

    def __init__(self, job: Job, engine: Engine, count: int) -> None:
        self._job, self._engine, self._count = job, engine, count
        self._kind = job.reference.profile.plans
        self._messages = job.messages

    def ask_for_plan(self, attempt: int) -> Generator[Event, None, str | None]:
        """Stream the answer to the prompt for a plan and return it, or None if it was cut off.

        Stops at the end of the plan: small models continue with the story itself.
        """
        sampling, messages = self._job.request.sampling, self._messages
        sampling = replace(sampling, seed=seed_of_call(sampling, -attempt))
        limit = plan_tokens(self._kind, self._count)
        if sampling.thinks and sampling.thinking_budget < 0:
            limit = self._engine.context - self._engine.count_tokens(messages, sampling)
        elif sampling.thinks:
            limit += sampling.thinking_budget
        return (yield from self._stream(sampling, limit))

    def complete(self, answer: PlanAnswer) -> Generator[Event, None, Plan | None]:
        """Yield and return the plan of an answer, with the lines that it lacks.

        Each is asked for once. If the model does not write it, the chapter is that of a generic
        plan, such as a step of the story's arc.
        """
        chapters, generic = dict(answer.chapters), list[str]()
        for number in answer.missing(self._count):
            text = yield from self._ask_for_line(number)
            if text is None:
                return None
            found = _line_of(number, text)
            chapters[number] = found or self._generic_chapter(number)
            generic += [] if found else [str(number)]
        plan = replace(answer, chapters=chapters).plan(self._job.request.words)
        lacking = f"The model did not plan chapter {', '.join(generic)}; a generic one is used."
        yield Planned(plan, lacking if generic else "")
        return plan

    def _ask_for_line(self, number: int) -> Generator[Event, None, str | None]:
        question = missing_line_prompt(number, full=self._kind == "full")
        self._messages = (*self._messages, Message("user", question))
        sampling = replace(self._job.request.sampling, thinking=False)
        sampling = replace(sampling, seed=seed_of_call(sampling, -TRIES - number))
        yield Chunk("plan", "\n")
        return (yield from self._stream(sampling, TOKENS_PER_CHAPTER[self._kind]))

    def _generic_chapter(self, number: int) -> Chapter:
        chapter = _generic_plan(self._job, self._count).chapters[number - 1]
        return replace(chapter, title=f"Chapter {number}", words=0)

    def _stream(self, sampling: Sampling, limit: int) -> Generator[Event, None, str | None]:
        """Yield an answer as a plan, add it to the conversation, and return it."""
        run = stream_answer(self._engine, GenerationRequest(self._messages, sampling, limit))
        answer, full = "", self._kind == "full"
        with closing(run):
            for event in self._as_plan(run):
                yield event
                if isinstance(event, Finish):
                    return None
                if isinstance(event, Restart):
                    answer = ""
                elif isinstance(event, Chunk) and event.kind == "plan":
                    answer += event.text
                    if "\n" in event.text and is_complete(answer, self._count, full=full):
                        break
        self._messages = (*self._messages, Message("assistant", answer.strip()))
        return answer

    @staticmethod
    def _as_plan(run: Iterator[Event]) -> Iterator[Event]:
        """The events of an answer, its text labelled as a plan; only a Finish that cuts it off."""
        for event in run:
            if isinstance(event, Chunk) and event.kind in ("story", "aside"):
                yield replace(event, kind="plan")
            elif not isinstance(event, Finish) or event.reason in ("interrupted", "error"):
                yield event


def _line_of(number: int, text: str) -> Chapter | None:
    """The chapter in the answer to the question for one line; None if there is none."""
    unnumbered = f"{number}. {text.strip()}" if "|" in text else ""
    for answer in (text, unnumbered):
        chapters = read_answer(answer).chapters
        if number in chapters or len(chapters) == 1:
            return chapters.get(number) or next(iter(chapters.values()))
    return None
