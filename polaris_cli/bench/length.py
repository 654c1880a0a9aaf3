"""Compares the ways to reach a length: single pass, extending, chapters.

Writes the same premises in each way at each length, and summarizes; prints nothing.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from polaris_cli.engines.base import Engine
from polaris_cli.request.adherence import in_band
from polaris_cli.story.accumulator import collect
from polaris_cli.story.length import SCENE_BREAK
from polaris_cli.story.prepare import prepare
from polaris_cli.story.result import Story
from polaris_cli.story.writing import record_for, write_job
from polaris_cli.words import self_repetition

WAYS = ("single", "extend", "chapters")
BAND = (0.90, 1.10)


@dataclass(frozen=True, slots=True)
class Written:
    """One story of the benchmark, with the way and the words asked for, and its time."""

    way: str
    words: int
    story: Story
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """The figures for the stories of one way at one length.

    Ratios are words written / words asked for; `worst_ratio` is the one farthest from 1, `in_band`
    the share of stories within 0.90-1.10. `repetition` is the mean self-repetition score (see
    `words`) without scene breaks, which would count as repeated lines. `repeated_paragraphs` is the
    mean share of long paragraphs that occurred before in the same story, `seconds` the mean time
    per story.
    """

    way: str
    words: int
    stories: int
    mean_ratio: float
    worst_ratio: float
    in_band: float
    repetition: float
    repeated_paragraphs: float
    seconds: float


def write_all(
    engine: Engine, premises: Sequence[str], lengths: Sequence[int], options: dict[str, object]
) -> Iterator[Written]:
    """Write each premise at each length in each way; yield each story when it is finished."""
    for words in lengths:
        for way in WAYS:
            for seed, premise in enumerate(premises):
                yield _write(engine, premise, {**options, "words": words, "length": way}, seed)


def _write(engine: Engine, premise: str, options: dict[str, object], seed: int) -> Written:
    job = prepare(premise, {"seed": seed, **options})
    began = time.perf_counter()
    story = collect(write_job(job, engine), record_for(job, engine))
    seconds = time.perf_counter() - began
    return Written(str(options["length"]), job.request.words, story, seconds)


def summed_up(written: Sequence[Written]) -> Iterator[Row]:
    """A row for each length and way, in the order in which they were written."""
    for words, way in dict.fromkeys((one.words, one.way) for one in written):
        yield _row(way, words, [one for one in written if (one.words, one.way) == (words, way)])


def _row(way: str, words: int, written: Sequence[Written]) -> Row:
    stories = [one.story for one in written]
    ratios = [story.ratio for story in stories]
    return Row(
        way=way,
        words=words,
        stories=len(stories),
        mean_ratio=fmean(ratios),
        worst_ratio=max(ratios, key=lambda ratio: abs(ratio - 1)),
        in_band=fmean(in_band(story.written, words, BAND) for story in stories),
        repetition=fmean(self_repetition(without_breaks(story.text)) for story in stories),
        repeated_paragraphs=fmean(repeated_paragraphs(story.text) for story in stories),
        seconds=fmean(one.seconds for one in written),
    )


def without_breaks(text: str) -> str:
    """The text without its scene breaks."""
    return text.replace(SCENE_BREAK, "")


def repeated_paragraphs(text: str) -> float:
    """The share of paragraphs of at least ten words that occurred before in the text."""
    long = [part.strip() for part in text.split("\n\n") if len(part.split()) >= 10]
    return 1 - len(set(long)) / len(long) if long else 0.0
