"""The built-in prompts: sixty premises, ten for each length bucket.

They are the project's own, under its licence (MIT), in `prompts.jsonl`.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from polaris_cli.batch.premises import BadRow, Row
from polaris_cli.request.adherence import BUCKETS, bucket_of
from polaris_cli.request.premise import read_length
from polaris_cli.request.settings import parse_words

BUILTIN = Path(__file__).with_name("prompts.jsonl")
LEAST = 20  # words; a scaled length below is not a story


def builtin_prompts() -> Iterator[Row]:
    """The rows of the built-in prompts, from the shortest to the longest."""
    for number, line in enumerate(BUILTIN.read_text("utf-8").splitlines(), 1):
        record = json.loads(line)
        settings = {"words": record["words"]}
        yield Row(number, f"prompt {number}", record["id"], record["premise"], settings)


def chosen(
    rows: Iterator[Row | BadRow], per_bucket: int | None, scale: float
) -> Iterator[Row | BadRow]:
    """At most `per_bucket` rows of each length bucket, with their lengths times `scale`.

    Rows that state no length, or one in no bucket, are left out (`without_bucket`).
    """
    counts = dict.fromkeys(pairwise(BUCKETS), 0)
    for row in rows:
        words = _words(row)
        if isinstance(row, BadRow) or words is None:
            yield row
            continue
        span = bucket_of(words)
        if span and (per_bucket is None or counts[span] < per_bucket):
            counts[span] += 1
            scaled = max(LEAST, round(words * scale))
            yield replace(row, settings={**row.settings, "words": scaled}, scale=scale)


def without_bucket(rows: Iterator[Row | BadRow]) -> tuple[int, int]:
    """How many rows state no length, or one in no bucket, and how many there are."""
    found = [words is None or bool(bucket_of(words)) for words in map(_words, rows)]
    return found.count(False), len(found)


def _words(row: Row | BadRow) -> int | None:
    """The words that a row asks for, 0 for none; None if the row or its length is invalid."""
    if isinstance(row, BadRow):
        return None
    given = row.settings.get("words")
    stated = read_length(row.premise).length if given is None else None
    try:
        return stated.words if stated else parse_words(0 if given is None else given)
    except ValueError:
        return None
