"""The passes of a job, and the tokens of each, before a model is loaded: `passes_of`.

Only estimates: the exact counts need the tokenizer, and a plan that is not written yet.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from polaris_cli.events import Plan
from polaris_cli.request.budget import usual_thinking
from polaris_cli.request.prompts import Message
from polaris_cli.story.arc import arc_plan
from polaris_cli.story.job import Job, prompt_estimate
from polaris_cli.story.plan import even_plan
from polaris_cli.story.planning import TOKENS_PER_CHAPTER, plan_tokens
from polaris_cli.story.wording import wording_for

PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Pass:
    """One answer of the model: the tokens of its prompt, of its thinking at most, and of its text.

    The text is that of the plan, at most, or of the story. Thinking without a limit is counted with
    the default one.
    """

    name: str
    prompt: int
    thinking: int
    text: int


def passes_of(job: Job) -> list[Pass]:
    """The passes in order: the plan and each chapter, or one for the whole story.

    A story that is extended may need more, and so may one whose chapters are too short.
    """
    if job.request.length == "chapters":
        return [*_passes_in_chapters(job)]
    return [_answer(job, "story", _estimate(job, *job.messages), job.budget.story)]


def _answer(job: Job, name: str, prompt: int, text: int) -> Pass:
    """The pass of the story or of a chapter, within the user's limit of new tokens."""
    limit = job.request.sampling.max_new_tokens or job.budget.max_new_tokens
    thinking = min(_thinking(job), limit)
    return Pass(name, prompt, thinking, min(text, limit - thinking))


def _thinking(job: Job) -> int:
    return min(usual_thinking(job.request.sampling), job.budget.thinking)


def _passes_in_chapters(job: Job) -> Iterator[Pass]:
    """The plan, if the model writes one, then the chapters in one conversation."""
    kind, count = job.reference.profile.plans, job.request.chapters
    assert count
    if job.plan or kind == "arc":
        plan = job.plan or arc_plan(job.request, count)
        yield from _chapters(job, plan, _estimate(job, *wording_for(job.request, plan).preface))
    else:
        prompt, text = _estimate(job, *job.messages), plan_tokens(kind, count)
        yield Pass(PLAN, prompt, _thinking(job), text)
        plain = even_plan(job.request.premise, job.request.words, count)
        yield from _chapters(job, plain, prompt + text, TOKENS_PER_CHAPTER[kind])


def _chapters(job: Job, plan: Plan, start: int, unknown: int = 0) -> Iterator[Pass]:
    """The chapters of a plan; `start` are the tokens before the first, and `unknown` those of what
    a plan that is not written yet will say of a chapter."""
    profile, thinking, count = job.reference.profile, _thinking(job), len(plan.chapters)
    ask = wording_for(job.request, plan).ask
    texts = [math.ceil(one.words * profile.tokens_per_word) for one in plan.chapters]
    summaries = [_estimate(job, Message("", one.summary)) + unknown for one in plan.chapters]
    for done, chapter in enumerate(plan.chapters):
        prompt = ask(done + 1, count, chapter, chapter.words)
        start += _estimate(job, Message("user", prompt)) + unknown
        for whole in range(min(done, profile.recall), -1, -1):
            told = sum(summaries[: done - whole]) + sum(texts[done - whole : done])
            if start + told + thinking + texts[done] <= profile.context:
                break
        yield _answer(job, f"chapter {done + 1}", start + told, texts[done])


def _estimate(job: Job, *messages: Message) -> int:
    return prompt_estimate(job.request, messages)
