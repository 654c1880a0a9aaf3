"""The length that a premise states, left out or replaced: `without_length`, `with_length`.

Both return the premise as it is if they cannot do it safely. Does not know the prompts.
"""

import re
from collections.abc import Collection

from polaris_cli.request.premise import read_length
from polaris_cli.request.premise_kinds import article_of
from polaris_cli.request.premise_numbers import tokens_of
from polaris_cli.request.premise_words import BREAKS, CLOSERS, FORM_NOUNS, LINKS, REQUEST, TOPICS

SIGNS = (":", ",", ";", ".", ")", "\u2013", "\u2014", "-")  # after a length at the start
QUOTES = '"”»」'  # at the end of a title
_NUMBER = re.compile(
    r"\d(?:[\d.,'\u2019 \u00a0\u202f]*\d)?(?:\s*(?:k|thousand|tausend|mille|mil)\b|[千万萬])?", re.I
)


def without_length(phrase: str) -> str:
    """A phrase without the length at its start or end, and without what asks for it there.

    "a fox, in 500 words", "length: 500 words; a fox" and "at most 500 words about a fox" become
    "a fox".
    """
    stated = read_length(phrase).length
    if not stated:
        return phrase
    before, _, after = phrase.partition(stated.quote)
    rest = phrase
    if _consists_of(CLOSERS, after):
        rest = before[: _end_of_topic(before)]
    elif _consists_of(REQUEST, before):
        rest = _topic_of(after) or phrase
    return phrase if _consists_of(REQUEST - FORM_NOUNS, rest) else rest


def with_length(premise: str, words: int) -> str:
    """A premise with `words` in place of the one number of words that it asks for, and with the
    article that fits.

    The same premise if it does not ask for exactly one number, in digits.
    """
    stated = read_length(premise).length
    if not stated or stated.band or len(_NUMBER.findall(stated.quote)) != 1:
        return premise
    before, quote, after = premise.partition(stated.quote)
    if _NUMBER.match(quote):
        before = re.sub(r"\b(a)n?(?= $)", rf"\1{article_of(str(words))[1:]}", before, flags=re.I)
    replaced = f"{before}{_NUMBER.sub(str(words), quote)}{after}"
    found = read_length(replaced).length
    return replaced if found and found.words == words else premise


def _consists_of(allowed: Collection[str], text: str) -> bool:
    return all(token.text in allowed or not token.text.isalnum() for token in tokens_of(text))


def _topic_of(after: str) -> str:
    """The topic in the text after a length: behind a sign, "about" or both; "" if it has none."""
    text = after.lstrip(f" {''.join(SIGNS)}") if after.lstrip().startswith(SIGNS) else after
    first = next(iter(tokens_of(text)), None)
    if first and first.text in TOPICS:
        return text[first.end :].lstrip()
    return "" if text is after else text


def _end_of_topic(text: str) -> int:
    """Where the topic ends in the text before a length: at the sign before "in" or "length"."""
    tokens, end = tokens_of(text), len(text)
    for token in reversed(tokens):
        if token.text in BREAKS:
            return token.end if token.text in QUOTES else token.start
        if token.text not in REQUEST:
            break
    while tokens and tokens[-1].text in LINKS:
        end = tokens.pop().start
    return end
