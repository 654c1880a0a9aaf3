"""The length that a premise asks for: "a 500-word story", "Length: 1500-2000 words", "写2000字".

Reads English, German, French, Spanish and Chinese, and plain requests in some other languages. A
number of words is a length only if the sentence asks for it: either there are only words of
requests between the start of the sentence or clause and the number, or the sentence is a request,
or in English a mere noun, that ends in "in 500 words". A number in the plot ("who knows 500 words")
is not a length, but is reported as doubtful if it is large or ends the premise so ("he says it in
20 words"), and so are pages that are asked for.

Knows words and their order, but neither grammar nor meaning: a clause of the plot that looks like a
request is read as one. Does not know other settings, nor which length takes precedence.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from polaris_cli.request.premise_kinds import kind_of
from polaris_cli.request.premise_numbers import DOUBTFUL, OPPOSITE, Amount, amount_at, tokens_of
from polaris_cli.request.premise_words import (
    AND,
    ARTICLES,
    BREAKS,
    CLAUSES,
    CLOSERS,
    EACH,
    ENDERS,
    EVERY,
    FORM_ENDINGS,
    FORM_NOUNS,
    FUNCTION,
    IMPERATIVES,
    KEEPERS,
    LABELS,
    LIMITS,
    LINKS,
    MANY_PARTS,
    NEGATIONS,
    NOUN_STARTS,
    OF,
    ONE_PART,
    ORDINALS,
    OWNERS,
    PARTS,
    PIECES,
    RELATIVES,
    REQUEST,
    SHORT_PARTS,
    SPEAKERS,
    TELLS,
    THINGS,
    TOPICS,
    UNITS,
    WIDER,
    WITHIN,
)
from polaris_cli.request.story_request import MAX_WORDS

BANDS = {"least": (1.0, 1.2), "most": (0.8, 1.0)}
DESCRIBED = 5  # words at most between a number and its form
OPENING = 10  # tokens at the start of a sentence in which a request must begin
NEARBY = (REQUEST | {","}) - IMPERATIVES - FORM_NOUNS
LINKING = NEARBY - AND - {","}  # between a noun and its length
SHORT = 200  # words; no sentence, and hardly any paragraph, has so many
STRETCHED = ("long", "lang", "umfasst", "umfassen")
NEAR = 60  # tokens to look back: keeps the time linear, and no request is longer
_QUOTED = re.compile(r'"[^"\n]*"|“[^“”\n]*”|„[^„“”\n]*[“”]|«[^«»\n]*»|»[^«»\n]*«|「[^「」\n]*」')


@dataclass(frozen=True, slots=True)
class StatedLength:
    """A length that a premise asks for.

    For a range, `words` is its middle. `band` holds the ratios to `words` that a range, "at least"
    or "at most" allow, and `quote` is the text of the premise that asks for the length.
    """

    words: int
    band: tuple[float, float] | None
    quote: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The length asked for, and quotes that may ask for a length but were not used."""

    length: StatedLength | None
    doubtful: tuple[str, ...]


@lru_cache(maxsize=4)  # prompt, settings and notes ask for the same premise
def read_length(premise: str) -> Reading:
    """The length that `premise` asks for; none if it asks for two that contradict each other."""
    tokens = tokens_of(premise)
    asked: list[StatedLength] = []
    doubtful = []
    quoted, words = _quoted(premise), [token.text for token in tokens]
    for amount, requested in _amounts(words):
        start, end = tokens[amount.first].start, tokens[amount.last - 1].end
        length = _length(amount, premise[start:end])
        closes = _closes(words, amount)
        requested = requested or (closes and _is_after_noun(words, amount, premise[:start]))
        requested = requested and not quoted(start)
        if requested and length:
            asked.append(length)
        elif requested or closes or (amount.of_words and amount.high >= DOUBTFUL):
            doubtful.append(premise[start:end])
    if all(_agree(asked[0], other) for other in asked):
        return Reading(_narrowed(asked) if asked else None, tuple(doubtful))
    return Reading(None, (*(length.quote for length in asked), *doubtful))


def _quoted(premise: str) -> Callable[[int], bool]:
    """A function: is an offset inside quotation marks, other than ones around the whole premise?"""
    whole = premise.strip()
    spans = [match.span() for match in _QUOTED.finditer(premise) if match[0] != whole]
    starts = [start for start, _ in spans]

    def inside(place: int) -> bool:
        before = bisect_right(starts, place)
        return before > 0 and place < spans[before - 1][1]

    return inside


def _amounts(words: list[str]) -> Iterator[tuple[Amount, bool]]:
    """Each number of words, and whether its sentence asks for that length."""
    clauses, sentences = [0], [0]
    for place, word in enumerate(words):
        if word in BREAKS:
            clauses.append(place + 1)
            sentences += [place + 1] if word in ENDERS else []
    for amount in _separate(filter(None, (amount_at(words, at) for at in range(len(words))))):
        clause, sentence = (
            starts[bisect_right(starts, amount.first) - 1] for starts in (clauses, sentences)
        )
        yield amount, _is_requested(words, amount, clause, sentence)


def _separate(amounts: Iterator[Amount]) -> list[Amount]:
    """The amounts without those inside another one: "800 words" in "800 words to 900 words"."""
    separate: list[Amount] = []
    for amount in amounts:
        while separate and separate[-1].first >= amount.first:
            separate.pop()
        if not separate or separate[-1].last <= amount.first:
            separate.append(amount)
    return separate


def _length(amount: Amount, quote: str) -> StatedLength | None:
    words = round((amount.low + amount.high) / 2)
    if not amount.of_words or not 0 < words <= MAX_WORDS:
        return None
    if amount.low < amount.high:
        return StatedLength(words, (amount.low / words, amount.high / words), quote)
    return StatedLength(words, BANDS.get(amount.bound), quote)


def _narrowed(asked: Sequence[StatedLength]) -> StatedLength:
    """The first of lengths that agree; the range of a minimum and a maximum, if they are two."""
    first = asked[0]
    for other in asked[1:]:
        if {first.band, other.band} == {*BANDS.values()}:
            low, high = sorted((first.words, other.words))
            words = round((low + high) / 2)
            return StatedLength(words, (low / words, high / words), first.quote)
    return first


def _agree(one: StatedLength, other: StatedLength) -> bool:
    (low, high), (least, most) = _limits(one), _limits(other)
    return low <= most and least <= high


def _limits(length: StatedLength) -> tuple[float, float]:
    low, high = length.band or (1.0, 1.0)
    return (
        0.0 if length.band == BANDS["most"] else length.words * low,
        math.inf if length.band == BANDS["least"] else length.words * high,
    )


def _is_requested(words: list[str], amount: Amount, clause: int, sentence: int) -> bool:
    if _is_of_a_part(words, amount, sentence) or _is_refused(words, amount, clause):
        return False
    follows = _follows(words, amount.last)
    beginnings = {clause, sentence, _second_request(words, amount, sentence)}
    return any(_is_request(words, amount, at, follows) for at in beginnings) or (
        _ends_request(words, amount, sentence, follows)
    )


def _is_refused(words: list[str], amount: Amount, clause: int) -> bool:
    """Whether a negation before a bound does not turn it round: "not a story of over 500 words"."""
    at = max(clause, amount.first - NEAR)
    before = [word for word in words[at : amount.first] if word in NEGATIONS | AND]
    return amount.bound in OPPOSITE and bool(before) and before[-1] in NEGATIONS


def _is_of_a_part(words: list[str], amount: Amount, sentence: int) -> bool:
    """Whether it is the length of a part: "a title of 5 words", "500 words in each chapter"."""
    before = words[max(sentence, amount.first - NEAR) : amount.first]
    if amount.high < SHORT and not SHORT_PARTS.isdisjoint(before):
        return True
    if _word(words, amount.last) in MANY_PARTS:  # "a story of 1000-word chapters"
        return True
    link, which, noun = (_word(words, amount.last + place) for place in range(3))
    titled = link in ("in", "for") and which == "the" and noun in SHORT_PARTS
    if titled or (link in WIDER and which in EVERY):
        return True
    last = before[-1] if before else ""
    if last in WITHIN:  # "a story about the last chapters in 500 words"
        return False
    return last in EVERY or _follows_a_part(words, amount, amount.first - len(before))


def _follows_a_part(words: list[str], amount: Amount, start: int) -> bool:
    """Whether a part is the noun before the amount: "paragraphs under 60 words"."""
    at = amount.first
    while at > start and words[at - 1] in LINKING:
        at -= 1
    *_, which, noun = "", "", *words[start:at]
    if noun not in ONE_PART:
        return noun in PARTS
    return which in EVERY | ORDINALS or words[at] in LABELS or words[at] in UNITS


def _follows(words: list[str], at: int) -> str:
    """What follows a number of words: "form", "limit", "end", "topic", "wider" or ""."""
    if _form_at(words, at) is not None:
        return "form"
    if _word(words, at) in LIMITS:
        return "limit"
    if _ends(words, _past(words, at, CLOSERS)):
        return "end"
    word = _word(words, _past(words, at, CLOSERS - WIDER))
    return "topic" if word in TOPICS else "wider" if word in WIDER else ""


def _past(words: list[str], at: int, these: frozenset[str]) -> int:
    while _word(words, at) in these:
        at += 1
    return at


def _ends(words: list[str], at: int) -> bool:
    """Whether a clause ends at `at`, and is not direct speech: "500 words, she said"."""
    if _word(words, at) == "," and _word(words, at + 1) in SPEAKERS:
        return _word(words, at + 2) in KEEPERS
    return at >= len(words) or words[at] in BREAKS or words[at] == ":"


def _word(words: list[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _is_form(word: str) -> bool:
    return word in FORM_NOUNS or word.endswith(FORM_ENDINGS)


def _is_piece(word: str) -> bool:
    return _is_form(word) or word in PIECES


def _form_at(words: list[str], at: int) -> int | None:
    """The index of the form that a number describes: "a 500-word [dark fantasy] story"."""
    for place in range(at, min(at + DESCRIBED, len(words))):
        word = words[place]
        if _is_piece(word) and not _is_piece(_word(words, place + 1)):
            return place
        if word in FUNCTION or not (word.isalpha() or word == "-") or (word == "的" and place > at):
            return None
    return None


def _is_request(words: list[str], amount: Amount, at: int, follows: str) -> bool:
    """Whether there are only words of requests from `at` to the amount."""
    if not follows or amount.first - at > NEAR:
        return False
    prefix = [word for word in words[at : amount.first] if word not in BREAKS and word != "-"]
    if TELLS & set(pairwise(prefix)):
        return False
    if follows == "form":
        return _asks_for_form(words, prefix, amount.last)
    is_title = prefix[:1] == prefix[-1:] == ["the"]  # "The legend of the three words"
    if is_title or not REQUEST.issuperset(prefix):
        return False
    if words[at - 1 : at] == [","] and (RELATIVES & set(prefix[:1]) or _aside(words, amount)):
        return False
    return follows in ("end", "limit") or _may_go_on(words, amount, prefix, follows)


def _aside(words: list[str], amount: Amount) -> bool:
    """Whether the amount is an aside about a noun: "Her essay, 800 words long, won"."""
    return _word(words, amount.last) in STRETCHED and _word(words, amount.last + 1) == ","


def _may_go_on(words: list[str], amount: Amount, prefix: list[str], follows: str) -> bool:
    """Whether a topic may follow the amount: not in "a story about 12 words of French"."""
    last = prefix[-1] if prefix else ""
    if words[amount.first] in TOPICS and _is_form(last):
        return False
    ordered = not IMPERATIVES.isdisjoint(prefix) or last in LINKS
    return ordered or (follows == "topic" and (bool(prefix) or amount.high >= DOUBTFUL))


def _asks_for_form(words: list[str], prefix: list[str], at: int) -> bool:
    """Whether "a 500-word story" is what the request asks for, and not a part of the plot."""
    form = _form_at(words, at) or at
    if not IMPERATIVES.isdisjoint(prefix):
        article = max((place for place, word in enumerate(prefix) if word in ARTICLES), default=-1)
        free = prefix[article + 1 :] if article >= 0 else []
        fixed = prefix[: article + 1] if article >= 0 else prefix
        plain = len(free) < DESCRIBED and FUNCTION.isdisjoint(free)
        return plain and REQUEST.issuperset(fixed) and not OWNERS & set(pairwise(prefix))
    following = _follows(words, form + 1)
    goes_on = (
        following in ("end", "topic", "wider") or _word(words, form + 1) in CLAUSES | RELATIVES
    )
    return goes_on and _is_form(words[form]) and REQUEST.issuperset(prefix) and "the" not in prefix


def _second_request(words: list[str], amount: Amount, sentence: int) -> int:
    """Where a second request begins: "Write about a fox and [keep it under ...]"."""
    for at in range(amount.first, max(sentence, amount.first - 9), -1):
        if words[at - 1] in AND and words[at] in KEEPERS:
            first = words[max(sentence, at - NEAR) : at]
            nested = not CLAUSES.isdisjoint(first) or "to" in first
            return at if _opens_request(first) and not nested else sentence
    return sentence


def _ends_request(words: list[str], amount: Amount, sentence: int, follows: str) -> bool:
    """Whether the amount ends a request: "Write a story about a fox [in 500 words]"."""
    if amount.first - sentence > NEAR:
        return False
    near = amount.first
    while near > sentence and words[near - 1] in NEARBY:
        near -= 1
    topic, link = words[sentence:near], "".join(words[near : amount.first][-1:])
    if link in OF and _names_form(topic) and _word(words, amount.last) not in EACH:
        return True
    if link in OF and any(word[0].isdigit() for word in topic[-2:-1]):
        return False  # each of several: "3 rounds of 500 words"
    within = link in WITHIN or words[amount.first] == "under"
    linked = within or link in LINKS or follows == "limit" or amount.labelled
    if not linked and _word(words, amount.last) not in STRETCHED:
        return False
    ends = follows in ("end", "limit", "topic")
    return ends and _opens_request(topic) and not _of_the_plot(topic, within)


def _closes(words: list[str], amount: Amount) -> bool:
    """Whether the premise is one sentence that ends "in 500 words"."""
    if amount.first > NEAR or _word(words, amount.first - 1) not in WITHIN:
        return False
    whole = amount.first > 1 and ENDERS.isdisjoint(words[: amount.first])
    return whole and (CLOSERS | BREAKS).issuperset(words[amount.last :])


def _is_after_noun(words: list[str], amount: Amount, before: str) -> bool:
    """Whether all that stands before "in 500 words" is an English noun: "a fox [in 500 words]"."""
    *topic, _ = words[: amount.first]
    english = any(UNITS.get(word) == "en" for word in words[amount.first : amount.last])
    plain = topic[0] in NOUN_STARTS and (CLAUSES | NEGATIONS).isdisjoint(topic)
    if not (english and plain) or topic[-1].endswith(("ed", "ing")):  # "trapped in 500 words"
        return False
    return not _is_of_a_part(words, amount, 0) and kind_of(before.rsplit(None, 1)[0]) == "phrase"


def _names_form(topic: list[str]) -> bool:
    """Whether it asks for a form and nothing else: "Write a horror story", "Écris un conte"."""
    form = next((place for place, word in enumerate(topic) if _is_form(word)), len(topic))
    described = [word for word in topic[form + 1 :] if not _is_form(word)]
    ordered = not IMPERATIVES.isdisjoint(topic[:form]) and REQUEST.issuperset(topic[:1])
    genre = described[1:] if OF.issuperset(described[:1]) else described
    plain = FUNCTION.isdisjoint(genre)
    return form < len(topic) and ordered and plain and len(described) < DESCRIBED


def _of_the_plot(topic: list[str], within: bool) -> bool:
    """Whether the number belongs to a clause in `topic`, or to the noun at its end."""
    related = any(one == "," and other in RELATIVES for one, other in pairwise(topic))
    piece = topic[-1] in PIECES and any(map(_is_form, topic[:-1]))  # "a story with a prologue"
    named = not within and (topic[-1] in THINGS or piece)
    return related or not CLAUSES.isdisjoint(topic) or named


def _opens_request(sentence: list[str]) -> bool:
    """Whether a sentence begins like "Write ..." or "A dark story about ..."."""
    free = 0
    for place, word in enumerate(sentence[:OPENING]):
        if word in IMPERATIVES:
            return True
        if _is_form(word):
            owned = "s" in sentence[:place]  # "Mia's essay, 800 words long"
            return not owned and _word(sentence, place + 1) in TOPICS | WIDER | {""}
        free += word not in REQUEST
        if free > 2 or (word not in REQUEST and word in FUNCTION):
            return False
    return False
