"""A plan of chapters as a TOML file: `read_plan`, for one that a person wrote, and `as_toml`.

Knows the file's keys and lines, so that a fault is named where it stands; not how a plan is used.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polaris_cli.errors import UsageError
from polaris_cli.events import Chapter, Plan
from polaris_cli.request.settings import parse_words, read_text
from polaris_cli.story.plan import with_shares

KEYS = ("title", "cast", "chapter")
CHAPTER_KEYS = ("title", "words", "summary")
EXAMPLE = "See one: polaris write PREMISE --chapters 4 --plan-only -o plan.toml"

_HEADER = re.compile(r"\s*\[\[\s*[\"']?chapter[\"']?\s*\]\]")


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan as its file has it; `words` are those of all chapters, None where none are named."""

    plan: Plan
    words: int | None


def read_plan(path: Path) -> PlanFile:
    """The plan of a TOML file, its shares as they stand; chapters without one get the mean.

    Raises UsageError for a bad file, naming the line where that is known.
    """
    text = read_text(path)
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", hint=EXAMPLE) from error
    file = _File(path, text.splitlines())
    file.check_keys(raw, KEYS)
    rows = raw.get("chapter")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise file.fault("chapter", "every chapter begins with a line [[chapter]]")
    if len(rows) < 2:
        raise file.fault("", f"it has {len(rows)} chapters, and a plan needs at least two")
    chapters = [_chapter(file, number, row) for number, row in enumerate(rows, 1)]
    known = [chapter.words for chapter in chapters if chapter.words]
    shared = tuple(with_shares(chapters))
    plan = Plan(file.text(raw, "title"), file.text(raw, "cast"), shared)
    return PlanFile(plan, plan.words if known else None)


def _chapter(file: "_File", number: int, row: dict[str, Any]) -> Chapter:
    file.check_keys(row, CHAPTER_KEYS, number)
    title = file.text(row, "title", number)
    if not title.strip():
        raise file.fault("title", f"chapter {number} has no title", number)
    words = 0
    if "words" in row:
        try:
            words = parse_words(row["words"])
        except ValueError:
            words = -1
        if words < 1:
            what = f"words cannot be {row['words']!r}; give a number such as 1200"
            raise file.fault("words", what, number)
    return Chapter(title, words, file.text(row, "summary", number) if "summary" in row else title)


@dataclass(frozen=True, slots=True)
class _File:
    """The file's name and lines: where a key stands in them, and what is said of a fault there."""

    path: Path
    lines: list[str]

    def fault(self, key: str, what: str, chapter: int = 0) -> UsageError:
        line = self._line_of(key, chapter)
        place = f"{self.path}, line {line}" if line else f"{self.path}"
        return UsageError(f"{place}: {what}.", hint=EXAMPLE)

    def check_keys(self, table: dict[str, Any], allowed: Iterable[str], chapter: int = 0) -> None:
        for key in table:
            if key not in allowed:
                near = difflib.get_close_matches(key, list(allowed), n=1)
                meant = f"; did you mean {near[0]}?" if near else f" (it has {', '.join(allowed)})"
                where = "a chapter" if chapter else "a plan"
                raise self.fault(key, f"{where} has no key {key!r}{meant}", chapter)

    def text(self, table: dict[str, Any], key: str, chapter: int = 0) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.fault(key, f"{key} is {value!r}; it must be a text in quotes", chapter)
        return value

    def _line_of(self, key: str, chapter: int) -> int:
        """The number of the key's line, of the chapter's header where there is none; 0: unknown."""
        headers = [n for n, line in enumerate(self.lines) if _HEADER.match(line)]
        bounds = [0, *headers, len(self.lines)]
        if chapter >= len(bounds) - 1:
            return 0
        named = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=") if key else _HEADER
        span = range(bounds[chapter], bounds[chapter + 1])
        found = next((n for n in span if named.match(self.lines[n])), None)
        return found + 1 if found is not None else (span.start + 1 if chapter else 0)


def as_toml(plan: Plan) -> str:
    """The plan as a file that a person can edit and `read_plan` reads."""
    return "\n".join([*_toml_lines(plan), ""])


def _toml_lines(plan: Plan) -> Iterator[str]:
    yield "# The plan of a story: edit it, then write it with  polaris write PREMISE --plan FILE"
    yield f"title = {_quoted(plan.title)}"
    yield f"cast = {_quoted(plan.cast)}"
    for chapter in plan.chapters:
        yield "\n[[chapter]]"
        yield f"title = {_quoted(chapter.title)}"
        yield f"words = {chapter.words}"
        yield f"summary = {_quoted(chapter.summary)}"


def _quoted(text: str) -> str:
    """A TOML basic string: quotes, backslashes and control characters escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    safe = (c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped)
    return f'"{"".join(safe)}"'
