"""Compares the ways to reach a length by words, surprise and repetition: `write_all`, `summed_up`.

The yardstick is one pass of the same model at a length that it writes well: a way is good if its
text is as good as that, at the length asked for. Writes the same premises in each way; prints
nothing.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from polaris_cli.engines.base import Engine
from polaris_cli.request.adherence import in_band
from polaris_cli.story.accumulator import collect
from polaris_cli.story.length import SCENE_BREAK
from polaris_cli.story.prepare import prepare
from polaris_cli.story.quality import POINTS, short_paragraphs
from polaris_cli.story.result import Story
from polaris_cli.story.writing import record_for, write_job
from polaris_cli.words import self_repetition

WAYS = ("single", "extend", "chapters")
BASELINE = "baseline"
BAND = (0.90, 1.10)
STRETCH = 300  # words over which self-repetition is measured


@dataclass(frozen=True, slots=True)
class Written:
    """One story of the benchmark, with the way and the words asked for, and its seconds."""

    way: str
    words: int
    story: Story
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The figures of this story, and its text, as JSON types."""
        story = self.story
        return {
            "way": self.way,
            "words": self.words,
            "premise": story.premise,
            "seed": story.request.sampling.seed,
            "written": story.counted,
            "ratio": round(story.ratio, 4),
            "finish": story.finish,
            "closed": story.closed,
            "extended": story.extended,
            "rewritten": story.rewritten,
            "quality": story.quality.as_dict(),
            "repetition_by_stretch": repetition_by_stretch(story.text),
            "short_paragraphs": short_paragraphs(story.text),
            "seconds": round(self.seconds, 2),
            "story": story.text,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """The figures for the stories of one way at one length.

    Ratios are words written / words asked for; `in_band` is the share of stories within 0.90-1.10.
    Surprise is in nats (None if the engine gives no probabilities), `surprise_by_tenth` its mean in
    each tenth of the stories, `surprise_worst` the highest mean over 64 tokens in any of them.
    `repetition` is the mean self-repetition of stretches of `STRETCH` words (see `words`), without
    scene breaks, `repetition_whole` that of whole stories. `short_paragraphs` is the mean share of
    paragraphs under 8 words without dialogue, `meta_talk` the number of stories with sentences
    about the text or its reader, `rewritten` that of passages written again. `finish` counts the
    finish reasons, `seconds` is the mean time per story.
    """

    way: str
    words: int
    stories: int
    mean_ratio: float
    lowest_ratio: float
    highest_ratio: float
    in_band: float
    surprise: float | None
    surprise_worst: float | None
    surprise_by_tenth: tuple[float, ...]
    repetition: float
    repetition_whole: float
    short_paragraphs: float
    meta_talk: int
    rewritten: int
    finish: dict[str, int]
    closed: int
    seconds: float


def write_all(
    engine: Engine,
    premises: Sequence[str],
    lengths: Sequence[int],
    ways: Sequence[str],
    options: dict[str, object],
    baseline: int,
) -> Iterator[Written]:
    """Write each premise at each length in each way; yield each story when it is finished.

    First come single passes of `baseline` words. Premise number n has the seed n in each of them.
    """
    for seed, premise in enumerate(premises):
        yield _write(engine, premise, BASELINE, baseline, {**options, "seed": seed})
    for words in lengths:
        for way in ways:
            for seed, premise in enumerate(premises):
                yield _write(engine, premise, way, words, {**options, "seed": seed})


def _write(
    engine: Engine, premise: str, way: str, words: int, options: dict[str, object]
) -> Written:
    mode = "single" if way == BASELINE else way
    job = prepare(premise, {**options, "words": words, "length": mode})
    began = time.perf_counter()
    story = collect(write_job(job, engine), record_for(job, engine))
    return Written(way, words, story, time.perf_counter() - began)


def summed_up(written: Sequence[Written]) -> Iterator[Row]:
    """A row for each length and way, in the order in which they were written."""
    for words, way in dict.fromkeys((one.words, one.way) for one in written):
        yield _row(way, words, [one for one in written if (one.words, one.way) == (words, way)])


def _row(way: str, words: int, written: Sequence[Written]) -> Row:
    stories = [one.story for one in written]
    ratios = [story.ratio for story in stories]
    means = [q.surprise_mean for s in stories if (q := s.quality).surprise_mean is not None]
    worst = [q.surprise_worst for s in stories if (q := s.quality).surprise_worst is not None]
    stretches = [value for story in stories for value in repetition_by_stretch(story.text)]
    return Row(
        way=way,
        words=words,
        stories=len(stories),
        mean_ratio=fmean(ratios),
        lowest_ratio=min(ratios),
        highest_ratio=max(ratios),
        in_band=fmean(in_band(story.counted, words, BAND) for story in stories),
        surprise=fmean(means) if means else None,
        surprise_worst=max(worst, default=None),
        surprise_by_tenth=_by_tenth(stories),
        repetition=fmean(stretches) if stretches else 0.0,
        repetition_whole=fmean(self_repetition(without_breaks(story.text)) for story in stories),
        short_paragraphs=fmean(short_paragraphs(story.text) for story in stories),
        meta_talk=sum(bool(story.quality.meta_talk) for story in stories),
        rewritten=sum(story.rewritten for story in stories),
        finish=dict(Counter(story.finish for story in stories)),
        closed=sum(story.closed for story in stories),
        seconds=fmean(one.seconds for one in written),
    )


def _by_tenth(stories: Sequence[Story]) -> tuple[float, ...]:
    """The mean surprise of each tenth of the stories that have a curve."""
    curves = [story.quality.curve for story in stories if story.quality.curve]
    if not curves:
        return ()
    points = [fmean(values) for values in zip(*curves, strict=True)]
    step = POINTS // 10
    return tuple(round(fmean(points[at : at + step]), 2) for at in range(0, POINTS, step))


def repetition_by_stretch(text: str) -> list[float]:
    """The self-repetition of each whole stretch of `STRETCH` words, or of a shorter text."""
    words = without_breaks(text).split(" ")
    whole = range(0, max(len(words) - STRETCH + 1, 1), STRETCH)
    return [round(self_repetition(" ".join(words[at : at + STRETCH])), 5) for at in whole]


def without_breaks(text: str) -> str:
    """The text without its scene breaks, which would count as repeated lines."""
    return text.replace(SCENE_BREAK, "")
