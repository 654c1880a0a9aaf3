"""`polaris bench length`: compares the ways to reach a length, by words and by the text itself.

Knows options and tables; `bench.length` writes the stories.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Option

from polaris_cli.api import engine_for
from polaris_cli.bench.length import WAYS, Row, Written, summed_up, write_all
from polaris_cli.commands import options as o
from polaris_cli.commands.bench_loading import Model, model_or_demo, say
from polaris_cli.commands.option_values import lengths_in, listed
from polaris_cli.commands.running import downloaded
from polaris_cli.demo.unseen import UNSEEN
from polaris_cli.engines.base import ModelInfo
from polaris_cli.engines.doctor import all_versions
from polaris_cli.errors import UsageError
from polaris_cli.request.settings import parse_words
from polaris_cli.request.text_files import read_text
from polaris_cli.screen.printing import print_json
from polaris_cli.screen.tables import print_table
from polaris_cli.screen.terminal import loading
from polaris_cli.story.advice import on_unused
from polaris_cli.story.prepare import prepare

SCHEMA = "polaris.bench-length/1"
BUILT_IN = "builtin"
GOOD_SHARE = 0.75  # of the most words that the model writes well in one pass: the baseline
HEADERS = (
    "words", "way", "stories", "mean ratio", "lowest", "highest", "in band", "surprise", "worst",
    "last tenth", "repetition", "short paragraphs", "meta-talk", "seconds",
)  # fmt: skip


def length(
    model: Model = None,
    words: Annotated[str, Option(help="The lengths to ask for, separated by commas.")] = "600,1200",
    ways: Annotated[str, Option(help="Ways to write, separated by commas.")] = ",".join(WAYS),
    premises: Annotated[
        str, Option(metavar="FILE|builtin", help="A text file with one premise per line.")
    ] = BUILT_IN,
    stories: Annotated[int, Option(min=1, help="Stories per length and way, at most.")] = 10,
    engine: o.EngineChoice = None,
    base_url: o.BaseUrl = None,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    threads: o.Threads = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON, with all stories.")] = False,
) -> None:
    """Compare single, extend and chapters at several lengths.

    The first row, the baseline, is one pass at a length that the model writes well; the others can
    be judged by it. The ratio is words written / words asked, the band 0.90-1.10. Surprise is the
    mean -log p of the tokens in nats, worst the highest over 64 tokens.

    Example:  polaris bench length -m smollm2 --words 600,1200,2400 --ways chapters
    """
    lengths = _lengths(words)
    chosen = _ways(ways)
    told = _premises(premises)[:stories]
    options: dict[str, object] = {
        "model": model_or_demo(model, base_url), "engine": engine, "base_url": base_url,
        "quantize": quantize, "device": device, "threads": threads,
    }  # fmt: skip
    prepared = prepare(told[0], {**options, "words": max(lengths)})
    say(*on_unused(prepared))
    downloaded(prepared, quiet=False)
    with loading(f"Loading {prepared.reference.name}", sys.stderr) as progress:
        loaded = engine_for(prepared, progress.update)
    baseline = round(GOOD_SHARE * prepared.reference.profile.good_words[1])
    total = len(told) * (1 + len(lengths) * len(chosen))
    written: list[Written] = []
    try:
        with loading("Writing", sys.stderr) as progress:
            for one in write_all(loaded, told, lengths, chosen, options, baseline):
                written.append(one)
                progress.update(len(written) / total)
    finally:  # after Ctrl-C too: an hour's stories are not thrown away
        _print(loaded.info, written, as_json=as_json)
        loaded.close()


def _print(info: ModelInfo, written: list[Written], *, as_json: bool) -> None:
    if as_json:
        print_json(_report(info, written))
    elif written:
        print_table(HEADERS, [_cells(row) for row in summed_up(written)], sys.stdout)


def _lengths(text: str) -> list[int]:
    try:
        return [*map(parse_words, lengths_in([text]))]
    except ValueError as error:
        raise UsageError(
            f"--words '{text}' is not a list of lengths.", hint="--words 600,1200"
        ) from error


def _ways(text: str) -> tuple[str, ...]:
    chosen = listed("--ways", [text])
    if unknown := [way for way in chosen if way not in WAYS]:
        raise UsageError(f"--ways does not know '{unknown[0]}'.", hint="--ways extend,chapters")
    return chosen


def _premises(source: str) -> list[str]:
    """The lines of a file, or the premises that come with polaris."""
    if source == BUILT_IN:
        return [premise for _, premise in UNSEEN]
    lines = read_text(Path(source)).splitlines()
    if not (found := [line.strip() for line in lines if line.strip()]):
        raise UsageError(f"{source} has no premises.", hint="Write one premise per line.")
    return found


def _report(info: ModelInfo, written: list[Written]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "model": asdict(info),
        "rows": [asdict(row) for row in summed_up(written)],
        "stories": [one.as_dict() for one in written],
        "versions": all_versions(),
    }


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f"{row.words:,}",
        row.way,
        str(row.stories),
        f"{row.mean_ratio:.2f}",
        f"{row.lowest_ratio:.2f}",
        f"{row.highest_ratio:.2f}",
        f"{row.in_band:.0%}",
        _nats(row.surprise),
        _nats(row.surprise_worst),
        _nats(row.surprise_by_tenth[-1] if row.surprise_by_tenth else None),
        f"{row.repetition:.4f}",
        f"{row.short_paragraphs:.1%}",
        str(row.meta_talk),
        f"{row.seconds:.1f}",
    )


def _nats(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
