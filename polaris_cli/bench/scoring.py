"""How fast texts are scored for an evaluation: `scoring_speed`.

Makes up texts of random words; prints nothing.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from polaris_cli.demo.words import EXTRA_NOUNS, PLACES, RARE_NOUNS, THINGS, TRADES
from polaris_cli.evaluate.samples import Sample
from polaris_cli.evaluate.scoring import score_all

COMMON = ["the", "a", "and", "of", "to", "in", "was", "she", "he", "it", "that", "had"]
SENTENCE, PARAGRAPH = 12, 8  # words in a sentence, sentences in a paragraph
PARTS = 4  # of the texts, after each of which time and memory are taken


@dataclass(frozen=True, slots=True)
class Mark:
    """After `texts` texts: the seconds since the start, and this process's memory, 10**6 bytes."""

    texts: int
    seconds: float
    memory_mb: float


def scoring_speed(texts: int, words: int) -> list[Mark]:
    """Score made-up texts of so many words, on up to 16 cores; a mark after each quarter."""
    marks, quarters = list[Mark](), {texts * part // PARTS for part in range(1, PARTS + 1)}
    start, process = time.perf_counter(), psutil.Process()
    for number, _ in enumerate(score_all(_samples(texts, words), (0.9, 1.1)), 1):
        if number in quarters:
            seconds = time.perf_counter() - start
            marks.append(Mark(number, seconds, round(process.memory_info().rss / 1e6, 1)))
    return marks


def _samples(texts: int, words: int) -> Iterator[Sample]:
    chance = random.Random(0)
    nouns = [*TRADES, *THINGS, *PLACES, *EXTRA_NOUNS, *RARE_NOUNS]
    vocabulary = [*COMMON, *(noun for noun in nouns if noun.isalpha())]
    return (Sample(_text(chance, vocabulary, words), words) for _ in range(texts))


def _text(chance: random.Random, vocabulary: list[str], words: int) -> str:
    chosen = chance.choices(vocabulary, k=words)
    sentences = [
        " ".join(chosen[at : at + SENTENCE]).capitalize() + "." for at in range(0, words, SENTENCE)
    ]
    paragraphs = [
        " ".join(sentences[at : at + PARAGRAPH]) for at in range(0, len(sentences), PARAGRAPH)
    ]
    return "\n\n".join(paragraphs)
