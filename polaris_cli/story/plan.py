"""Reads the plan of a story in chapters from a model's answer.

A plan is a title, a cast, and for each chapter a title, a number of words and a summary. `chapters`
asks the model for a plan, `plan_file` reads one from a file.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from polaris_cli.events import Chapter, Plan

_CHAPTER = re.compile(r"^\W*(?:chapter\s+)?(\d{1,3})\s*[.):]\s*(.+)$", re.I)
_FIELD = re.compile(r"^\W*(title|cast|characters)\W*:\s*\**\s*(.+)$", re.I)
_WORDS = re.compile(r"^~?\(?\s*(?:about\s+|approximately\s+)?(\d[\d,]*)\s*(?:words?)?\s*\)?$", re.I)
_BARS = re.compile(r"\s*(?:\||\s[–—-]\s)\s*")  # noqa: RUF001


def parse_plan(answer: str, words: int) -> Plan | None:
    """The plan in a model's answer, scaled to `words` words; None if there is none.

    Accepts bullets and bold type, dashes in place of bars, and a missing title, cast, summary or
    number of words. Numbers duplicate titles. A plan needs at least two chapters.
    """
    fields: dict[str, str] = {}
    chapters: list[Chapter] = []
    for line in answer.splitlines():
        if match := _FIELD.match(line):
            fields.setdefault(match[1].lower(), _clean(match[2]))
        elif (match := _CHAPTER.match(line)) and (chapter := _chapter(match[2])):
            chapters.append(chapter)
    if len(chapters) < 2:
        return None
    cast = fields.get("cast") or fields.get("characters") or ""
    title = fields.get("title") or chapters[0].title
    return Plan(title, cast, tuple(with_shares(_unique_titles(chapters)))).shared(words)


def _unique_titles(chapters: list[Chapter]) -> list[Chapter]:
    """The chapters, with a number added to each title that an earlier chapter has."""
    titles = [chapter.title for chapter in chapters]
    times = [titles[: place + 1].count(title) for place, title in enumerate(titles)]
    return [
        replace(chapter, title=f"{chapter.title} ({count})") if count > 1 else chapter
        for chapter, count in zip(chapters, times, strict=True)
    ]


def is_complete(answer: str, count: int) -> bool:
    """Whether an unfinished answer has the complete line of its last chapter."""
    lines = answer.split("\n")[:-1]
    return any((match := _CHAPTER.match(line)) and int(match[1]) == count for line in lines)


def even_plan(premise: str, words: int, count: int) -> Plan:
    """A generic plan of `count` equal chapters, for models that cannot make a plan."""
    parts = [
        Chapter(f"Chapter {number}", 1, _part(number, count)) for number in range(1, count + 1)
    ]
    return Plan(shortened(premise), "", tuple(parts)).shared(words)


def shortened(premise: str, limit: int = 60) -> str:
    """A premise as a title: one capitalized line, cut to `limit` characters."""
    line = " ".join(premise.split())
    if len(line) > limit:
        line = line[:limit].rsplit(" ", 1)[0] + "…"
    return line[:1].upper() + line[1:]


def _chapter(text: str) -> Chapter | None:
    """A chapter from "Title | 300 words | summary"; all columns but the first are optional."""
    columns = [_clean(column) for column in _BARS.split(text) if column.strip()]
    if not columns or not columns[0]:
        return None
    words = next((_WORDS.match(column) for column in columns[1:] if _WORDS.match(column)), None)
    rest = [column for column in columns[1:] if not _WORDS.match(column)]
    number = int(words[1].replace(",", "")) if words else 0
    return Chapter(columns[0], number, " - ".join(rest) or columns[0])


def with_shares(chapters: list[Chapter]) -> Iterator[Chapter]:
    """The chapters; those without words (0) get the mean of the others, or 1 if none has any."""
    known = [chapter.words for chapter in chapters if chapter.words]
    mean = round(sum(known) / len(known)) if known else 1
    return (replace(chapter, words=chapter.words or mean) for chapter in chapters)


def _clean(text: str) -> str:
    return text.strip().strip('*_"“”').strip()


def _part(number: int, count: int) -> str:
    if number == 1:
        return "the story begins"
    return "the story comes to its end" if number == count else "the story goes on"
