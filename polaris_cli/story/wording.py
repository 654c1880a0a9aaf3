"""How a conversation asks for the chapters of a story: `wording_for`.

Chooses among the prompts of `request.prompts`. Does not know how a chapter is written (`chapters`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from polaris_cli.events import Chapter, Plan
from polaris_cli.request.prompts import (
    FORM_NAMES,
    Message,
    chapter_prompt,
    novelist_prompt,
    part_prompt,
    plan_prompt,
)
from polaris_cli.request.story_request import StoryRequest

Ask = Callable[[int, int, Chapter, int], str]
"""The prompt for a chapter: its number, the number of chapters, the chapter, words to request."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How the conversation asks for chapters: the messages at its start, and each prompt."""

    preface: tuple[Message, ...]
    ask: Ask


def wording_for(request: StoryRequest, plan: Plan) -> Wording:
    """The wording for a plan; that of a plan without chapter titles does not speak of chapters.

    The whole plan is in the conversation, so that every chapter can keep to it.
    """
    form = FORM_NAMES[request.form]
    if plan.titled:
        prompt = Message("user", plan_prompt(request, len(plan.chapters), full=plan.is_full))
        return Wording(
            (prompt, Message("assistant", plan.as_lines())),
            lambda number, total, chapter, words: chapter_prompt(
                number, total, chapter.title, words, chapter.own_summary, form, chapter.events
            ),
        )
    return Wording(
        (Message("system", novelist_prompt(request.form)),),
        lambda number, total, chapter, words: part_prompt(
            request, number, total, words, chapter.happens, plan.background()
        ),
    )
