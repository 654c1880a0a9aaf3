"""Numbers of words in a text: "500 words", "2 to 3 thousand words", "word count: 1500", "两千字".

Finds each number with its bound ("at least") and its position among the text's tokens. The library
`text2num` reads spelled-out numbers; Chinese ones are read here. Does not know which numbers are a
length that is asked for; `premise` does.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

from polaris_cli.characters import CJK
from polaris_cli.request.premise_words import (
    AFTER,
    AND,
    BEFORE,
    BOUND,
    BREAKS,
    CHINESE,
    COMPARISONS,
    DIGITS,
    FORM_NOUNS,
    GLUE,
    LABELS,
    MULTIPLIERS,
    NEGATIONS,
    OTHER_UNITS,
    PLACES,
    REQUEST,
    TO,
    TO_LABEL,
    TOLERANCES,
    UNITS,
)

DOUBTFUL = 50  # words; a smaller number that is not asked for belongs to the plot
WIDEST = 10  # largest ratio of a range's ends; beyond it, the two numbers are not a range
SHORTHAND = 100  # below it, the low end of a range shares the multiplier: "2 to 3 thousand"
LONGEST = 10  # tokens of a spelled-out number at most
DASHES = "\u2010\u2011\u2013\u2212"  # read as "-" between two numbers
COUNTS = ("count", "limit", "target")
FAR = 4  # tokens between a label or a negation and its number
PAIRING = AND | {",", ";", ".", "\n"}  # between a least and a most number
OPPOSITE = {"least": "most", "most": "least"}
NEGATED = REQUEST - FORM_NOUNS  # between a negation and what it turns round
HUGE = 12  # digits; no length has so many

_NUMERALS = "".join([*DIGITS, *PLACES, "万"])
_PAIR = re.compile(rf"([{''.join(DIGITS)}])[{''.join(DIGITS)}](?=[{''.join(PLACES)}万])")
_TOKEN = (
    r"(?P<number>(?<!\d[.,])(?:"
    r"\d{1,3}(?P<gap>[.,'\u2019\uff0c \u00a0\u2009\u202f])\d{3}(?:(?P=gap)\d{3})*(?!\d)"
    r"|\d+(?:[.,]\d+)?))"
    r"|(?P<junk>\d[\d.,]*)"  # "v1.200", "1.2.3"
    r"|(?P<dash>(?<=\s)[-\u2013\u2014]+(?=\s)|\u2014+|--+)"
    rf"|(?P<chinese>{'|'.join(CHINESE)}|[{_NUMERALS}]{{2,}}|[{CJK}])"
    r"|(?P<short>(?i:approx|aprox|ca|c|env|max|min|mind|mr|mrs|dr|st)\.)"
    rf"|(?P<word>[^\W\d_{CJK}](?:[^\W_{CJK}]|[\u0300-\u036f])*)"
    r"|(?P<sign>\n|[^\s'\u2019*_#>`¿¡])"
)


class Token(NamedTuple):
    """A word, a number or a sign in normalized form, and its offsets in the text."""

    text: str
    start: int
    end: int


class _Number(NamedTuple):
    value: float
    multiplier: int
    first: int


class Amount(NamedTuple):
    """A number of words or a range of them, at the tokens `first` to `last`, without `last`.

    `bound` is "least", "most", "about" or ""; `labelled` is true after a label ("word count: 500"),
    `of_words` is false with another unit, such as pages.
    """

    low: float
    high: float
    bound: str
    first: int
    last: int
    labelled: bool = False
    of_words: bool = True


def tokens_of(premise: str) -> list[Token]:
    """The words, numbers and signs of a text; numbers in plain digits, "#" for odd ones."""
    return [
        Token(_plain(match), match.start(), match.end()) for match in re.finditer(_TOKEN, premise)
    ]


def _plain(match: re.Match[str]) -> str:
    text = match[0].lower() if match[0].isascii() else normalize("NFKC", match[0]).lower()
    kind = match.lastgroup
    if kind == "number":
        digits = "".join(filter(str.isdigit, text)) if match["gap"] else text.replace(",", ".")
        return digits if len(digits) < HUGE else "9" * HUGE
    if kind == "short":
        return text.rstrip(".")
    if kind == "dash":
        return "—"
    if text[:1].isdigit():  # junk, or a sign such as "½"
        return "#"
    return "-" if text in DASHES else text


def amount_at(words: list[str], place: int) -> Amount | None:
    """The amount that ends with the unit at `place`, or the labelled number at `place`."""
    of_words = words[place] in UNITS
    if of_words or words[place] in OTHER_UNITS:
        amount = _amount(words, place, UNITS.get(words[place], "en"))
        amount = amount and amount._replace(last=place + 1, of_words=of_words)
        return amount and _bounded_after(words, amount)
    if words[place][0].isdigit():
        return _labelled(words, place)
    return None


def _bounded_after(words: list[str], amount: Amount) -> Amount:
    end = _past_tolerance(words, amount.last)
    if end > amount.last:
        return amount._replace(last=end)
    for size in (3, 2, 1):
        phrase = words[amount.last : amount.last + size]
        if " ".join(phrase) in AFTER:
            return amount._replace(bound=AFTER[" ".join(phrase)], last=amount.last + len(phrase))
    return amount


def _past_tolerance(words: list[str], at: int) -> int:
    """The index behind a tolerance that begins at `at`: "+/- 10%"."""
    for phrase in TOLERANCES:
        end = at + len(phrase.split())
        if " ".join(words[at:end]) == phrase and words[end : end + 1] and words[end][0].isdigit():
            following = words[end + 1 : end + 2]
            return end + 1 + (following == ["%"] or not UNITS.keys().isdisjoint(following))
    return at


def _before_tolerance(words: list[str], end: int) -> int:
    """Where the number ends whose tolerance ends at `end`: "500 +/- 50 words"; else `end`."""
    for phrase in TOLERANCES:
        start = end - 1 - len(phrase.split())
        exact = start > 0 and words[start - 1][0].isdigit()
        if exact and " ".join(words[start : end - 1]) == phrase:
            return start
    return end


def _labelled(words: list[str], place: int) -> Amount | None:
    """A number without a unit, just after a label ("word count: 1500")."""
    end = place + 1
    if end < len(words) and words[end] in MULTIPLIERS:
        end += 1
    if end < len(words) and words[end] not in BREAKS and words[end] not in BOUND:
        return None
    amount = _amount(words, end, "")
    if not amount or amount.high < DOUBTFUL:
        return None
    amount = _bounded_after(words, amount._replace(last=end, labelled=True))
    if amount.last < len(words) and words[amount.last] not in BREAKS:
        return None
    if any(_is_label(words, at) for at in range(amount.first, place)):
        return amount
    label = amount.first - 1
    while label > 0 and words[label] in TO_LABEL and amount.first - label < FAR:
        label -= 1
    if label < 0 or not _is_label(words, label):
        return None
    return amount._replace(first=label - (words[label] in COUNTS))


def _is_label(words: list[str], place: int) -> bool:
    if words[place] in UNITS:
        return words[place + 1] in (":", "=", "—")
    if words[place] in COUNTS:  # "word count", but not "chapter count"
        return words[place - 1 : place] == ["word"]
    return words[place] in LABELS


def _amount(words: list[str], end: int, language: str) -> Amount | None:
    """The number or range whose last token is just before `end`."""
    while end and words[end - 1] == "-":
        end -= 1
    bound, stop = _phrase_before(words, end, AFTER)
    top = _number(words, _before_tolerance(words, stop), language)
    if not top:
        return None
    before, first = _bound_before(words, top.first)
    for at, kind in ((top.first, ""), (first, before)):
        ranged = _range(words, at, top, kind, language)
        if ranged:
            return ranged
    if before == "between":
        before, first = "", top.first
    return Amount(_low_end(words[top.first], top.value), top.value, bound or before, first, end)


def _range(words: list[str], at: int, top: _Number, bound: str, language: str) -> Amount | None:
    """The range that ends with `top`; the bound of `top` itself ("at most") begins at `at`."""
    joint, stop = _joint(words, at, bound)
    if not joint:
        return None
    bottom = _number(words, stop, language)
    if not bottom:
        return None
    kind, first = _bound_before(words, bottom.first)
    scale = top.multiplier if bottom.multiplier == 1 and bottom.value < SHORTHAND else 1
    low, high = sorted((bottom.value * scale, top.value))
    paired = OPPOSITE.get(bound) == kind == ("least" if low < top.value else "most")
    joined = joint in TO or (joint in AND and kind == "between")
    within = low * WIDEST >= high
    return Amount(low, high, "", first, at) if paired or (joined and within) else None


def _joint(words: list[str], at: int, bound: str) -> tuple[str, int]:
    """What joins the two numbers of a range before `at`, "" if nothing, and where one ends."""
    joints, stop = TO | AND | (PAIRING if bound in OPPOSITE else frozenset()), at - 1
    if stop < 1 or words[stop] not in joints:
        return "", 0
    while bound in OPPOSITE and stop > 1 and words[stop - 1] in PAIRING:
        stop -= 1
    return words[at - 1], stop - (words[stop - 1] in UNITS)  # "5 words to 9 words"


def _bound_before(words: list[str], end: int) -> tuple[str, int]:
    """The kind of the bound just before `end`, turned round by a negation, and where it begins."""
    kind, first = _phrase_before(words, end, BEFORE)
    if " ".join(words[first:end]) in COMPARISONS:
        for at in range(first - 1, max(first - 1 - FAR, -1), -1):
            if words[at] in NEGATIONS:
                return OPPOSITE[kind], max(at - (words[at] == "t"), 0)  # "don't"
            if words[at] not in NEGATED:
                break
    return kind, first


def _phrase_before(words: list[str], end: int, phrases: Mapping[str, str]) -> tuple[str, int]:
    """The kind of the longest phrase that ends just before `end`, and where it begins."""
    sizes = (4, 3, 2, 1) if end and words[end - 1] in BOUND else ()
    for size in sizes:
        kind = phrases.get(" ".join(words[max(end - size, 0) : end]))
        if kind:
            return kind, max(end - size, 0)
    return "", end


def _number(words: list[str], end: int, language: str) -> _Number | None:
    """The whole number, in digits or spelled out, that ends just before `end`."""
    multiplier = MULTIPLIERS.get(words[end - 1], 1) if end > 1 else 1
    at = end - 1 - (multiplier > 1)
    if at >= 0 and words[at][0].isdigit():
        value = round(float(words[at]) * multiplier, 6)
        whole = multiplier > 1 or "." not in words[at]
        return _Number(value, multiplier, at) if whole and value.is_integer() else None
    return _spelled(words, end, language) if language else None


def _spelled(words: list[str], end: int, language: str) -> _Number | None:
    """The longest spelled-out number that ends just before `end`."""
    start = end
    while start and end - start < LONGEST and _may_spell(words[start - 1], language):
        start -= 1
    for first in range(start, end):
        value = _value([word for word in words[first:end] if word != "-"], language)
        if value is not None and words[first] != "-":
            return _Number(value, MULTIPLIERS.get(words[end - 1], 1), first)
    return None


@lru_cache(maxsize=1024)
def _may_spell(word: str, language: str) -> bool:
    # text2num 3.0 panics at white space, such as a line break before a unit.
    return word in GLUE or (word.isalpha() and _value([word], language) is not None)


def _value(words: Sequence[str], language: str) -> float | None:
    """The value of number words: as text2num reads them, plus halves, couples and "a thousand"."""
    if language == "zh":
        return _chinese(words[0]) if len(words) == 1 else None
    if words[-4:-1] == ["and", "a", "half"] and words[-1] in MULTIPLIERS:
        whole = _value(words[:-4], language)
        return whole and (whole + 0.5) * MULTIPLIERS[words[-1]]
    if words[:2] == ["half", "a"]:
        rest = _value(words[1:], language)
        return rest and rest / 2
    if words[:2] == ["a", "couple"] and words[-1] in MULTIPLIERS:
        return _value(["two", *(word for word in words[2:] if word != "of")], language)
    article = language == "en" and len(words) > 1 and words[0] == "a"
    return _library(" ".join(["one", *words[1:]] if article else words), language)


def _library(phrase: str, language: str) -> float | None:
    from text_to_num import text2num  # imported only if a premise has a spelled-out number

    try:
        return float(text2num(phrase, language))
    except ValueError:
        return None


def _low_end(word: str, value: float) -> float:
    """The low end of a Chinese pair, 2000 for "两三千"; the value of any other number."""
    low = _chinese(_PAIR.sub(r"\1", word)) if _PAIR.search(word) else None
    return min(low or value, value)


def _chinese(numeral: str) -> float | None:
    total = section = digit = 0
    for sign in numeral:
        if sign in DIGITS:
            digit = DIGITS[sign]
        elif sign in PLACES:
            section, digit = section + (digit or 1) * PLACES[sign], 0
        elif sign == "万":
            total, section, digit = (section + digit) * 10_000, 0, 0
        else:
            return None
    return float(total + section + digit)
