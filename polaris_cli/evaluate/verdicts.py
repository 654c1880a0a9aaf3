"""Reads a judge's answer: `read_verdict`.

Finds the JSON object in the text. An answer that lacks a score, or has one outside its scale, is an
error and never a score. Knows no model.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from polaris_cli.evaluate.rubric import Criterion, Rubric

TOLERANCE = 0.51  # of a stated total: judges round
BLANKS = ("...", "…")  # justifications that are not filled in
LEVELS = 2  # at which scores are in an object: {"result": {"scores": {...}}}
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_FRACTION = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:/\s*(\d+(?:\.\d+)?))?\s*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The scores by criterion and the totals that the judge stated, or what is wrong with them."""

    scores: dict[str, float] = field(default_factory=dict)
    stated: dict[str, float] = field(default_factory=dict)
    error: str = ""


NONE = Verdict(error="there is no JSON object with scores in the answer")
DAMAGED = Verdict(error="the last JSON object with scores in the answer is not valid JSON")


@dataclass(frozen=True, slots=True)
class _Object:
    """An object in a text, and where it starts and ends there; of an inner one, the outer's."""

    values: dict[str, Any]
    start: int
    end: int


def read_verdict(answer: str, rubric: Rubric, criteria: Sequence[Criterion]) -> Verdict:
    """The verdict in an answer. Accepts any text.

    The last object with scores counts, even if it is in error: a judge may begin with a draft. The
    form itself, whose justifications are all "...", is no answer; an answer behind the last object
    that is not valid JSON makes it an error.
    """
    text = _TRAILING_COMMA.sub(r"\1", answer)
    found = [*_objects(text)]
    filled = [one for one in found if _has_score(one.values, criteria) and not _is_form(one.values)]
    if not filled:
        return NONE
    behind = "".join(_outside(found, text, filled[-1].end))
    if _begins_answer(behind, criteria):
        return DAMAGED
    return _verdict(filled[-1].values, rubric, criteria)


def _verdict(found: Mapping[str, Any], rubric: Rubric, criteria: Sequence[Criterion]) -> Verdict:
    scores = dict[str, float]()
    for one in criteria:
        given = _score_of(found, one.key)
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


def _score_of(found: Mapping[str, Any], key: str) -> object:
    """What an object gives as a score, also as {"score": 12, "justification": "..."}.

    One with another number is none, as that may be the scale, nor is one that is not filled in.
    """
    given = found.get(f"{key}_score", found.get(key))
    if not _is_object(given):
        return given
    others = [value for name, value in given.items() if name != "score"]
    filled = all(isinstance(value, str) and value not in BLANKS for value in others)
    return given.get("score") if filled else None


def mismatches(stated: Mapping[str, float], totals: Mapping[str, float]) -> list[str]:
    """The names of the totals that the judge added up wrongly."""
    return [
        name
        for name, value in stated.items()
        if name in totals and abs(value - totals[name]) > TOLERANCE
    ]


def _objects(text: str) -> Iterator[_Object]:
    """The JSON objects in a text, each behind those in it; also with line breaks in their texts."""
    decoder = json.JSONDecoder(strict=False)
    at = text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            for values in _nested(found, LEVELS):
                yield _Object(values, at, end)
        at = text.find("{", end)


def _nested(found: dict[str, Any], levels: int) -> Iterator[dict[str, Any]]:
    """An object behind those in it, so many levels deep."""
    for inner in filter(_is_object, found.values() if levels else ()):
        yield from _nested(inner, levels - 1)
    yield found


def _outside(objects: Iterable[_Object], text: str, start: int) -> Iterator[str]:
    """The parts of a text, from `start` on, that are in none of the objects."""
    for one in objects:
        if one.start >= start:
            yield text[start : one.start]
            start = one.end
    yield text[start:]


def _begins_answer(text: str, criteria: Sequence[Criterion]) -> bool:
    """Whether a text in which there is no whole object has the start of one with scores."""
    keys = "|".join(one.key for one in criteria)
    _, _, inside = text.partition("{")
    return bool(re.search(rf'"(?:{keys})(?:_score|_justification)?"\s*:', inside))


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _has_score(found: Mapping[str, Any], criteria: Sequence[Criterion]) -> bool:
    return any(f"{one.key}_score" in found or one.key in found for one in criteria)


def _is_form(found: Mapping[str, Any]) -> bool:
    """Whether an object is the form of the question, with nothing filled in."""
    given = [value for key, value in found.items() if key.endswith("_justification")]
    return bool(given) and all(value in BLANKS for value in given)


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
