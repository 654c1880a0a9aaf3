"""Premises for training, in many grammatical forms and with many invented words.

A `Premise` holds the text that a user would write, and what a story needs to know about it. Does
not know about prompts, plans or sentences.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from polaris_cli.demo import words as w

IRREGULAR = {"thief": "thieves", "child": "children", "woman": "women", "man": "men"}


@dataclass(frozen=True)
class Premise:
    """What a story is about.

    `role` is the hero's trade if the premise is about a person ("clockmaker"), `core` the story's
    name for its subject ("the clockmaker", "the broken violin"), `noun` the main noun, `thing` a
    second noun, `event` what happens (third person present, past) and `hero` the hero's name if the
    premise has one.
    """

    text: str
    core: str
    noun: str
    role: str | None = None
    thing: str | None = None
    event: tuple[str, str] | None = None
    hero: str | None = None
    woman: bool | None = None


def invented(rng: Random) -> str:
    """A word that is in no list: a compound such as `salt-harp`, a splice, or random letters."""
    if rng.random() < 0.15:
        return rng.choice(w.STEMS) + rng.choice(["", "", "-", " "]) + rng.choice(w.WARES)
    return one_word(rng)


def one_word(rng: Random) -> str:
    """An invented word without spaces and hyphens."""
    roll = rng.random()
    if roll < 0.2:
        return _splice(rng)
    if roll < 0.4:
        return _misspelt(_known(rng), rng)
    if roll < 0.55:
        return _doubled(_known(rng) if rng.random() < 0.5 else _splice(rng), rng)
    if roll < 0.75:
        return rng.choice(w.COMMON_WORDS) + _groups(rng, rng.randint(1, 3))
    if roll < 0.85:
        return _groups(rng, rng.randint(1, 3))
    if roll < 0.95:
        return "".join(rng.choice(w.SYLLABLES) for _ in range(rng.randint(2, 4)))
    return "".join(rng.choice(w.LETTERS) for _ in range(rng.randint(3, 11)))


def _known(rng: Random) -> str:
    return (
        rng.choice(rng.choice([*w.NOUNS, w.COMMON_WORDS]))
        .split()[0]
        .replace("-", "")
        .removesuffix("'s")
    )


def _misspelt(word: str, rng: Random) -> str:
    """A word with a letter changed, added or left out: to be copied, not known by heart."""
    at = rng.randrange(len(word))
    rest = word[at + rng.randint(0, 1) :]
    return word[:at] + rng.choice(["", rng.choice(w.LETTERS)]) + rest or word


def _doubled(word: str, rng: Random) -> str:
    """A word in which some letters come twice, as in `meteorologist`."""
    start = rng.randrange(len(word))
    end = min(start + rng.randint(1, 4), len(word))
    between = _groups(rng, 1)[: rng.randint(0, 2)]
    return word[:end] + between + word[start:end] + word[end:]


def _groups(rng: Random, count: int) -> str:
    """Groups of letters and single letters."""
    return "".join(rng.choice(rng.choice([w.GROUPS, w.LETTERS])) for _ in range(count))


def _splice(rng: Random) -> str:
    """The start of one word and the end of another: `lantist`, from lantern and artist."""
    first, second = _known(rng), _known(rng)
    return first[: rng.randint(2, 5)] + second[-rng.randint(2, 6) :]


def thing_noun(rng: Random) -> str:
    """A noun for a thing: from the lists, or invented, so that the model has to copy it."""
    roll = rng.random()
    if roll < 0.25:
        return rng.choice(w.THINGS)
    if roll < 0.5:
        return rng.choice(w.EXTRA_NOUNS if roll < 0.33 else w.RARE_NOUNS)
    return rng.choice(w.ODD_WORDS) if roll < 0.53 else invented(rng)


def role_noun(rng: Random) -> str:
    """A trade or kind of person, from the lists or invented."""
    roll = rng.random()
    if roll < 0.55:
        return rng.choice(w.TRADES if roll < 0.3 else w.RARE_NOUNS)
    if roll < 0.7:
        return rng.choice(w.STEMS) + rng.choice(["", "", "-", " "]) + rng.choice(w.MAKERS)
    ending = rng.choice(["er", "or", "ist", "ian", "eer", "man", "ess", "oid", ""])
    return invented(rng) + ending if roll < 0.95 else rng.choice(w.EXTRA_NOUNS)


def article(noun: str) -> str:
    """The noun phrase with `a` or `an` before it."""
    silent = noun.lower().startswith(("hour", "honest", "heir", "x86", "x"))
    consonant = noun.lower().startswith(("uni", "use", "eu", "one", "ufo"))
    vowel = noun[:1].lower() in set("aeiouåöüōé") and not consonant
    return f"{'an' if vowel or silent else 'a'} {noun}"


def plural(noun: str) -> str:
    """The plural of a noun, by the common rules."""
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if noun.endswith(("man", "woman")):
        return noun[:-3] + noun[-3:].replace("man", "men")
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"


def name(rng: Random) -> tuple[str, bool]:
    """A first name, sometimes invented or with a surname, and whether it is a woman's."""
    woman = rng.random() < 0.5
    first = rng.choice(w.WOMEN if woman else w.MEN)
    if rng.random() < 0.2:
        first = invented(rng).replace("-", "").replace(" ", "").capitalize()
    return (f"{first} {rng.choice(w.SURNAMES)}" if rng.random() < 0.1 else first), woman


def _where(rng: Random) -> str:
    place = rng.choice(w.PLACES) if rng.random() < 0.9 else one_word(rng)
    # "the Alps" has a token of its own for its space, as "a" and "I" are words: more such names.
    region = (rng.choice(["", "", "a", "i"]) + one_word(rng)).capitalize()
    return rng.choice(
        [f"in the {rng.choice(w.SKIES)}", f"at the {place}", f"near the {place}", f"in a {place}"]
        * 3
        + [rng.choice([f"in {region}", f"in the {region}s", f"through {region}"])]
    )


def _adjective(known: Sequence[str], rng: Random) -> str:
    """One of the known adjectives, or an invented one."""
    if rng.random() < 0.8:
        return rng.choice(known)
    ending = rng.choice(
        ["", "", "ed", "en", "ful", "less", "y", "al", "ous", "ing", "ic", "teenth"]
    )
    return one_word(rng) + ending


def _town(rng: Random) -> str:
    return rng.choice(w.TOWNS) if rng.random() < 0.7 else one_word(rng).capitalize()


def _event(rng: Random) -> tuple[str, tuple[str, str], str]:
    """What happens: its infinitive, its present and past, and its noun."""
    present, past, infinitive = rng.choice(w.EVENTS) if rng.random() < 0.75 else _odd_verb(rng)
    noun, person = thing_noun(rng), role_noun(rng)
    adjective = _adjective(w.THING_ADJECTIVES, rng) + " " if rng.random() < 0.3 else ""
    thing = rng.choice([article(adjective + noun)] * 4 + [f"the {adjective}{noun}", plural(noun)])
    slots = {"thing": thing, "person": article(person), "place": _where(rng)}
    named = [word for word in ("thing", "person") if f"{{{word}}}" in present]
    turned_on = {"thing": noun, "person": person}[named[0]] if named else rng.choice(w.THINGS)
    return (
        infinitive.format(**slots),
        (present.format(**slots), past.format(**slots)),
        turned_on,
    )


def _odd_verb(rng: Random) -> tuple[str, str, str]:
    """A rare or invented verb with its forms, so that the model learns to copy verbs too."""
    stem = _verb(rng)
    rest = rng.choice(["{thing}", "{thing} {place}", "{thing} to {person}", "{place}"])
    present, past = plural(stem), stem.removesuffix("e") + "ed"
    if present.endswith("ies"):
        past = stem[:-1] + "ied"
    return f"{present} {rest}", f"{past} {rest}", f"{stem} {rest}"


def _verb(rng: Random) -> str:
    """The infinitive of a rare verb, with or without a prefix, or of an invented one.

    Many have an "s" or "er" inside, which does not end the verb.
    """
    prefix, roll = rng.choice(["be", "mis", "re", "un", "over", "counter"]), rng.random()
    if roll < 0.5:
        return (prefix if roll < 0.1 else "") + rng.choice(w.RARE_VERBS)
    if roll < 0.75:
        first, second = rng.choice(w.COMMON_WORDS), rng.choice(w.COMMON_WORDS)
        last = rng.choice([second, rng.choice(["ate", "ise", "le", "en", ""])])
        return rng.choice([prefix, ""]) + first + rng.choice(["", "s", "er", "st"]) + last
    return one_word(rng)


def _gender(role: str) -> bool | None:
    last = role.split()[-1]
    return True if last in w.WOMENS_ROLES else False if last in w.MENS_ROLES else None


def _person(rng: Random) -> Premise:
    role = role_noun(rng)
    described = f"{_adjective(w.ADJECTIVES, rng)} {role}" if rng.random() < 0.35 else role
    subject = rng.choice([article(described)] * 5 + [f"the {described}", f"the last {role}"])
    return Premise(subject, f"the {role}", role, role=role, woman=_gender(role))


def person_event(rng: Random) -> Premise:
    """`a lighthouse keeper who finds a letter in the fog`, and similar."""
    base = _person(rng)
    infinitive, event, noun = _event(rng)
    shape = rng.choice(["who", "who", "who", "bare", "to", "wants", "trying"])
    tail = {
        "who": f"who {event[0]}",
        "bare": event[0],
        "to": f"learning to {infinitive}",
        "wants": f"who wants to {infinitive}",
        "trying": f"trying to {infinitive}",
    }[shape]
    if shape == "to":
        event = (f"learns to {infinitive}", f"began to learn to {infinitive}")
    elif shape in ("wants", "trying"):
        event = (f"tries to {infinitive}", f"first tried to {infinitive}")
    return replace(base, text=f"{base.text} {tail}", event=event, thing=noun)


def person_pair(rng: Random) -> Premise:
    """`an old carpenter and a stolen bell`."""
    base, noun = _person(rng), thing_noun(rng)
    adjective = _adjective(w.THING_ADJECTIVES, rng) + " " if rng.random() < 0.4 else ""
    joined = rng.choice(["and", "and", "with", "without"])
    return replace(base, text=f"{base.text} {joined} {article(adjective + noun)}", thing=noun)


def person_place(rng: Random) -> Premise:
    """`a nurse in a town where nobody sleeps`, `the potter of Harrow`."""
    base, place = _person(rng), rng.choice(w.PLACES)
    where = rng.choice([f"in a {place}", f"in a {place} {rng.choice(w.PLACE_CLAUSES)}"])
    return replace(base, text=f"{base.text} {rng.choice([where, f'of {_town(rng)}'])}")


def person_sentence(rng: Random) -> Premise:
    """A whole sentence: `In a village without a name, a baker finds a key.`"""
    base, (_, event, noun) = _person(rng), _event(rng)
    place = f"in a {rng.choice(w.PLACES)} {rng.choice(w.PLACE_CLAUSES)}"
    text = rng.choice(
        [
            f"{place}, {base.text} {event[0]}.",
            f"{base.text} {event[0]}.",
            f"{base.text} {event[0]} {rng.choice(w.TAILS)}.",
        ]
    )
    return replace(base, text=text[0].upper() + text[1:], event=event, thing=noun)


def named(rng: Random) -> Premise:
    """`Mara, a baker who loses a ring`, or `Mara and a letter`."""
    hero, woman = name(rng)
    if rng.random() < 0.6:
        base = person_event(rng)
        text = f"{hero}, {base.text}"
        return replace(base, text=text, hero=hero.split()[0], woman=woman)
    noun = thing_noun(rng)
    text = rng.choice([f"{hero} and the {noun}", f"{hero} and {article(noun)}"])
    return Premise(text, f"the {noun}", noun, hero=hero.split()[0], woman=woman)


def thing(rng: Random) -> Premise:
    """`a broken violin that nobody can open`, `the last train`."""
    noun = thing_noun(rng)
    adjective = _adjective([*w.THING_ADJECTIVES, "last"], rng) + " " if rng.random() < 0.5 else ""
    if rng.random() < 0.15:
        adjective = "last "
    definite = adjective == "last " or rng.random() < 0.3
    text = f"the {adjective}{noun}" if definite else article(adjective + noun)
    clause = rng.choice(["", rng.choice(w.THING_CLAUSES), _where(rng)])
    return Premise(f"{text} {clause}".strip(), f"the {adjective}{noun}", noun)


def pair(rng: Random) -> Premise:
    """`two brothers and a stolen boat`."""
    role, noun = role_noun(rng), thing_noun(rng)
    count = rng.choice(["two", "three", "four", "seven"])
    adjective = _adjective(w.THING_ADJECTIVES, rng) + " " if rng.random() < 0.5 else ""
    text = f"{count} {plural(role)} and {article(adjective + noun)}"
    return Premise(text, f"the {count} {plural(role)}", plural(role), thing=noun)


def place(rng: Random) -> Premise:
    """`a town where nobody sleeps`."""
    noun = rng.choice([rng.choice(w.PLACES), invented(rng)])
    text = f"{article(noun)} {rng.choice(w.PLACE_CLAUSES)}"
    return Premise(text, f"the {noun}", noun)


def bare(rng: Random) -> Premise:
    """`lanterns`, `winter`, `the comet`."""
    noun = thing_noun(rng)
    text = rng.choice([noun, plural(noun), f"the {noun}", f"my {noun}", f"{noun} and {noun}s"])
    core = plural(noun) if text == plural(noun) else f"the {noun}"
    return Premise(text, core, noun)


SHAPES: list[tuple[Callable[[Random], Premise], float]] = [
    (person_event, 34),
    (person_pair, 9),
    (person_place, 5),
    (person_sentence, 9),
    (named, 10),
    (thing, 16),
    (pair, 6),
    (place, 5),
    (bare, 6),
]


def sample_premise(rng: Random) -> Premise:
    """A premise in one of the forms above, sometimes with a longer ending."""
    makers = [maker for maker, _ in SHAPES]
    premise = rng.choices(makers, [weight for _, weight in SHAPES])[0](rng)
    if rng.random() < 0.12 and not premise.text.endswith("."):
        return replace(premise, text=f"{premise.text} {rng.choice(w.TAILS)}")
    return premise
