"""A plan without a model: the arc of a story, spread over its chapters: `arc_plan`, `another_beat`.

For models that are too small to plan, and in place of a plan that cannot be read. Its chapters have
no titles, so the story has no headings. Does not know how a chapter is asked for (`prompts`).
"""

from itertools import pairwise

from polaris_cli.events import Chapter, Plan
from polaris_cli.request.story_request import Form, StoryRequest
from polaris_cli.story.plan import shortened

STORY = (
    "Introduce the main character and the place, and show what the character wants",
    "Something happens that disturbs this life and calls for a decision",
    "The character sets out to get what was wanted, and meets the first difficulty",
    "What seemed to be true turns out to be wrong, and the character loses something",
    "The decisive scene: the character faces what was avoided so far, and acts",
    "Show what has changed, and end the story with one last image",
)
ESSAY = (
    "Begin with a concrete observation that leads to the question of the essay",
    "Say what people usually think about it, and why",
    "Give an example that supports this view, told in detail",
    "Give an example that speaks against it, and think it through",
    "Weigh both sides and state your own view",
    "Return to the observation of the beginning and close with a thought that stays",
)
REVIEW = (
    "Introduce the book, its author and the first impression that it makes",
    "Describe its world and its story without giving away the end",
    "Describe the characters and what they want",
    "Describe the style, with one passage as an example",
    "Say where the book is weak",
    "Give a verdict, and say who should read it",
)
PODCAST = (
    "Open with a short scene that catches the listeners, and greet them",
    "Introduce the subject and the question of this episode",
    "Tell the first part of what happened, with the voices of those who were there",
    "Tell what nobody knew then, and how it came out",
    "Ask what it means, and let somebody disagree",
    "Answer the question of the beginning, and say goodbye",
)
ARCS: dict[Form, tuple[str, ...]] = {
    "story": STORY, "flash": STORY, "scene": STORY,
    "essay": ESSAY, "review": REVIEW, "podcast": PODCAST,
}  # fmt: skip

# For a chapter between two steps of the arc.
STORY_TURNS = (
    "Somebody else wants the same thing, or stands in the way",
    "A conversation in which something is said that was kept secret",
    "A memory explains why this matters so much to the character",
    "The plan goes wrong in a way that nobody expected",
    "A quiet hour with one other person, before the next step",
    "A choice between two things that are both dear to the character",
    "The place itself becomes a danger",
    "Help comes from where it was not expected",
)
OTHER_TURNS = (
    "Add a further example and look at it closely",
    "Look at the subject from another person's point of view",
    "Go back to how it all began",
    "Add a detail that makes the picture less simple",
)


def arc_plan(request: StoryRequest, count: int) -> Plan:
    """The plan of `count` equal chapters that follow the arc of the request's form."""
    beats = [Chapter("", 1, beat) for beat in _spread(request.form, count)]
    return Plan(shortened(request.premise), "", tuple(beats)).shared(request.words)


def another_beat(form: Form, plan: Plan) -> Chapter:
    """A chapter to insert into a plan, with what happens in none of its chapters if possible."""
    turns = _turns(form)
    told = [chapter.summary for chapter in plan.chapters]
    beat = min(turns, key=told.count)
    return Chapter("", round(plan.words / len(plan.chapters)), beat)


def last_beat(form: Form, words: int) -> Chapter:
    """A chapter of `words` words that ends a story."""
    return Chapter("", words, ARCS[form][-1])


def _spread(form: Form, count: int) -> list[str]:
    """What happens in each of `count` chapters: several steps in one, or turns between them."""
    arc = ARCS[form]
    if count <= len(arc):
        bounds = pairwise(round(len(arc) * part / count) for part in range(count + 1))
        return [". ".join(arc[start:end]) for start, end in bounds]
    beats = list(arc)
    turns = _turns(form)
    for number in range(count - len(arc)):
        # Between the second step and the decisive one, evenly.
        place = 2 + (number * 3 + 1) % (len(beats) - 3)
        beats.insert(place, turns[number % len(turns)])
    return beats


def _turns(form: Form) -> tuple[str, ...]:
    return STORY_TURNS if ARCS[form] is STORY else OTHER_TURNS
