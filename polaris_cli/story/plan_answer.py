"""Reads a plan from a model's answer, leniently: `read_answer`, `is_complete`.

The answer has a line for each field ("Cast: …") and each chapter ("3. Title | 300 words | …" or
"Chapter 3: Title | 300 words"), and items ("- …") below a field or a chapter, in any order. The
labels may be in the language of the story. Does not know what was asked (`request.prompts`), or
what happens to an answer that lacks lines (`planning`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from polaris_cli.events import Chapter, Plan, summary_of
from polaris_cli.request.premise_words import UNITS
from polaris_cli.story.plan import with_shares
from polaris_cli.streaming.headings import WORD_FOR_CHAPTER

_WORDED = re.compile(
    rf"^\W*(?:{WORD_FOR_CHAPTER}\s+|第\s*)(?P<number>\d{{1,3}}|[一二三四五六七八九十百]{{1,4}})\s*章?"
    r"\W*?(?:[.):：、|｜–—-]\W*(?P<text>.*))?$",  # noqa: RUF001
    re.I,
)
_NUMBERED = re.compile(r"^\W*(?P<number>\d{1,3})\s*[.):：、]\s*(?P<text>.+)$")  # noqa: RUF001
_LABEL = re.compile(r"^\W*([^\W\d_](?:[^\W\d_]|[ ,'&/-]){1,30}?)\W*[:：]\s*(.*)$")  # noqa: RUF001
_ITEM = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+(.+)$")  # noqa: RUF001
_UNIT = f"(?:{'|'.join(map(re.escape, sorted(UNITS, key=len, reverse=True)))})"
_WORDS = re.compile(
    rf"^[~约約]?\(?\s*(?:(?:about|approx\.?|approximately|etwa|environ|circa)\s+)?(\d[\d,.]*)"
    rf"(?:\s*[–-]\s*\d[\d,.]*)?\s*{_UNIT}?\s*\)?$",  # noqa: RUF001
    re.I,
)
_BARS = re.compile(r"\s*[|｜]\s*")  # noqa: RUF001
_DASHES = re.compile(r"\s+[–—-]\s+")  # noqa: RUF001
_IN_BRACKETS = re.compile(r"\s*[(\[](~?[a-z. ]*\d[\d,.]* words)[)\]][:.]?\s*", re.I)
_NOT_WHOLE = re.compile(r"[.,]\d{1,2}(?!\d)|[.,]")  # a fraction, or what separates thousands

_NAMES = {
    "title": "title,titel,titre,título,titolo,标题,題名",
    "cast": "cast,characters,people,figuren,personnages,personajes,personaggi,人物,角色,登場人物",
    "place": "place,setting,place and time,time and place,ort,ort und zeit,lieu,lugar,luogo,地点",
    "arc": "arc,story arc,bogen,handlungsbogen,arco,故事线",
    "facts": "facts,remember,not to forget,do not forget,fakten,faits,hechos,fatti,事实",
}
_FIELDS = {label: name for name, labels in _NAMES.items() for label in labels.split(",")}
_PARTS = {"words": "words", "length": "words"}  # of a chapter
_PARTS |= dict.fromkeys(("events", "summary", "what happens", "event"), "events")


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """What could be read: the fields, and the chapters by number, with 0 words if none are stated.

    If the numbers make no sense, the chapters are numbered in order.
    """

    fields: dict[str, str]
    chapters: dict[int, Chapter]

    def missing(self, count: int) -> list[int]:
        """The numbers of the chapters that the answer lacks, of those from 1 to `count`."""
        return [number for number in range(1, count + 1) if number not in self.chapters]

    def is_readable(self, count: int) -> bool:
        """Whether it has at least two chapters, and about as many as were asked for."""
        found, few = len(self.chapters), count // 4
        return 2 <= found <= count + few and len(self.missing(count)) <= few

    def plan(self, words: int) -> Plan:
        """The plan, scaled to `words` words. Numbers are added to titles that occur twice."""
        chapters = [self.chapters[number] for number in sorted(self.chapters)]
        shared = tuple(with_shares(_unique_titles(chapters)))
        named = {"title": chapters[0].title, "cast": "", **self.fields}
        return Plan(chapters=shared, **named).shared(words)


@dataclass(slots=True)
class _Row:
    """The line of a chapter, without its number (0 if it is no figure), and the items below it."""

    number: int
    text: str
    events: list[str] = field(default_factory=list)

    def chapter(self) -> Chapter | None:
        """The chapter of "Title | 300 words | summary"; None if it has no title."""
        text = _IN_BRACKETS.sub(r" | \1 | ", self.text)
        text = text if _BARS.search(self.text) else _DASHES.sub(" | ", text)
        columns = [_clean(column) for column in _BARS.split(text) if column.strip()]
        if not columns or not columns[0]:
            return None
        words = next(filter(None, map(_WORDS.match, columns[1:])), None)
        rest = [column for column in columns[1:] if not _WORDS.match(column)]
        number = int(_NOT_WHOLE.sub("", words[1])) if words else 0
        summary = " - ".join(rest) or summary_of(columns[0], self.events)
        return Chapter(columns[0], number, summary, tuple(self.events))


def read_answer(answer: str) -> PlanAnswer:
    """What can be read of a plan in a model's answer; lines of any other kind are ignored."""
    reader = _Reader(worded=any(map(_WORDED.match, answer.splitlines())))
    for line in answer.splitlines():
        reader.add(line)
    fields = {name: "; ".join(texts) for name, texts in reader.fields.items() if texts}
    return PlanAnswer(fields, _by_number(reader.rows))


def is_complete(answer: str, count: int, *, full: bool = False) -> bool:
    """Whether an unfinished answer has the complete line of its last chapter.

    A full plan has its events below it, and is complete when something else follows.
    """
    lines = answer.split("\n")[:-1]
    worded = any(map(_WORDED.match, lines))
    rows = [_row(line, worded=worded) for line in lines]
    last = next((place for place, row in enumerate(rows) if row and row.number == count), None)
    if last is None or not full:
        return last is not None
    return any(_has_text(line) and not _belongs(line) for line in lines[last + 1 :])


def _belongs(line: str) -> bool:
    """Whether a line below that of a chapter is part of the plan."""
    return bool(_ITEM.match(line) or _label(line) or _WORDED.match(line))


class _Reader:
    """Reads lines one by one. `worded`: chapters have the word, so other numbers are of items."""

    def __init__(self, *, worded: bool) -> None:
        self.fields: dict[str, list[str]] = {}
        self.rows: list[_Row] = []
        self._worded = worded
        self._below: list[str] = []  # where the items go

    def add(self, line: str) -> None:
        if not _has_text(line):
            return
        if row := _row(line, worded=self._worded):
            self.rows.append(row)
            self._below = row.events
        elif (label := _label(line)) and not (self.rows and _tells_of_chapter(line, *label)):
            self._add_label(*label)
        elif match := _ITEM.match(line):
            self._below.append(_clean(match[1]))
        elif self.fields and not self._below and not self.rows:
            self._below.append(_clean(line))  # "Arc:", then its text on a line of its own

    def _add_label(self, name: str, text: str) -> None:
        row = self.rows[-1] if self.rows else _Row(0, "")  # which is dropped
        if name == "words":
            row.text += f" | {text}"
        elif name == "title" and self.rows and not row.text:
            row.text = text
        else:
            self._below = row.events if name == "events" else self._new_field(name)
            self._below += [text] if text else []

    def _new_field(self, name: str) -> list[str]:
        """The texts of a field; those of one that occurs a second time are dropped."""
        return [] if name in self.fields else self.fields.setdefault(name, [])


def _row(line: str, *, worded: bool) -> _Row | None:
    match = (_WORDED if worded else _NUMBERED).match(line)
    if not match:
        return None
    number = match["number"]
    return _Row(int(number) if number.isdecimal() else 0, match["text"] or "")


def _label(line: str) -> tuple[str, str] | None:
    """The name of a field or of a part of a chapter, and the text behind it."""
    match = _LABEL.match(line)
    name = ({**_FIELDS, **_PARTS}).get(match[1].lower()) if match else None
    return (name, _clean(match[2])) if match and name else None


def _tells_of_chapter(line: str, name: str, text: str) -> bool:
    """Whether a line below a chapter is an item of it, though it has a field's label: "- Place: the
    pier"."""
    return bool(text and _ITEM.match(line)) and name in ("cast", "place", "arc")


def _by_number(rows: Iterable[_Row]) -> dict[int, Chapter]:
    found = [(row.number, chapter) for row in rows if (chapter := row.chapter())]
    numbers = [number for number, _ in found]
    if len({*numbers}) < len(numbers) or 0 in numbers:
        return dict(enumerate((chapter for _, chapter in found), 1))
    return dict(found)


def _unique_titles(chapters: list[Chapter]) -> list[Chapter]:
    """The chapters, with a number added to each title that an earlier chapter has."""
    titles = [chapter.title for chapter in chapters]
    times = [titles[: place + 1].count(title) for place, title in enumerate(titles)]
    return [
        replace(chapter, title=f"{chapter.title} ({count})") if count > 1 else chapter
        for chapter, count in zip(chapters, times, strict=True)
    ]


def _has_text(line: str) -> bool:
    return any(map(str.isalnum, line))


def _clean(text: str) -> str:
    return text.replace("**", "").strip().strip('*_"“”').strip()
