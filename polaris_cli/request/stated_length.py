"""The length that a premise states, left out: `without_length`. Does not know the prompts."""

from collections.abc import Collection

from polaris_cli.request.premise import read_length
from polaris_cli.request.premise_numbers import tokens_of
from polaris_cli.request.premise_words import BREAKS, CLOSERS, LINKS, REQUEST


def without_length(phrase: str) -> str:
    """A phrase without the length at its start or end, and without what asks for it there.

    "a fox, in 500 words" and "length: 500 words; a fox" become "a fox".
    """
    stated = read_length(phrase).length
    if not stated:
        return phrase
    before, _, after = phrase.partition(stated.quote)
    rest = phrase
    if _consists_of(CLOSERS, after):
        rest = before[: _end_of_topic(before)]
    elif _consists_of(REQUEST, before):
        rest = after.lstrip(" :,;.)\u2013\u2014-")
    return rest if any(map(str.isalnum, rest)) else phrase


def _consists_of(allowed: Collection[str], text: str) -> bool:
    return all(token.text in allowed or not token.text.isalnum() for token in tokens_of(text))


def _end_of_topic(text: str) -> int:
    """Where the topic ends in the text before a length: at the sign before "in" or "length"."""
    tokens, end = tokens_of(text), len(text)
    for token in reversed(tokens):
        if token.text in BREAKS:
            return token.start
        if token.text not in REQUEST:
            break
    while tokens and tokens[-1].text in LINKS:
        end = tokens.pop().start
    return end
