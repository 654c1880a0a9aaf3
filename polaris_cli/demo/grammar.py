"""The story grammar: makes a plan, and a story that follows it, from a premise and a word count.

A story is a list of scenes, one paragraph each. The plan gives each scene's keyword, its share of
the words and what happens. Does not know about prompts, tokens or training.
"""

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from polaris_cli.demo import scenes as s
from polaris_cli.demo import words as w
from polaris_cli.demo.middles import KINDS
from polaris_cli.demo.premises import Premise, article

SCENE_WORDS = 38
LATE = {"turn": 3.0, "choice": 3.5, "return": 4.0, "search": 0.5, "meet": 0.8, "loss": 1.5}


@dataclass(frozen=True)
class World:
    """The characters, places and things of one story."""

    premise: Premise
    hero: str
    woman: bool
    friend: str
    friend_woman: bool
    relation: str
    town: str
    thing: str
    wish: str


@dataclass(frozen=True)
class Scene:
    """A planned paragraph: its kind, its keyword and what happens, in the words of the plan."""

    kind: str
    key: str
    gist: str


@dataclass(frozen=True)
class Story:
    """A finished story with its plan."""

    plan: str
    text: str


class Slots(dict[str, str]):
    """Words for the slots of a sentence: some fixed by the world, the others drawn at random."""

    DRAWN: ClassVar[dict[str, list[str]]] = {
        "adj": w.ADJ, "mood": w.MOODS, "mood2": w.MOODS, "smell": w.SMELLS, "sound": w.SOUNDS,
        "time": w.TIMES, "day": w.DAYS, "small": w.SMALL, "animal": w.ANIMALS, "sky": w.SKIES,
        "colour": w.COLOURS, "material": w.MATERIALS, "crowd": w.CROWD, "num": w.NUMBERS,
        "wish2": w.WISHES, "say": w.LINES, "say2": w.LINES, "ask": w.QUESTIONS,
    }  # fmt: skip

    def __init__(self, rng: Random, fixed: dict[str, str]) -> None:
        super().__init__(fixed)
        self._rng = rng

    def __missing__(self, slot: str) -> str:
        if slot == "skyword":
            return "the " + self._rng.choice(w.SKIES)
        if slot == "day_cap":
            day = self._rng.choice(w.DAYS)
            return day[0].upper() + day[1:]
        return self._rng.choice(self.DRAWN[slot])


def build_world(premise: Premise, rng: Random) -> World:
    """A world for a premise; uses the hero's name and the thing if the premise has them."""
    woman = rng.random() < 0.5 if premise.woman is None else premise.woman
    hero = premise.hero or rng.choice(w.WOMEN if woman else w.MEN)
    friend_woman = rng.random() < 0.5
    names = [n for n in (w.WOMEN if friend_woman else w.MEN) if n != hero]
    return World(
        premise=premise,
        hero=hero,
        woman=woman,
        friend=rng.choice(names),
        friend_woman=friend_woman,
        relation=_relation(friend_woman, rng),
        town=rng.choice(w.TOWNS),
        thing=premise.thing or rng.choice(w.THINGS),
        wish=rng.choice(w.WISHES),
    )


def _relation(woman: bool, rng: Random) -> str:
    wrong = {"brother", "uncle", "son", "nephew", "landlord"}
    if not woman:
        wrong = {"sister", "aunt", "daughter", "niece"}
    return rng.choice([relation for relation in w.RELATIONS if relation not in wrong])


def _fixed(world: World, key: str) -> dict[str, str]:
    premise = world.premise
    pronouns = ("she", "her", "her", "herself") if world.woman else ("he", "him", "his", "himself")
    return dict(zip(("he", "him", "his", "himself"), pronouns, strict=True)) | {
        "hero": world.hero,
        "friend": world.friend,
        "fhis": "her" if world.friend_woman else "his",
        "rel": world.relation,
        "town": world.town,
        "core": premise.core,
        "matter": f"the {world.thing}" if premise.role else premise.core,
        "a_role": article(premise.role or ""),
        "thing": f"the {world.thing}",
        "event": premise.event[1] if premise.event else "",
        "wish": world.wish,
        "key": key,
    }


def fill(template: str, world: World, key: str, rng: Random) -> str:
    """The sentence with filled slots, the right one of `a` and `an`, and a capital letter."""
    text = template.format_map(Slots(rng, _fixed(world, key)))
    text = re.sub(r"\b([Aa]) (\w[\w'-]*)", lambda m: _article(m[1], m[2]), text)
    return re.sub(r'^("?)(\w)', lambda m: m[1] + m[2].upper(), text)


def _article(word: str, following: str) -> str:
    phrase = article(following)
    return phrase.capitalize()[0] + phrase[1:] if word == "A" else phrase


def _key(uses: str, world: World, rng: Random, used: set[str]) -> str:
    if uses == "thing" and world.thing not in used and rng.random() < 0.3:
        return world.thing
    key = rng.choice(w.PLACES if uses == "place" else w.THINGS)
    if rng.random() < 0.12:
        key = f"{rng.choice(w.STEMS)} {key}"
    return key if key not in used else _key(uses, world, rng, used)


def _scene(kind: str, world: World, rng: Random, used: set[str]) -> Scene:
    entry = KINDS[kind]
    key = _key(entry.uses, world, rng, used)
    used.add(key)
    gist = fill(rng.choice(entry.gists), world, key, rng)
    return Scene(kind, key, _uncapital(gist))


def _uncapital(text: str) -> str:
    return text[0].lower() + text[1:]


def opening_scene(world: World, rng: Random, used: set[str]) -> Scene:
    """The first scene: introduces the hero and the place."""
    key = _key("place", world, rng, used)
    used.add(key)
    gist = rng.choice([f"lives by the {key}", f"an ordinary day near the {key}"])
    return Scene("opening", key, gist)


def event_scene(world: World, used: set[str]) -> Scene:
    """The scene with the event of the premise."""
    premise = world.premise
    if premise.event is None and premise.role is None:
        return Scene("event", premise.noun, f"comes upon {premise.core}")
    used.add(world.thing)
    happens = premise.event[0] if premise.event else f"comes upon the {world.thing}"
    return Scene("event", world.thing, happens)


def ending_scene(world: World, rng: Random, used: set[str]) -> Scene:
    """The last scene."""
    key = _key("place", world, rng, used)
    used.add(key)
    gists = [f"finds peace at the {key}", f"it ends at the {key}", f"comes to rest at the {key}"]
    return Scene("ending", key, rng.choice(gists))


def middle_scenes(count: int, world: World, rng: Random, used: set[str]) -> list[Scene]:
    """Scenes between event and ending: each kind at most once, turns and choices late."""
    kinds = list(KINDS)
    picked = [*rng.sample(kinds, min(count, len(kinds)))]
    picked.sort(key=lambda kind: LATE.get(kind, 2.0) + rng.gauss(0, 0.6))
    return [_scene(kind, world, rng, used) for kind in picked]


def story_scenes(words: int, world: World, rng: Random, used: set[str]) -> list[Scene]:
    """The scenes of a whole story of `words` words."""
    count = scene_count(words)
    if count == 1:
        return [opening_scene(world, rng, used)]
    first = [opening_scene(world, rng, used)]
    if count > 2:
        first.append(event_scene(world, used))
    last = ending_scene(world, rng, used)
    return [*first, *middle_scenes(count - len(first) - 1, world, rng, used), last]


def scene_count(words: int) -> int:
    """The number of scenes in a text of `words` words: one for about 38 words, at least one."""
    return max(2 if words >= 40 else 1, round(words / SCENE_WORDS))


def plan_text(words: int, world: World, row: list[Scene]) -> str:
    """The plan, which the model writes as its thinking."""
    share = round(words / len(row))
    role = f", {article(world.premise.role)}" if world.premise.role else ""
    count = "1 scene" if len(row) == 1 else f"{len(row)} scenes"
    lines = [
        f"{words} words, {count}.",
        f"About: {world.premise.core}; the {world.thing}",
        f"Who: {world.hero}{role}; {world.friend}, {world.relation}",
    ]
    lines += [f"{i}. {sc.key} ({share}): {sc.gist}" for i, sc in enumerate(row, 1)]
    return "\n".join(lines)


def write_scenes(
    words: int, world: World, row: list[Scene], rng: Random, used: set[str], *, closing: bool | None
) -> str:
    """The paragraphs of the scenes in `row`, with about `words` words together.

    `closing` chooses the last sentence: an ending (True), an open end (False), or like any other
    sentence (None).
    """
    paragraphs: list[str] = []
    written = 0
    for i, scene in enumerate(row, 1):
        target = round(words * i / len(row)) - written
        last = i == len(row)
        paragraph = _paragraph(scene, target, world, rng, used, _last_line(last, closing))
        paragraphs.append(paragraph)
        written += len(paragraph.split())
    return "\n\n".join(paragraphs)


def _last_line(last: bool, closing: bool | None) -> list[str]:
    if not last or closing is None:
        return []
    return s.LAST_LINES if closing else s.OPEN_ENDS


def _openers(scene: Scene, world: World) -> list[str]:
    premise = world.premise
    if scene.kind == "opening":
        return s.OPENING_PERSON if premise.role else s.OPENING_THING
    if scene.kind == "event":
        return s.EVENT if premise.event else s.EVENT_OBJECT
    if scene.kind == "ending":
        return s.ENDING_PERSON if premise.role else s.ENDING
    return KINDS[scene.kind].openers


def _followers(scene: Scene) -> list[str]:
    special = {"opening": s.OPENING_FOLLOW, "event": s.EVENT_FOLLOW, "ending": s.ENDING_FOLLOW}
    return special.get(scene.kind) or KINDS[scene.kind].followers


def _paragraph(
    scene: Scene, target: int, world: World, rng: Random, used: set[str], last_line: list[str]
) -> str:
    opener = _fresh(_openers(scene, world), used, rng)
    sentences = [fill(opener, world, scene.key, rng)]
    end = [fill(_fresh(last_line, used, rng), world, scene.key, rng)] if last_line else []
    room = target - sum(len(sentence.split()) for sentence in sentences + end)
    pool = _followers(scene)
    while room > 2:
        template, sentence = _fitting(pool, room, world, scene.key, rng, used)
        length = len(sentence.split())
        if abs(room - length) >= room:
            break
        used.add(template)
        sentences.append(sentence)
        room -= length
    return " ".join(sentences + end)


def _fresh(templates: list[str], used: set[str], rng: Random) -> str:
    unused = [template for template in templates if template not in used] or templates
    template = rng.choice(unused)
    used.add(template)
    return template


def _fitting(
    pool: list[str], room: int, world: World, key: str, rng: Random, used: set[str]
) -> tuple[str, str]:
    """A sentence not used before, and its template; near the paragraph's end, the best fit of 4."""
    unused = [template for template in pool if template not in used]
    if not unused or rng.random() < 0.15:
        unused = [template for template in s.ANYWHERE if template not in used] or s.ANYWHERE
    tries = [rng.choice(unused) for _ in range(1 if room > 22 else 4)]
    filled = [(template, fill(template, world, key, rng)) for template in tries]
    return min(filled, key=lambda pair: abs(room - len(pair[1].split())))


def write_story(premise: Premise, words: int, rng: Random) -> Story:
    """A story about the premise with about `words` words, and its plan."""
    world, used = build_world(premise, rng), set[str]()
    row = story_scenes(words, world, rng, used)
    text = write_scenes(words, world, row, rng, used, closing=True)
    return Story(plan_text(words, world, row), text)


def write_episode(world: World, words: int, rng: Random, used: set[str]) -> str:
    """An episode that can follow a finished story: a later time, a new wish, its own ending."""
    key = _key("place", world, rng, used)
    used.add(key)
    follow = s.EPISODE_FOLLOW + KINDS[rng.choice(["journey", "night", "choice", "storm"])].followers
    paragraphs = []
    for opener, last in ((_fresh(s.EPISODES, used, rng), []), (None, s.LAST_LINES)):
        lead = opener or _fresh(s.EPISODE_FOLLOW, used, rng)
        sentences = [fill(lead, world, key, rng)]
        end = [fill(_fresh(last, used, rng), world, key, rng)] if last else []
        while sum(len(x.split()) for x in sentences + end) < words // 2 - 4:
            pool = follow if rng.random() < 0.8 else s.ANYWHERE
            sentences.append(fill(_fresh(pool, used, rng), world, key, rng))
        paragraphs.append(" ".join(sentences + end))
    return "\n\n".join(paragraphs)
