"""Reads rubrics, by which a judge scores a text: `load_rubric`; words the question to the judge.

Rubrics are TOML files: those in `rubrics/`, or the user's own. Knows no model and no totals.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polaris_cli.errors import UsageError
from polaris_cli.evaluate.aggregates import AGGREGATIONS
from polaris_cli.evaluate.samples import Sample
from polaris_cli.request.prompts import Message
from polaris_cli.request.text_files import parse_toml, read_text

FOLDER = Path(__file__).with_name("rubrics")
FIX = "Fix the file, then try again."
# "The story should be approximately 3000 words long.", and nothing else in the sentence.
_LENGTH_SENTENCE = re.compile(
    r"(?:^|(?<=[.!?\n]))\s*+"
    r"(?:(?:make |keep |instead of that length, )?it|(?:the|this|your) \w+)"
    r"(?:\s+(?:should|must|is|has|needs|to|be|at|least|most|no|not|more|less|longer|shorter|than|"
    r"over|under|up|approximately|about|around|roughly|exactly|between|and|or|\d[\d.,\u2013-]*))*"
    r"\s+\d[\d.,\u2013-]*\s+words\s+long(?:,? please)?(?:[.!?]+|(?=\n)|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """What is scored, from `low` to `high`; `says` explains it to the judge."""

    key: str
    low: float
    high: float
    says: str


def own_criteria(sample: Sample) -> dict[str, str]:
    """The criteria of a text's checklist by their keys."""
    return {f"criterion_{number}": says for number, says in enumerate(sample.checklist, 1)}


@dataclass(frozen=True, slots=True)
class Rubric:
    """Criteria, the instructions for the judge, and how scores become totals.

    With `per_criterion`, each criterion is asked for in a call of its own. `totals` are sums that
    the judge states too, to check its arithmetic. With `checklist`, a text's own criteria take the
    place of these; `own` says that they did.
    """

    name: str
    aggregation: str
    instructions: str
    criteria: tuple[Criterion, ...]
    per_criterion: bool = False
    totals: tuple[str, ...] = ()
    checklist: bool = False
    own: bool = False

    @property
    def key(self) -> str:
        """A digest: a rubric that has been edited is another one. Criteria of single texts do not
        count, so that their scores can be compared."""
        counted = replace(self, criteria=()) if self.own else self
        return hashlib.sha256(repr(counted).encode(errors="surrogatepass")).hexdigest()[:12]

    def for_text(self, sample: Sample) -> "Rubric":
        """The rubric for a text, with the text's own criteria if there are some to take."""
        if not (self.checklist and sample.checklist):
            return self
        low, high = self.criteria[0].low, self.criteria[0].high
        own = (Criterion(key, low, high, says) for key, says in own_criteria(sample).items())
        return replace(self, criteria=tuple(own), own=True)

    @property
    def calls(self) -> list[tuple[Criterion, ...]]:
        """The criteria of each call."""
        return [(one,) for one in self.criteria] if self.per_criterion else [self.criteria]


def rubric_names() -> list[str]:
    """The names of the rubrics that polaris brings."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_rubric(name: str) -> Rubric:
    """The rubric with a name, or in a file, whose name it then has ("mine.toml").

    So a user's rubric is never mistaken for one that the card has figures of. Raises UsageError
    that names what is wrong.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.suffix or not (name.endswith(".toml") or path.exists()):
        raise UsageError(
            f"There is no rubric {name!r}.",
            hint=f"Rubrics: {', '.join(rubric_names())}, or a TOML file of your own.",
        )
    values = parse_toml(read_text(path), path, FIX)
    try:
        return _rubric(Path(name).name, values)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path} is not a rubric: {what}.", hint=FIX) from error


def _rubric(name: str, values: Mapping[str, Any]) -> Rubric:
    known = {"aggregation", "instructions", "criteria", "per_criterion", "totals", "checklist"}
    if unknown := sorted({*values} - known):
        raise ValueError(f"unknown key {unknown[0]!r}")
    if values["aggregation"] not in AGGREGATIONS:
        raise ValueError(f"aggregation is not one of {', '.join(AGGREGATIONS)}")
    tables = values["criteria"]
    if not (isinstance(tables, list) and all(isinstance(each, dict) for each in tables)):
        raise ValueError("criteria are not tables like [[criteria]]")
    criteria = tuple(map(_criterion, tables))
    if not criteria or len({one.key for one in criteria}) < len(criteria):
        raise ValueError("it has no criteria, or two with the same key")
    found = Rubric(
        name,
        values["aggregation"],
        str(values["instructions"]).strip(),
        criteria,
        bool(values.get("per_criterion", False)),
        tuple(map(str, values.get("totals", ()))),
        bool(values.get("checklist", False)),
    )
    _check_aggregation(found)
    return found


def _check_aggregation(rubric: Rubric) -> None:
    """Raise ValueError for criteria of which the aggregation would make a wrong total."""
    name, needed = rubric.aggregation, AGGREGATIONS[rubric.aggregation]
    for one in rubric.criteria:
        if not needed.adds_up(one.key):
            raise ValueError(f"the criterion {one.key!r} is none that {name} adds up")
        if needed.scale and needed.scale != (one.low, one.high):
            scale = f"a scale from {one.low:g} to {one.high:g}"
            what = "{} needs {:g} to {:g}".format(name, *needed.scale)
            raise ValueError(f"the criterion {one.key!r} has {scale}, {what}")
    if rubric.checklist and needed.keys:
        raise ValueError(f"a checklist has criteria that {name} does not add up")


def _criterion(values: Mapping[str, Any]) -> Criterion:
    if unknown := sorted({*values} - {"key", "low", "high", "says"}):
        raise ValueError(f"a criterion has the unknown key {unknown[0]!r}")
    if not re.fullmatch(r"\w+", str(values["key"])) or not str(values["says"]).strip():
        raise ValueError(f"the criterion {values['key']!r} needs a key of one word, and says")
    low, high = float(values["low"]), float(values["high"])
    if not low < high:
        raise ValueError(f"the criterion {values['key']!r} has a scale from {low:g} to {high:g}")
    return Criterion(str(values["key"]), low, high, str(values["says"]))


def question(rubric: Rubric, criteria: Sequence[Criterion], sample: Sample) -> tuple[Message, ...]:
    """The messages that ask a judge to score a text by these criteria."""
    scales = [f"- {one.key} ({one.low:g} to {one.high:g}): {one.says}" for one in criteria]
    fields = [f'"{one.key}_justification": "...", "{one.key}_score": 0' for one in criteria]
    stated = [f'"{total}": 0' for total in rubric.totals]
    content = "\n\n".join(
        [
            rubric.instructions,
            "Criteria:\n" + "\n".join(scales),
            "Answer with one JSON object and nothing else. Justify each score in one sentence:\n"
            f"{{{', '.join([*fields, *stated])}}}",
            f"<prompt>\n{without_length(sample.prompt)}\n</prompt>",
            f"<text>\n{sample.text}\n</text>",
        ]
    )
    return (Message("user", content),)


def answer_schema(rubric: Rubric, criteria: Sequence[Criterion]) -> dict[str, Any]:
    """The JSON schema of an answer, for servers that can enforce one."""
    properties: dict[str, Any] = {}
    for one in criteria:
        properties[f"{one.key}_justification"] = {"type": "string"}
        properties[f"{one.key}_score"] = {"type": "number"}
    properties |= {total: {"type": "number"} for total in rubric.totals}
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def without_length(prompt: str) -> str:
    """The prompt without the sentence that only states its length, as the POLARIS data has it."""
    return _LENGTH_SENTENCE.sub("", prompt).strip()
