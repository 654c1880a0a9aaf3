"""`polaris bench score`: measures how fast texts are scored.

Knows tables; `bench.scoring` measures.
"""

import sys
from dataclasses import asdict
from typing import Annotated

from typer import Option

from polaris_cli.bench.scoring import scoring_speed
from polaris_cli.engines.doctor import all_versions
from polaris_cli.screen import terminal
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table

SCHEMA = "polaris.bench-score/1"
HEADERS = ("texts", "seconds", "texts/s", "memory")


def score(
    texts: Annotated[int, Option(metavar="N", min=4, help="Texts to score.")] = 1000,
    words: Annotated[int, Option(metavar="N", min=1, help="Words of each text.")] = 4000,
    as_json: Annotated[bool, Option("--json", help="Print JSON, one object.")] = False,
) -> None:
    """Measure how fast polaris eval score scores texts.

    It uses up to 16 cores. The texts are made up of random words while the others are scored.
    Memory is that of this process, which reads the texts.

    Example:  polaris bench score --texts 10000
    """
    with terminal.loading(f"Scoring {texts} texts", sys.stderr, quiet=as_json):
        marks = scoring_speed(texts, words)
    if as_json:
        found = {"words": words, "marks": [asdict(mark) for mark in marks]}
        print_json({"schema": SCHEMA, **found, "versions": all_versions()})
        return
    print_text(f"{words:,} words in each text\n")
    rows = [
        (str(mark.texts), f"{mark.seconds:.1f}", f"{mark.texts / mark.seconds:.0f}",
         f"{mark.memory_mb:.0f} MB")
        for mark in marks
    ]  # fmt: skip
    print_table(HEADERS, rows, sys.stdout)
