"""From a request to the messages that a model reads.

Knows the wording only; how a conversation becomes tokens is the engine's affair.
"""

import re
from dataclasses import dataclass

from polaris_cli.request.premise import read_length
from polaris_cli.request.premise_kinds import kind_of
from polaris_cli.request.story_request import PLAIN_TEMPLATE, StoryRequest

FORM_NAMES = {
    "story": "story",
    "flash": "flash fiction story",
    "scene": "scene",
    "essay": "essay",
    "review": "book review",
    "podcast": "podcast script",
}

# Stands in a template for a premise that does not fit it. Of six wordings the demo model, which
# was trained on none, kept to this one best ("the following premise" became a person).
FOLLOWING = "this premise"
GAPS = {"sentence": " ", "text": "\n\n"}  # between a colon and such a premise


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation: `role` is "system", "user" or "assistant".

    `full_text` is the text that `content` is a summary of: the model does not read it, but a
    penalty on repeats should know it.
    """

    role: str
    content: str
    full_text: str = ""


def messages_for(request: StoryRequest) -> tuple[Message, ...]:
    """The conversation that asks for the story, or for the plan of one in chapters: one turn."""
    chapters = request.chapters
    return (Message("user", plan_prompt(request, chapters) if chapters else story_prompt(request)),)


def story_prompt(request: StoryRequest) -> str:
    """The wording that asks for the whole story.

    A phrase stands in the preset's template. A sentence, a question or several of them follow it,
    as they would not fit its grammar. A request of the user's own ("Write a fable about...") is
    left as it is and only given the length. The length is always stated in digits without a comma,
    as in training.
    """
    premise = request.premise.strip()
    kind = kind_of(premise)
    if kind == "request":
        return _with_length(premise, request)
    if kind == "form":
        return _with_length(f"Write {premise[0].lower()}{premise[1:]}", request)
    if kind == "phrase":
        return _worded(request, _without_length(premise).rstrip(". "))
    asked = _worded(request, FOLLOWING)
    if asked.endswith(f"{FOLLOWING}."):
        return f"{asked[:-1]}:{GAPS[kind]}{premise}"
    return f"{asked}\n\n{premise}"


def plan_prompt(request: StoryRequest, chapters: int) -> str:
    """The request for the plan of a story in chapters.

    A template that says more than the plain one, or a premise that is a request, is given whole, so
    that the chapters keep to it.
    """
    premise, words, form = request.premise.strip(), request.words, FORM_NAMES[request.form]
    kind = kind_of(premise)
    if request.template != PLAIN_TEMPLATE or kind in ("request", "form"):
        ask = f"Plan a {words}-word {form} in {chapters} chapters. It follows this request:"
        return f"{ask}\n\n{story_prompt(request)}\n\n{_plan_lines(words, chapters)}"
    if kind == "phrase":
        return phrase_plan_prompt(premise, words, chapters, form)
    ask = f"Plan a {words}-word {form} in {chapters} chapters. Its premise:"
    return f"{ask}{GAPS[kind]}{premise}\n\n{_plan_lines(words, chapters)}"


def phrase_plan_prompt(premise: str, words: int, chapters: int, form: str = "story") -> str:
    """The request for a plan where the premise is a phrase.

    The demo model was trained on exactly these lines; larger models follow them as they stand.
    """
    about = premise.strip().rstrip(". ")
    ask = f"Plan a {words}-word {form} about {about} in {chapters} chapters."
    return f"{ask}\n\n{_plan_lines(words, chapters)}"


def _plan_lines(words: int, chapters: int) -> str:
    return (
        "Answer with these lines and nothing else:\n"
        "Title: the title of the story\n"
        "Cast: the people in it\n"
        f"1. Title of the chapter | {round(words / chapters)} words | what happens in it"
    )


def chapter_prompt(
    number: int, count: int, title: str, words: int, summary: str, form: str = "story"
) -> str:
    """The request for chapter `number` of `count`; `form` is its name, as in `FORM_NAMES`."""
    return (
        f'Write chapter {number} of {count}, "{title}", as part of the {form}. '
        f"It should be approximately {words} words long.\n\nIn this chapter: {summary}"
    )


def _without_length(phrase: str) -> str:
    """A phrase without the length that stands before or behind it: "500 words: a fox".

    The template states the length, and the phrase has to fit its grammar.
    """
    stated = read_length(phrase).length
    if not stated:
        return phrase
    quote = re.escape(stated.quote)
    edges = rf"^{quote}\s*[:,;.\u2013\u2014-]\s*|[\s,;:.\u2013\u2014(\[-]+{quote}[)\].]*$"
    rest = re.sub(edges, "", phrase)
    return rest if rest.strip(" .") else phrase


def _worded(request: StoryRequest, premise: str) -> str:
    form = FORM_NAMES[request.form]
    text = request.template.format(premise=premise, words=request.words, form=form)
    return _with_article(text)


def _with_article(text: str) -> str:
    """ "a 800-word" reads "an 800-word": 8, 11 and 18 (thousand) begin with a vowel sound."""
    return re.sub(r"\b([Aa]) (?=(?:8\d*|11(?:\d{3})?|18(?:\d{3})?)-word)", r"\1n ", text)


def _with_length(premise: str, request: StoryRequest) -> str:
    stated = read_length(premise).length
    if stated and stated.words == request.words and str(request.words) in stated.quote:
        return premise
    ending = "" if premise[-1] in ".!?" else "."
    form = FORM_NAMES[request.form]
    return f"{premise}{ending} The {form} should be approximately {request.words} words long."
