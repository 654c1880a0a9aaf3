"""Reads a judge's answer: `read_verdict`.

Finds the JSON object in the text. An answer that lacks a score, or has one outside its scale, is an
error and never a score. Knows no model.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from polaris_cli.evaluate.rubric import Criterion, Rubric

TOLERANCE = 0.51  # of a stated total: judges round
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_FRACTION = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:/\s*(\d+(?:\.\d+)?))?\s*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The scores by criterion and the totals that the judge stated, or what is wrong with them."""

    scores: dict[str, float] = field(default_factory=dict)
    stated: dict[str, float] = field(default_factory=dict)
    error: str = ""


def read_verdict(answer: str, rubric: Rubric, criteria: Sequence[Criterion]) -> Verdict:
    """The verdict in an answer. Accepts any text.

    The last object that can be read counts: a judge may begin with the form, or with a draft.
    """
    found = [each for each in _objects(answer) if _has_score(each, criteria)]
    verdicts = [_verdict(each, rubric, criteria) for each in found]
    none = Verdict(error="there is no JSON object with scores in the answer")
    read = [one for one in verdicts if not one.error]
    return next(iter([*reversed(read), *verdicts]), none)


def _verdict(found: Mapping[str, Any], rubric: Rubric, criteria: Sequence[Criterion]) -> Verdict:
    scores = dict[str, float]()
    for one in criteria:
        given = found.get(f"{one.key}_score", found.get(one.key))
        value, scale = _number(given), _scale(given)
        if value is None:
            return Verdict(error=f"the score {one.key} is missing or not a number")
        if scale not in (None, one.high):
            return Verdict(error=f"the score {one.key} is {given}, on another scale")
        if not one.low <= value <= one.high:
            return Verdict(error=f"the score {one.key} is {value:g}, outside its scale")
        scores[one.key] = value
    totals = ((name, _number(found.get(name))) for name in rubric.totals)
    return Verdict(scores, {name: value for name, value in totals if value is not None})


def mismatches(stated: Mapping[str, float], totals: Mapping[str, float]) -> list[str]:
    """The names of the totals that the judge added up wrongly."""
    return [
        name
        for name, value in stated.items()
        if name in totals and abs(value - totals[name]) > TOLERANCE
    ]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a text, and those in them; also with a comma too many, or with line
    breaks in a text."""
    decoder = json.JSONDecoder(strict=False)
    for source in (text, _TRAILING_COMMA.sub(r"\1", text)):
        at = source.find("{")
        while at >= 0:
            try:
                found, end = decoder.raw_decode(source, at)
            except (ValueError, RecursionError):
                end = at + 1
            else:
                if _is_object(found):
                    yield from (found, *filter(_is_object, found.values()))
            at = source.find("{", end)


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _has_score(found: Mapping[str, Any], criteria: Sequence[Criterion]) -> bool:
    return any(f"{one.key}_score" in found or one.key in found for one in criteria)


def _number(value: object) -> float | None:
    """A number, also as text: 12, "12", "12/15"."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e9 else None
    match = _FRACTION.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) if match else None


def _scale(value: object) -> float | None:
    """The scale that a number as text names: 15 in "12/15"."""
    match = _FRACTION.fullmatch(value) if isinstance(value, str) else None
    return float(match[2]) if match and match[2] else None
