"""A plan of chapters as a TOML file: `read_plan` reads one, `as_toml` makes one.

Knows the keys, and the line of each, for error messages. Does not know how a plan is used.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polaris_cli.errors import UsageError
from polaris_cli.events import Chapter, Plan, summary_of
from polaris_cli.quoting import json_text
from polaris_cli.request.settings import parse_words
from polaris_cli.request.story_request import MAX_CHAPTERS
from polaris_cli.request.text_files import parse_toml, read_text
from polaris_cli.story.plan import with_shares

TEXTS = ("title", "cast", "place", "arc", "facts")
KEYS = (*TEXTS, "chapter")
CHAPTER_KEYS = ("title", "words", "summary", "events")
EXAMPLE = "See one: polaris write PREMISE --chapters 4 --plan-only -o plan.toml"

_HEADER = re.compile(r"\s*\[\[\s*[\"']?chapter[\"']?\s*\]\]")


@dataclass(frozen=True, slots=True)
class PlanFile:
    """The plan in a file; `words` is the total of the chapters, None if no chapter states any."""

    plan: Plan
    words: int | None

    @property
    def settings(self) -> dict[str, object]:
        """The settings that the file has."""
        words = {"words": self.words} if self.words else {}
        return {"chapters": len(self.plan.chapters), **words}


def read_plan(path: Path) -> PlanFile:
    """Read a plan from a TOML file; chapters without `words` get the mean of the others.

    Raises UsageError for a bad file, with the line number if it is known.
    """
    text = read_text(path)
    raw = parse_toml(text, path, EXAMPLE)
    file = _File(path, text.splitlines())
    file.check_keys(raw, KEYS)
    rows = raw.get("chapter")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise file.error("chapter", "every chapter starts with a line [[chapter]]")
    if not 2 <= len(rows) <= MAX_CHAPTERS:
        number = "1 chapter" if len(rows) == 1 else f"{len(rows)} chapters"
        count = f"it has {number}, and a plan has from 2 to {MAX_CHAPTERS} of them"
        raise file.error("", count)
    titled = any(str(row.get("title", "")).strip() for row in rows)
    chapters = [_chapter(file, number, row, titled=titled) for number, row in enumerate(rows, 1)]
    stated = [chapter.words for chapter in chapters if chapter.words]
    texts = {key: file.text(raw, key) for key in TEXTS}
    plan = Plan(chapters=tuple(with_shares(chapters)), **texts)
    return PlanFile(plan, plan.words if stated else None)


def _chapter(file: "_File", number: int, row: dict[str, Any], *, titled: bool) -> Chapter:
    """A chapter; if others are `titled`, it must be, too, else it needs what happens in it."""
    file.check_keys(row, CHAPTER_KEYS, number)
    title = file.text(row, "title", number) if titled else ""
    events = file.texts(row, "events", number)
    summary = file.text(row, "summary", number) or summary_of(title, events)
    if not (title if titled else summary).strip():
        raise file.error("title", f"chapter {number} has no title", number)
    return Chapter(title, _words(file, number, row), summary, events)


def _words(file: "_File", number: int, row: dict[str, Any]) -> int:
    """The words of a chapter, 0 if it states none."""
    if "words" not in row:
        return 0
    try:
        words = parse_words(row["words"])
    except ValueError:
        words = -1
    if words < 1:
        what = f"words cannot be {_spelt(row['words'])}; give a number such as 1200"
        raise file.error("words", what, number)
    return words


@dataclass(frozen=True, slots=True)
class _File:
    """The file's name and lines, to say in an error on which line a key is."""

    path: Path
    lines: list[str]

    def error(self, key: str, what: str, chapter: int = 0) -> UsageError:
        line = self._line_of(key, chapter)
        place = f"{self.path}, line {line}" if line else f"{self.path}"
        ending = "" if what.endswith("?") else "."
        return UsageError(f"{place}: {what}{ending}", hint=EXAMPLE)

    def check_keys(self, table: dict[str, Any], allowed: Iterable[str], chapter: int = 0) -> None:
        for key in table:
            if key not in allowed:
                near = difflib.get_close_matches(key, list(allowed), n=1)
                meant = f"; did you mean {near[0]}?" if near else f" (it has {', '.join(allowed)})"
                where = "a chapter" if chapter else "a plan"
                raise self.error(key, f"{where} has no key {key!r}{meant}", chapter)

    def text(self, table: dict[str, Any], key: str, chapter: int = 0) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.error(key, f"{key} is {_spelt(value)}; it must be text in quotes", chapter)
        return _in_one_line(value)

    def texts(self, table: dict[str, Any], key: str, chapter: int) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            what = f'{key} is {_spelt(value)}; it must be a list of texts, such as ["one", "two"]'
            raise self.error(key, what, chapter)
        return tuple(filter(None, map(_in_one_line, value)))

    def _line_of(self, key: str, chapter: int) -> int:
        """The number of the key's line, or of the chapter's header without one; 0 if unknown."""
        headers = [n for n, line in enumerate(self.lines) if _HEADER.match(line)]
        bounds = [0, *headers, len(self.lines)]
        if chapter >= len(bounds) - 1:
            return 0
        named = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=") if key else _HEADER
        span = range(bounds[chapter], bounds[chapter + 1])
        found = next((n for n in span if named.match(self.lines[n])), None)
        return found + 1 if found is not None else (span.start + 1 if chapter else 0)


def _in_one_line(text: str) -> str:
    """Each text of a plan is one line of the prompt, and a title one line of the story."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _spelt(value: object) -> str:
    """A value as TOML spells it, near enough for an error: true, not Python's True."""
    return json.dumps(value, ensure_ascii=False, default=str)


def as_toml(plan: Plan) -> str:
    """The plan as the text of a TOML file, to edit and to read with `read_plan`."""
    return "\n".join([*_toml_lines(plan), ""])


def _toml_lines(plan: Plan) -> Iterator[str]:
    yield "# The plan of a story: edit it, then write it with  polaris write PREMISE --plan FILE"
    yield f"title = {_quoted(plan.title)}"
    yield f"cast = {_quoted(plan.cast)}"
    full = {key: getattr(plan, key) for key in TEXTS[2:]}
    yield from (f"{key} = {_quoted(text)}" for key, text in full.items() if text)
    for chapter in plan.chapters:
        yield "\n[[chapter]]"
        yield f"title = {_quoted(chapter.title)}"
        yield f"words = {chapter.words}"
        if not chapter.events or chapter.own_summary:
            yield f"summary = {_quoted(chapter.summary)}"
        if chapter.events:
            yield from ("events = [", *(f"  {_quoted(event)}," for event in chapter.events), "]")


def _quoted(text: str) -> str:
    """A TOML basic string, with "?" for half characters, which servers may send."""
    return json_text(text.encode(errors="replace").decode())
