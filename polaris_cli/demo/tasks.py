"""Training examples: conversations whose last answer is a story, a chapter plan or a chapter.

The mixture determines what the demo model can do: stories with and without a plan as thinking,
further episodes after an ending, plans in chapters, and chapters after earlier ones. Does not know
about tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from polaris_cli.demo import grammar as g
from polaris_cli.demo.premises import Premise, article, sample_premise
from polaris_cli.request.prompts import chapter_prompt, phrase_plan_prompt

MOST_WORDS = 400
# The scene break that polaris inserts to extend a story; the model must not learn to write it.
BREAK = "\n\n* * *\n\n"
SYSTEM = [
    "You are a writer of stories.",
    "You write fiction of the length that is asked for.",
    "You are a helpful assistant.",
]
FORMS = ["flash fiction", "scene", "essay", "book review", "podcast script", "short story"]
LONG_ENDINGS = [
    "The {form} should be approximately {n} words long.",
    "It should be about {n} words long.",
    "It should be {n} words long.",
    "Make it approximately {n} words long.",
    "The response should be roughly {n} words long.",
]


@dataclass(frozen=True)
class Turn:
    """One message; `thinking` is None for an answer without thinking."""

    role: str
    content: str
    thinking: str | None = None


@dataclass(frozen=True)
class Example:
    """A conversation to train on; `kind` is the task, `words` the length of the story or chapter
    (for "plan", the number of chapters)."""

    kind: str
    turns: list[Turn] = field(default_factory=list)
    words: int = 0


@dataclass(frozen=True)
class Chapter:
    """One line of a chapter plan."""

    title: str
    scene: g.Scene
    summary: str


def sample(rng: Random) -> Example:
    """One training example, with a task drawn by the weights of the mixture."""
    tasks: list[tuple[Callable[[Random], Example], float]] = [
        (story_task, 40),
        (direct_task, 8),
        (episodes_task, 10),
        (plan_task, 18),
        (chapter_task, 24),
    ]
    task = rng.choices([t for t, _ in tasks], [weight for _, weight in tasks])[0]
    return task(rng)


def sample_words(rng: Random) -> int:
    """A length to ask for: 50 to 400 words, often round, sometimes outside that range."""
    roll = rng.random()
    if roll < 0.03:
        return rng.randint(20, 49)
    if roll < 0.06:
        return rng.choice([rng.randint(401, 1000), 100 * rng.randint(5, 120)])
    if roll < 0.35:
        return 50 * rng.randint(1, 8)
    return 10 * rng.randint(5, 40) if roll < 0.55 else rng.randint(50, 400)


def story_prompt(premise: Premise, words: int, rng: Random) -> str:
    """The prompt, in the model card's wording or with the length in its last sentence."""
    form = "story" if rng.random() < 0.93 else rng.choice(FORMS)
    sentence = premise.text.endswith(".")
    if sentence:
        request = rng.choice([premise.text, premise.text, f"Write a {form}: {premise.text}"])
    else:
        request = rng.choice([f"Write a {form} about {premise.text}."] * 4 + [f"{premise.text}."])
    if rng.random() < 0.5:
        about = premise.text[:-1] if sentence else premise.text
        return f"Write a {words}-word {form} about {about}."
    ending = rng.choice(LONG_ENDINGS).format(form=form, n=words)
    return f"{request[0].upper()}{request[1:]} {ending}"


def _answered(words: int) -> int:
    return min(words, MOST_WORDS)


def _opened(rng: Random) -> list[Turn]:
    return [Turn("system", rng.choice(SYSTEM))] if rng.random() < 0.03 else []


def story_task(rng: Random, kind: str = "story", thinking: bool = True) -> Example:
    """A story with its plan as thinking; at most 400 words, even if more are asked for."""
    premise, asked = sample_premise(rng), sample_words(rng)
    story = g.write_story(premise, _answered(asked), rng)
    answer = Turn("assistant", story.text, story.plan if thinking else None)
    user = Turn("user", story_prompt(premise, asked, rng))
    return Example(kind, [*_opened(rng), user, answer], _answered(asked))


def direct_task(rng: Random) -> Example:
    """A story without thinking."""
    return story_task(rng, "direct", thinking=False)


def episodes_task(rng: Random) -> Example:
    """A story that continues, for runs that suppress the end token.

    Some continue after their ending. About 60% have no ending there, and a scene break before each
    new episode, as polaris does to extend a story.
    """
    premise, asked = sample_premise(rng), rng.randint(50, 250)
    world, used = g.build_world(premise, rng), set[str]()
    row = g.story_scenes(asked, world, rng, used)
    broken = rng.random() < 0.6 and len(row) > 1
    told = row[:-1] if broken else row
    share = round(asked * len(told) / len(row))
    parts = [g.write_scenes(share, world, told, rng, used, closing=None if broken else True)]
    count = rng.randint(1, 3)
    for i in range(1, count + 1):
        if broken:
            parts.append(_broken_episode(world, rng, used, closing=i == count))
        else:
            parts.append(g.write_episode(world, rng.randint(60, 150), rng, used))
    thinking = g.plan_text(asked, world, row) if rng.random() < 0.7 else None
    user = Turn("user", story_prompt(premise, asked, rng))
    text = (BREAK if broken else "\n\n").join(parts)
    return Example("episodes", [user, Turn("assistant", text, thinking)], asked)


def _broken_episode(world: g.World, rng: Random, used: set[str], *, closing: bool) -> str:
    """An episode after a scene break: a later time, some scenes, and an ending if `closing`."""
    opener = g.write_episode(world, rng.randint(60, 110), rng, used).split("\n\n")[0]
    row = g.middle_scenes(rng.randint(2, 5), world, rng, used)
    if closing:
        row.append(g.ending_scene(world, rng, used))
    words = g.SCENE_WORDS * len(row)
    return f"{opener}\n\n{g.write_scenes(words, world, row, rng, used, closing=closing or None)}"


def chapter_rows(count: int, world: g.World, rng: Random, used: set[str]) -> list[Chapter]:
    """The chapters of a plan: the event first, the ending last, each with its own title."""
    scenes = [g.event_scene(world, used)]
    while len(scenes) < count - 1:
        scenes += g.middle_scenes(min(count - 1 - len(scenes), 8), world, rng, used)
    scenes.append(g.ending_scene(world, rng, used))
    titles = set[str]()
    rows = []
    for scene in scenes:
        title = _title(scene.key, titles, rng)
        gist = scene.gist.replace("it ends at", "comes home at")
        rows.append(Chapter(title, scene, f"{world.hero} {gist}"))
    return rows


def _title(key: str, taken: set[str], rng: Random) -> str:
    capital = " ".join(word[0].upper() + word[1:] for word in key.split())
    choices = [f"The {capital}"] * 3 + [f"At the {capital}", f"Beyond the {capital}"]
    title = next((t for t in rng.sample(choices, 5) if t not in taken), f"Return to the {capital}")
    taken.add(title)
    return title


def plan_answer(world: g.World, rows: list[Chapter], words: int, rng: Random) -> str:
    """A chapter plan, as the model writes it."""
    role = f", {article(world.premise.role)}" if world.premise.role else ""
    share = round(words / len(rows))
    title = rng.choice([world.premise.noun, world.thing, rows[-1].scene.key, rows[0].scene.key])
    lines = [
        f"Title: {_title(title, set(), rng)}",
        f"Cast: {world.hero}{role}; {world.friend}, {world.relation}",
    ]
    lines += [f"{i}. {r.title} | {share} words | {r.summary}" for i, r in enumerate(rows, 1)]
    return "\n".join(lines)


def plan_task(rng: Random) -> Example:
    """A plan of two to twelve chapters."""
    _, rows, turns = _planned(rng, rng.randint(2, 12))
    return Example("plan", turns, len(rows))


def _planned(rng: Random, count: int) -> tuple[g.World, list[Chapter], list[Turn]]:
    premise = sample_premise(rng)
    words = rng.choice([rng.randint(200, 5000), 100 * rng.randint(2, 50)])
    world, used = g.build_world(premise, rng), set[str]()
    rows = chapter_rows(count, world, rng, used)
    about = premise.text.removesuffix(".")
    share = round(words / count)
    thinking = f"{words} words, {count} chapters, {share} each." if rng.random() < 0.9 else None
    answer = Turn("assistant", plan_answer(world, rows, words, rng), thinking)
    return (
        world,
        rows,
        [*_opened(rng), Turn("user", phrase_plan_prompt(about, words, count)), answer],
    )


def chapter_task(rng: Random) -> Example:
    """One chapter of a plan, after summaries of earlier ones; the one before may be in full."""
    count = rng.choice([2, 3, 3, 4, 4, 5, 6, 8, 10, 12])
    world, rows, turns = _planned(rng, count)
    number = rng.choice([1, count, rng.randint(1, count), rng.randint(1, count)])
    used = {row.scene.key for row in rows}
    for i in range(1, number):
        if rng.random() < 0.15:
            continue
        whole = i == number - 1 and rng.random() < 0.2
        words = rng.randint(50, 150)
        turns.append(_chapter_turn(i, rows, words))
        text = (
            _chapter(i, rows, words, world, rng, used)[1] if whole else _summary(rows[i - 1], rng)
        )
        turns.append(Turn("assistant", text))
    words = rng.choice([rng.randint(50, 250), rng.randint(50, 400), 50 * rng.randint(1, 8)])
    turns.append(_chapter_turn(number, rows, words))
    plan, text = _chapter(number, rows, words, world, rng, used)
    turns.append(Turn("assistant", text, plan if rng.random() < 0.85 else None))
    return Example("chapter", turns, words)


def _chapter_turn(number: int, rows: list[Chapter], words: int) -> Turn:
    row = rows[number - 1]
    return Turn("user", chapter_prompt(number, len(rows), row.title, words, row.summary))


def _summary(row: Chapter, rng: Random) -> str:
    return rng.choice([f"{row.summary}.", f"{row.title}: {row.summary}.", f"Here {row.summary}."])


def _chapter(
    number: int, rows: list[Chapter], words: int, world: g.World, rng: Random, used: set[str]
) -> tuple[str, str]:
    scene, final = rows[number - 1].scene, number == len(rows)
    count = g.scene_count(words)
    first = [g.opening_scene(world, rng, used)] if number == 1 and not final else []
    middle = g.middle_scenes(count - len(first) - 1, world, rng, used)
    row = [*first, *middle, scene] if final else [*first, scene, *middle]
    text = g.write_scenes(words, world, row, rng, used, closing=final)
    return g.plan_text(words, world, row), text
