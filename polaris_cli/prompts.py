"""From a request to the messages that a model reads, and a length read out of a premise.

Knows the wording only; how a conversation becomes tokens is the engine's affair.
"""

import re

from polaris_cli.engines import Message
from polaris_cli.request import StoryRequest
from polaris_cli.settings import parse_words

FORM_NAMES = {
    "story": "story",
    "flash": "flash fiction story",
    "scene": "scene",
    "essay": "essay",
    "review": "book review",
    "podcast": "podcast script",
}

_LENGTH = re.compile(r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)\s*(k?)[\s-]*words?\b", re.I)
_INSTRUCTION = re.compile(r"(?:please\s+)?(?:write|tell|compose|create|craft|give)\b", re.I)


def length_in(premise: str) -> int | None:
    """The first length stated in a premise ("a 500-word tale", "3k words"), None without one."""
    match = _LENGTH.search(premise)
    if not match:
        return None
    try:
        return parse_words(match[1] + match[2])
    except ValueError:
        return None


def messages_for(request: StoryRequest) -> tuple[Message, ...]:
    """The conversation that asks for the story: one user turn.

    A premise that is an instruction of its own ("Write a fable about...") is left as it is and
    only given the length; one of several lines follows the wording instead of standing in it.
    The length is always stated in digits without a comma, as in training.
    """
    premise = request.premise.strip()
    if _INSTRUCTION.match(premise):
        return (Message("user", _with_length(premise, request)),)
    if "\n" in premise:
        asked = _worded(request, "the following premise")
        return (Message("user", f"{asked}\n\n{premise}"),)
    return (Message("user", _worded(request, premise.rstrip(". "))),)


def outline_prompt(premise: str, words: int, chapters: int) -> str:
    """The request for the outline of a story in chapters.

    The demo model was trained on exactly these lines; larger models follow them as they stand.
    """
    about = premise.strip().rstrip(". ")
    return (
        f"Plan a {words}-word story about {about} in {chapters} chapters.\n\n"
        "Answer with these lines and nothing else:\n"
        "Title: the title of the story\n"
        "Cast: the people in it\n"
        f"1. Title of the chapter | {round(words / chapters)} words | what happens in it"
    )


def chapter_prompt(number: int, count: int, title: str, words: int, summary: str) -> str:
    """The request for chapter `number` of `count`."""
    return (
        f'Write chapter {number} of {count}, "{title}", as part of the story. '
        f"It should be approximately {words} words long.\n\nIn this chapter: {summary}"
    )


def _worded(request: StoryRequest, premise: str) -> str:
    form = FORM_NAMES[request.form]
    text = request.template.format(premise=premise, words=request.words, form=form)
    return _with_article(text)


def _with_article(text: str) -> str:
    """ "a 800-word" reads "an 800-word": 8, 11 and 18 (thousand) begin with a vowel sound."""
    return re.sub(r"\b([Aa]) (?=(?:8\d*|11(?:\d{3})?|18(?:\d{3})?)-word)", r"\1n ", text)


def _with_length(premise: str, request: StoryRequest) -> str:
    if length_in(premise) == request.words:
        return premise
    ending = "" if premise[-1] in ".!?" else "."
    form = FORM_NAMES[request.form]
    return f"{premise}{ending} The {form} should be approximately {request.words} words long."
