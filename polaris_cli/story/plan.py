"""What every plan of a story in chapters needs: `with_shares`, `shortened`, and a plain plan,
`even_plan`.

Does not know where a plan comes from: a model's answer (`plan_answer`), a file (`plan_file`) or the
arc of a story (`arc`).
"""

from collections.abc import Iterator
from dataclasses import replace

from polaris_cli.events import Chapter, Plan


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


def with_shares(chapters: list[Chapter]) -> Iterator[Chapter]:
    """The chapters; those without words (0) get the mean of the others, or 1 if none has any."""
    known = [chapter.words for chapter in chapters if chapter.words]
    mean = round(sum(known) / len(known)) if known else 1
    return (replace(chapter, words=chapter.words or mean) for chapter in chapters)


def _part(number: int, count: int) -> str:
    if number == 1:
        return "the story begins"
    return "the story comes to its end" if number == count else "the story goes on"
