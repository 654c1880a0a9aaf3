"""Prompts: turns a request into the messages for a model.

Knows the wording. Does not know chat templates or tokens: engines apply them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from polaris_cli.request.premise import read_length
from polaris_cli.request.premise_kinds import (
    PremiseKind,
    article_of,
    as_request,
    is_closed,
    kind_of,
    named_form,
)
from polaris_cli.request.stated_length import with_length, without_length
from polaris_cli.request.story_request import PLAIN_TEMPLATE, StoryRequest

FORM_NAMES = {
    "story": "story",
    "flash": "flash fiction story",
    "scene": "scene",
    "essay": "essay",
    "review": "book review",
    "podcast": "podcast script",
}

# Fills {premise} if the premise is not a phrase, and the premise follows the template. Of six such
# wordings, the demo model, trained on none of them, follows this one best.
PLACEHOLDER = "this premise"
PREMISE_MARK = "\0"  # in a template while the rest is filled in
TRAINED_ON_ARTICLE_A = "demo"  # the model whose plans were asked for with "a 800-word"
SEPARATORS = {"sentence": " ", "text": "\n\n"}  # between "this premise:" and the premise


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation: `role` is "system", "user" or "assistant".

    `full_text` is the text that `content` summarizes: the model does not read it, but repetition
    penalties apply to it.
    """

    role: str
    content: str
    full_text: str = ""


def has_answer(messages: Sequence[Message]) -> bool:
    """Whether the messages go on with a conversation, such as that of a story in chapters."""
    return any(message.role == "assistant" for message in messages)


def messages_for(request: StoryRequest, *, full_plan: bool = False) -> tuple[Message, ...]:
    """The messages that ask for the story, or for its plan if it has chapters: one user turn.

    `full_plan` is for a model that can write one.
    """
    if request.chapters:
        return (Message("user", plan_prompt(request, request.chapters, full=full_plan)),)
    return (Message("user", story_prompt(request)),)


def story_prompt(request: StoryRequest) -> str:
    """The prompt for the whole story.

    A phrase fills the preset's template. Sentences do not fit its grammar, so they follow it. A
    request ("Write a fable about...") stays as it is, with the length added. Another length in the
    premise is replaced. The length is always in digits without a comma, as in training.
    """
    premise = _premise(request)
    kind = kind_of(premise)
    if kind == "request":
        return _append_length(premise, request)
    if kind == "form":
        return _append_length(as_request(premise), request)
    if kind == "phrase":
        return _fill_template(request, _as_topic(premise))
    asked = _fill_template(request, PLACEHOLDER)
    premise = "\n\n".join(filter(None, (premise, _correction(request))))
    if asked.endswith(f"{PLACEHOLDER}."):
        return f"{asked[:-1]}:{SEPARATORS[kind]}{premise}"
    return f"{asked}\n\n{premise}"


def plan_prompt(request: StoryRequest, chapters: int, *, full: bool = False) -> str:
    """The prompt for the plan of a story in chapters: a line for each, or a `full` plan.

    Includes the full story prompt if the template is not the plain one or the premise is a request,
    so that the chapters follow it.
    """
    premise, words, form = _premise(request), request.words, FORM_NAMES[request.form]
    lines = _full_plan_lines(request, chapters) if full else _plan_lines(words, chapters)
    kind = kind_of(premise)
    ask = f"Plan a {words}-word {form} in {chapters} chapters"
    if request.template != PLAIN_TEMPLATE or kind in ("request", "form"):
        ask = f"{ask}. It follows this request:\n\n{story_prompt(request)}"
    elif full:
        ask = _ask_on_premise(ask, premise, kind)
    elif kind == "phrase":
        ask = _plan_about(_as_topic(premise), words, chapters, form)
    else:
        ask = f"{ask}. Its premise:{SEPARATORS[kind]}{premise}"
    if request.model != TRAINED_ON_ARTICLE_A:
        ask = ask.replace("Plan a ", f"Plan {article_of(str(words))} ", 1)
    return f"{ask}\n\n{lines}"


def _ask_on_premise(ask: str, premise: str, kind: PremiseKind) -> str:
    """An ask with its premise: a phrase continues it, anything else is quoted or follows it.

    A phrase with a capital letter may be a sentence that was not recognized as one.
    """
    if kind == "phrase" and premise[0].islower():
        return f"{ask}, about {_as_topic(premise)}."
    if kind == "text" or '"' in premise:
        return f"{ask}, based on this premise:\n\n{premise}"
    return f'{ask}, based on this premise: "{premise}"'


def phrase_plan_prompt(premise: str, words: int, chapters: int) -> str:
    """The prompt for a plan if the premise is a phrase.

    The demo model is trained on exactly this wording; larger models follow it, too.
    """
    ask = _plan_about(premise.strip().rstrip(". "), words, chapters, "story")
    return f"{ask}\n\n{_plan_lines(words, chapters)}"


def _plan_about(topic: str, words: int, chapters: int, form: str) -> str:
    return f"Plan a {words}-word {form} about {topic} in {chapters} chapters."


# For models that plan more than the lines of `_plan_lines`, which the demo is trained on.
FULL_PLAN = """\
Answer with these lines and nothing else:
Title: the title of the {form}
Cast: the name of each person, who that is, and what he or she wants
Place: where and when it happens
Arc: how it changes from its beginning to its end, in one or two sentences
Facts: what must not be forgotten later, such as names, ages, objects and promises
Chapter 1: title of the chapter | {words} words
- the first event of the chapter
- the second event
- the third event, if there is one
Chapter 2: title of the chapter | {words} words
- and so on, two or three events for each chapter"""


def _full_plan_lines(request: StoryRequest, chapters: int) -> str:
    share = round(request.words / chapters)
    return FULL_PLAN.format(form=FORM_NAMES[request.form], words=share)


def missing_line_prompt(number: int, *, full: bool = False) -> str:
    """The question for the one line that a plan lacks: that of chapter `number`."""
    return f"Write the line of chapter {number}{' and its events' if full else ''}."


def _plan_lines(words: int, chapters: int) -> str:
    return (
        "Answer with these lines and nothing else:\n"
        "Title: the title of the story\n"
        "Cast: the people in it\n"
        f"1. Title of the chapter | {round(words / chapters)} words | what happens in it"
    )


def chapter_prompt(
    number: int,
    count: int,
    title: str,
    words: int,
    summary: str,
    form: str = "story",
    events: Sequence[str] = (),
) -> str:
    """The prompt for chapter `number` of `count`; `form` is a value of `FORM_NAMES`.

    It has the summary, "" for none, and names the events, if there are any.
    """
    named = f', "{title}",' if title else ""
    happens = "".join([f" {summary}" if summary else "", *(f"\n- {event}" for event in events)])
    return (
        f"Write chapter {number} of {count}{named} as part of the {form}. "
        f"It should be approximately {words} words long.\n\nIn this chapter:{happens}"
    )


NOVELIST = (
    "You are a {writer}. You write the {form} in parts. Each part goes on exactly where the part "
    "before it ended, with the same people and places. Write only the text of the {form} itself."
)
WRITERS = {
    "essay": "gifted essayist",
    "review": "gifted critic",
    "podcast": "gifted podcast author",
}


def novelist_prompt(form: str) -> str:
    """The system prompt for a text in parts; `form` is a key of `FORM_NAMES`."""
    return NOVELIST.format(writer=WRITERS.get(form, "gifted novelist"), form=FORM_NAMES[form])


def part_prompt(
    request: StoryRequest,
    number: int,
    count: int,
    words: int,
    beat: str,
    background: Sequence[str] = (),
) -> str:
    """The prompt for part `number` of `count` of a text without chapter titles.

    The `background`, what holds for all parts, is in the first prompt, which stays in the
    conversation.
    """
    form = FORM_NAMES[request.form]
    if number == 1:
        ask = f"Write only the first part now, in about {words} words. {sentence(beat)}"
        return "\n\n".join(filter(None, (story_prompt(request), "\n".join(background), ask)))
    ending = f" and end the {form}" if number == count else ""
    part = "last" if number == count else "next"
    return f"Write the {part} part{ending}, in about {words} words. {sentence(beat)}"


def sentence(text: str) -> str:
    """A text with a full stop, unless it is the end of a sentence already."""
    return text if is_closed(text) else f"{text}."


def _as_topic(phrase: str) -> str:
    """A phrase that fits behind "about": without its stop, and without the length if it states it.

    The template states the length already.
    """
    return without_length(phrase).rstrip(" .!\u2026") or phrase


def _fill_template(request: StoryRequest, premise: str) -> str:
    """The template with the premise, which is not changed, and the articles that fit the rest."""
    form = FORM_NAMES[request.form]
    text = request.template.format(premise=PREMISE_MARK, words=request.words, form=form)
    return _fix_article(text).replace(PREMISE_MARK, premise)


def _fix_article(text: str) -> str:
    """ "a 800-word" becomes "an 800-word", "an 500-word" "a 500-word" and "a essay" "an essay"."""
    return re.sub(
        r"\b(a)n? (?=(\d+[- ]word|essay\b))",
        lambda match: f"{match[1]}{article_of(match[2])[1:]} ",
        text,
        flags=re.I,
    )


def _premise(request: StoryRequest) -> str:
    """The premise, with the words asked for in place of another number that it states."""
    premise = request.premise.strip()
    stated = read_length(premise).length
    if not stated or stated.words == request.words:
        return premise
    return with_length(premise, request.words)


def _correction(request: StoryRequest) -> str:
    """What replaces a length that the premise states and that is not one plain number."""
    stated = read_length(_premise(request)).length
    if not stated or stated.words == request.words:
        return ""
    return f"Instead of that length, it should be approximately {request.words} words long."


def _append_length(text: str, request: StoryRequest) -> str:
    """A request with its length, unless the premise states that in digits."""
    stated = read_length(_premise(request)).length
    if stated and stated.words == request.words and str(request.words) in stated.quote:
        return text
    form = FORM_NAMES[request.form]
    subject = f"The {form}" if named_form(text) in form else "It"
    ask = f"{subject} should be approximately {request.words} words long."
    ask = _correction(request) or ask
    return f"{text}\n\n{ask}" if "\n" in text else f"{sentence(text)} {ask}"
