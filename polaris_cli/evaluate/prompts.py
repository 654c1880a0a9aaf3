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
from polaris_cli.request.settings import parse_words

BUILTIN = Path(__file__).with_name("prompts.jsonl")
LEAST = 20  # words; a scaled length below is not a story


def builtin_prompts() -> Iterator[Row]:
    """The rows of the built-in prompts, from the shortest to the longest."""
    for number, line in enumerate(BUILTIN.read_text("utf-8").splitlines(), 1):
        record = json.loads(line)
        settings = {"words": record["words"]}
        yield Row(number, f"prompt {number}", record["id"], record["premise"], settings)


def chosen(rows: Iterator[Row | BadRow], per_bucket: int, scale: float) -> Iterator[Row | BadRow]:
    """At most `per_bucket` rows of each length bucket, with their lengths times `scale`.

    Rows that state no length, or one in no bucket, are left out.
    """
    counts = dict.fromkeys(pairwise(BUCKETS), 0)
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            words = parse_words(row.settings.get("words"))
        except ValueError:
            continue
        span = bucket_of(words)
        if span and counts[span] < per_bucket:
            counts[span] += 1
            scaled = max(LEAST, round(words * scale))
            yield replace(row, settings={**row.settings, "words": scaled}, scale=scale)
