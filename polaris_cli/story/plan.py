"""The plan of a story in chapters: reading it from a model's answer, and its shares.

A plan is a title, the cast, and for each chapter a title, a share of the words and what
happens in it. Asking a model for a plan is `chapters`' matter, reading a file `plan_file`'s.
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
    """The plan in a model's answer, its shares scaled to `words`; None if it holds none.

    Mends what can be mended: bullets and bold type, missing shares, missing cast, any dash for
    the bar, the same title twice. At least two chapters make an plan.
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
    return Plan(title, cast, tuple(with_shares(_told_apart(chapters)))).shared(words)


def _told_apart(chapters: list[Chapter]) -> list[Chapter]:
    """The chapters with a number behind each title that an earlier one has too."""
    titles = [chapter.title for chapter in chapters]
    times = [titles[: place + 1].count(title) for place, title in enumerate(titles)]
    return [
        replace(chapter, title=f"{chapter.title} ({count})") if count > 1 else chapter
        for chapter, count in zip(chapters, times, strict=True)
    ]


def is_complete(answer: str, count: int) -> bool:
    """Whether an answer that is still being written holds the line of its last chapter whole."""
    lines = answer.split("\n")[:-1]
    return any((match := _CHAPTER.match(line)) and int(match[1]) == count for line in lines)


def even_plan(premise: str, words: int, count: int) -> Plan:
    """A plain plan of `count` equal chapters, for models that cannot make one."""
    parts = [
        Chapter(f"Chapter {number}", 1, _part(number, count)) for number in range(1, count + 1)
    ]
    return Plan(shortened(premise), "", tuple(parts)).shared(words)


def shortened(premise: str, limit: int = 60) -> str:
    """A premise as a title: one line of at most `limit` characters, with a capital."""
    line = " ".join(premise.split())
    if len(line) > limit:
        line = line[:limit].rsplit(" ", 1)[0] + "…"
    return line[:1].upper() + line[1:]


def _chapter(text: str) -> Chapter | None:
    """A chapter from "Title | 300 words | what happens", with any column but the first missing."""
    columns = [_clean(column) for column in _BARS.split(text) if column.strip()]
    if not columns or not columns[0]:
        return None
    words = next((_WORDS.match(column) for column in columns[1:] if _WORDS.match(column)), None)
    rest = [column for column in columns[1:] if not _WORDS.match(column)]
    number = int(words[1].replace(",", "")) if words else 0
    return Chapter(columns[0], number, " - ".join(rest) or columns[0])


def with_shares(chapters: list[Chapter]) -> Iterator[Chapter]:
    """Chapters without a share (0) get the mean of the others', or 1 where none has one."""
    known = [chapter.words for chapter in chapters if chapter.words]
    mean = round(sum(known) / len(known)) if known else 1
    return (replace(chapter, words=chapter.words or mean) for chapter in chapters)


def _clean(text: str) -> str:
    return text.strip().strip('*_"“”').strip()


def _part(number: int, count: int) -> str:
    if number == 1:
        return "the story begins"
    return "the story comes to its end" if number == count else "the story goes on"
