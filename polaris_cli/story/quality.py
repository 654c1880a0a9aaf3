"""Figures on the text of a story, beside its length: `quality_of`.

Surprise is the mean of -log p of the tokens chosen, in nats, in the model's own distribution,
before temperature and penalties. Works on text and numbers only.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, pairwise
from statistics import fmean
from typing import Any

from polaris_cli.streaming.headings import heads_chapter, is_scene_break
from polaris_cli.streaming.surprise import WINDOW
from polaris_cli.streaming.talk import meta_talk
from polaris_cli.words import self_repetition, story_words

POINTS = 20  # of the curve
SHORT = 8  # words

_DIALOGUE = re.compile(r"[\"“”„«»「」]|^\s*[-–—]|(?:^|\s)['‘]", re.M)  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Quality:
    """Surprise and repetition of a story.

    `surprise_worst` is the highest mean over `WINDOW` tokens, `curve` the means over `POINTS` equal
    stretches; `tokens` is how many tokens they are taken from (0: the engine gives no
    probabilities, or they were not recorded). `self_repetition` is the score of the POLARIS
    training reward, 0 to about 1.16. `meta_talk` is the number of sentences about the task, the
    text or the reader, as far as they are found in English; None for an essay or a podcast, which
    may have them.
    """

    surprise_mean: float | None = None
    surprise_worst: float | None = None
    curve: tuple[float, ...] = ()
    tokens: int = 0
    self_repetition: float = 0.0
    meta_talk: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON types."""
        return {**asdict(self), "curve": [*self.curve]}


def quality_of(text: str, log_probs: Sequence[float], *, narrative: bool = True) -> Quality:
    """The figures for a text and the log-probabilities of its tokens, as far as they are known.

    `narrative` says that it is a story.
    """
    surprise = [-value for value in log_probs]
    worst = max(means(surprise), default=None)
    return Quality(
        surprise_mean=round(fmean(surprise), 3) if surprise else None,
        surprise_worst=None if worst is None else round(worst, 3),
        curve=tuple(round(fmean(part), 2) for part in _stretches(surprise)),
        tokens=len(surprise),
        self_repetition=round(self_repetition(text), 5),
        meta_talk=len(meta_talk(text)) if narrative else None,
    )


def means(values: Sequence[float], window: int = WINDOW) -> Iterator[float]:
    """Yield the mean of each run of `window` values."""
    sums = list(accumulate(values, initial=0.0))
    return ((b - a) / window for a, b in zip(sums, sums[window:], strict=False))


def _stretches(values: Sequence[float]) -> Iterator[Sequence[float]]:
    """Yield `POINTS` equal stretches of the values, if there are that many."""
    if len(values) >= POINTS:
        bounds = pairwise(round(len(values) * part / POINTS) for part in range(POINTS + 1))
        yield from (values[start:end] for start, end in bounds)


def prose_of(text: str) -> str:
    """The text without the lines that are headings or scene breaks."""
    lines = text.split("\n")
    return "\n".join(one for one in lines if not (is_scene_break(one) or heads_chapter(one, "")))


def short_paragraphs(text: str) -> float:
    """The share of paragraphs that have fewer than `SHORT` words and no dialogue.

    Headings and scene breaks are no paragraphs.
    """
    paragraphs = [part.strip() for part in prose_of(text).split("\n\n") if part.strip()]
    narrated = [part for part in paragraphs if not _DIALOGUE.search(part)]
    short = sum(story_words(part) < SHORT for part in narrated)
    return short / len(paragraphs) if paragraphs else 0.0
