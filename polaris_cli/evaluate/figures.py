"""The figures of one text without a judge: `figures_of`, and the formulas behind them.

Lengths in the paper's formulas are in paper words (`words.paper_words`). Knows texts and numbers,
not where they come from; `request.adherence` has the ratio and the evaluation length score.
"""

import re
import zlib
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields

from polaris_cli.evaluate.samples import Sample
from polaris_cli.request.adherence import in_band, length_score, ratio
from polaris_cli.story.quality import prose_of, short_paragraphs
from polaris_cli.streaming.talk import meta_talk
from polaris_cli.words import paper_words, self_repetition, story_words

LEAST_VISIBLE, LEAST_WORDS = 0.10, 150  # of a text that is not blank
WINDOW = 50  # words, of the moving type-token ratio
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured of one text; None where it cannot be, or was not recorded.

    `ratio` counts words as `wc -w`, `paper_ratio` as the POLARIS evaluation. `length_score` (0 to
    1), `length_penalty` (0 to 1) and `s_length` (0 to 100) are those of the POLARIS evaluation, the
    POLARIS training and LongBench-Write. `blank`, `in_band` and `ended` (the model ended the text
    itself) are 0 or 1.
    """

    words: int
    ratio: float
    paper_ratio: float
    length_score: float
    length_penalty: float
    s_length: float
    in_band: float
    blank: float
    ended: float | None
    self_repetition: float
    duplicate_lines: float
    distinct_2: float
    distinct_3: float
    mattr: float
    compression: float
    short_paragraphs: float
    meta_talk: float
    surprise: float | None
    surprise_worst: float | None


NAMES = tuple(item.name for item in fields(Figures))
YES_OR_NO = ("in_band", "blank", "ended")


def figures_of(sample: Sample, band: tuple[float, float] = (0.9, 1.1)) -> Figures:
    """All figures of a text."""
    text, asked = sample.text, sample.asked
    paper, words = paper_words(text), story_words(text)
    tokens = _WORD.findall(text.lower())
    return Figures(
        words=words,
        ratio=ratio(words, asked),
        paper_ratio=ratio(paper, asked),
        length_score=length_score(paper, asked),
        length_penalty=length_penalty(paper, asked),
        s_length=s_length(paper, asked),
        in_band=float(in_band(words, asked, band)),
        blank=float(is_blank(text)),
        ended=float(sample.ending == "stop") if sample.ending else None,
        self_repetition=self_repetition(text),
        duplicate_lines=duplicate_lines(text),
        distinct_2=distinct(tokens, 2),
        distinct_3=distinct(tokens, 3),
        mattr=mattr(tokens),
        compression=compression(text),
        short_paragraphs=short_paragraphs(text),
        meta_talk=float(len(meta_talk(text))),
        surprise=sample.surprise,
        surprise_worst=sample.surprise_worst,
    )


def length_penalty(written: int, asked: int) -> float:
    """The length penalty of the POLARIS training, 0 (within its tolerance) to 1, in paper words."""
    target = max(150, asked)
    lower = int(_clamp(0.15 * target, 350, 1000))
    upper = int(_clamp(0.25 * target, 600, 1500))
    if written < target - lower:
        return 1 - written / (target - lower)
    if written > target + upper:
        return min(1.0, written / (target + upper) - 1)
    return 0.0


def s_length(written: int, asked: int) -> float:
    """The length score S_l of LongBench-Write, 0 to 100 (Bai et al. 2024, section 3)."""
    if written > asked:
        return 100 * max(0.0, 1 - (written / asked - 1) / 3)
    return 100 * max(0.0, 1 - (asked / written - 1) / 2) if written else 0.0


def is_blank(text: str) -> bool:
    """Whether a text is blank for the POLARIS evaluation: nearly invisible, or short."""
    visible = len("".join(text.split()))
    return visible < LEAST_VISIBLE * len(text) or paper_words(text) < LEAST_WORDS


def duplicate_lines(text: str) -> float:
    """The share of lines that occurred before in the text.

    Empty lines, headings and scene breaks do not count.
    """
    return 1 - _different([line.strip() for line in prose_of(text).splitlines() if line.strip()])


def distinct(tokens: Sequence[str], n: int) -> float:
    """Different n-grams / n-grams (Li et al. 2016), 0 to 1; 1 without any n-gram."""
    return _different(list(zip(*(tokens[start:] for start in range(n)), strict=False)))


def mattr(tokens: Sequence[str], window: int = WINDOW) -> float:
    """The moving-average type-token ratio (Covington and McFall 2010), 0 to 1.

    That of the whole text if it is shorter than the window.
    """
    if len(tokens) <= window:
        return _different(tokens)
    counts = Counter(tokens[:window])
    total = len(counts)
    for old, new in zip(tokens, tokens[window:], strict=False):
        counts[new] += 1
        counts[old] -= 1
        if not counts[old]:
            del counts[old]
        total += len(counts)
    return total / (len(tokens) - window + 1) / window


def compression(text: str) -> float:
    """Size of the text / its size compressed by zlib; higher for repetitive texts, 1 if empty."""
    data = text.encode(errors="replace")
    return len(data) / len(zlib.compress(data)) if data else 1.0


def _different(items: Sequence[Hashable]) -> float:
    return len(set(items)) / len(items) if items else 1.0


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
