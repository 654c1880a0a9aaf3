"""`polaris bench length`: measures how close each length mode comes to the words asked for.

Knows options and tables; `bench.length` writes the stories.
"""

import json
import sys
from dataclasses import asdict
from typing import Annotated

from typer import Option

from polaris_cli.api import engine_for
from polaris_cli.bench.length import WAYS, Row, summed_up, write_all
from polaris_cli.commands import options as o
from polaris_cli.commands.download import download
from polaris_cli.demo.unseen import UNSEEN
from polaris_cli.request.settings import parse_words
from polaris_cli.screen.tables import print_table
from polaris_cli.screen.terminal import loading
from polaris_cli.story.prepare import prepare

LENGTHS = (
    "400,1200,2400,4000"  # 1, 3, 6 and 10 times the longest story in the demo model's training
)
HEADERS = (
    "words", "mode", "stories", "mean ratio", "worst", "in band", "repetition",
    "paragraphs repeated", "seconds",
)  # fmt: skip


def length(
    model: o.Model = "demo",
    words: Annotated[str, Option(help="The lengths to ask for, separated by commas.")] = LENGTHS,
    stories: Annotated[int, Option(min=1, max=40, help="Stories per length and mode.")] = 10,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    threads: o.Threads = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the length modes single, extend and chapters at several lengths.

    The ratio is words written / words asked; the band is 0.90-1.10. The defaults are for the demo
    model and take about an hour on two cores. For POLARIS-9B, use --words 3000,6000,10000.
    """
    lengths = [parse_words(part) for part in words.split(",")]
    options: dict[str, object] = {
        "model": model, "quantize": quantize, "device": device, "threads": threads
    }  # fmt: skip
    prepared = prepare(UNSEEN[0][1], {**options, "words": max(lengths)})
    download(prepared.reference)
    with loading(f"Loading {prepared.reference.name}", sys.stderr) as progress:
        engine = engine_for(prepared, progress.update)
    premises = [premise for _, premise in UNSEEN[:stories]]
    total = len(lengths) * len(WAYS) * stories
    written = []
    with loading("Writing", sys.stderr) as progress:
        for one in write_all(engine, premises, lengths, options):
            written.append(one)
            progress.update(len(written) / total)
    rows = list(summed_up(written))
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        print_table(HEADERS, [_cells(row) for row in rows], sys.stdout)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"{row.words:,}",
        row.way,
        str(row.stories),
        f"{row.mean_ratio:.2f}",
        f"{row.worst_ratio:.2f}",
        f"{row.in_band:.0%}",
        f"{row.repetition:.5f}",
        f"{row.repeated_paragraphs:.1%}",
        f"{row.seconds:.1f}",
    )
