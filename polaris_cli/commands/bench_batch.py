"""`polaris bench batch`: measures how fast a model writes several stories at once.

Knows options and tables; `bench.batch` measures.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from typer import Option

from polaris_cli.commands import options as o
from polaris_cli.commands.bench_loading import (
    Model,
    Shape,
    bench_job,
    check_context,
    contradict,
    load,
    model_or_demo,
)
from polaris_cli.commands.bench_stories import measure_stories
from polaris_cli.commands.option_values import numbers_in
from polaris_cli.engines.doctor import all_versions
from polaris_cli.request.conflicts import check_needed
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.screen import terminal
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table

SCHEMA = "polaris.bench-batch/1"
TOKENS = 64
HEADERS = ("batch size", "tokens/s", "range", "tokens/s per story")


def batch(
    model: Model = None,
    shape: Shape = None,
    sizes: Annotated[
        str, Option(metavar="N,N", help="Batch sizes: how many stories to write at once.")
    ] = "1,8,32",
    tokens: Annotated[
        int | None, Option(min=2, help=f"Tokens to write per story; by default {TOKENS}.")
    ] = None,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    threads: o.Threads = None,
    stories: Annotated[
        int | None, Option(metavar="N", min=1, help="Write N whole stories, with any engine.")
    ] = None,
    workers: Annotated[
        int | None, Option(metavar="N", min=1, help="With --stories: on N local Ray workers.")
    ] = None,
    words: o.Words = None,
    engine: o.EngineChoice = None,
    base_url: o.BaseUrl = None,
    as_json: Annotated[bool, Option("--json", help="Print JSON, one object.")] = False,
) -> None:
    """Measure how fast a model writes several stories at once.

    Each step writes one token of every story. Speeds are medians of alternating runs, in tokens/s.
    --shape downloads nothing.

    With --stories, the same whole stories are written at each size, by all that polaris batch does
    but loading and saving; "times" compares with the first size. With --workers, each worker writes
    that many at once.

    \b
    Examples:
      polaris bench batch --shape qwen3.5-0.8b --sizes 1,4,16
      polaris bench batch -m smollm2 --stories 16 --words 200 --sizes 1,4 --engine gguf
    """
    if stories:
        contradict("stories", shape=shape, tokens=tokens)
        options = {
            "model": model_or_demo(model, base_url), "words": words or "200",
            "engine": engine, "base_url": base_url, "quantize": quantize, "device": device,
            "threads": threads,
        }  # fmt: skip
        measure_stories(options, stories, _sizes(sizes), workers, as_json=as_json)
        return
    whole = {"--workers": workers, "--words": words, "--engine": engine, "--base-url": base_url}
    check_needed("--stories", "--stories 16", whole)
    tokens = tokens or TOKENS
    request = bench_job(model, shape, quantize=quantize, device=device, threads=threads).request
    numbers = _sizes(sizes)
    report = _measured(request, shape, numbers, tokens, quiet=as_json)
    if as_json:
        print_json(report)
    else:
        _print(report)


def _measured(
    request: StoryRequest, shape: str | None, sizes: Sequence[int], tokens: int, *, quiet: bool
) -> dict[str, Any]:
    """The report on a model, or on a shape with random weights."""
    with terminal.loading("Loading", sys.stderr, quiet=quiet) as progress:
        from polaris_cli.bench import batch

        loaded = load(request, shape, batch.room(sizes, tokens), progress.update)
        check_context(loaded, batch.longest(tokens))
    with terminal.loading("Measuring", sys.stderr, quiet=quiet):
        found = batch.throughputs(
            loaded.model, loaded.tokenizer, request.sampling, sizes=sizes, tokens=tokens
        )
    return {
        "schema": SCHEMA,
        "model": asdict(loaded.info),
        "load_s": loaded.seconds,
        "tokens": tokens,
        "repeats": batch.REPEATS,
        "sizes": [{**asdict(one), "per_story": one.per_story} for one in found],
        "versions": all_versions(),
    }


def _sizes(text: str) -> list[int]:
    return numbers_in("--sizes", text, 1, "Give numbers of stories: --sizes 1,8,32")


def _print(report: dict[str, Any]) -> None:
    model = report["model"]
    print_text(f"{model['name']}, {model['dtype']}, {model['device']}")
    print_text(f"{report['tokens']} tokens per story\n")
    print_table(HEADERS, [_cells(one) for one in report["sizes"]], sys.stdout)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(one["size"]),
        f"{one['tokens_per_s']:.1f}",
        f"{one['slowest']:.1f}-{one['fastest']:.1f}",
        f"{one['per_story']:.1f}",
    )
