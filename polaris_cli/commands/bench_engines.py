"""`polaris bench --engine`: measures the engines side by side.

Knows options and tables; `bench.engines` measures.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from polaris_cli.commands.bench_loading import say
from polaris_cli.engines.base import is_file_type
from polaris_cli.engines.doctor import all_versions
from polaris_cli.errors import UsageError
from polaris_cli.models.devices import list_devices
from polaris_cli.models.memory import PRECISIONS
from polaris_cli.request.story_request import EngineName
from polaris_cli.screen import terminal
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table
from polaris_cli.story.advice import on_compile, on_unused
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare

if TYPE_CHECKING:
    from polaris_cli.bench.engines import Row

SCHEMA = "polaris.bench-engines/1"
PREMISE, WORDS = "a lighthouse keeper who finds a letter in the fog", 1000
ENGINES = ("local", "gguf")
HEADERS = (
    "program", "weights", "tokens", "tokens/s", "range", "first token", "ratio to generate",
    "ratio to llama.cpp",
)  # fmt: skip


def bench_engines(
    names: str, options: Mapping[str, object], *, tokens: int, repeats: int, as_json: bool
) -> None:
    """Measure the engines in `names` ("all", or separated by commas) and print the figures."""
    alone: EngineName = "gguf" if names == "gguf" else "auto"
    job = prepare(PREMISE, {"words": WORDS, **options, "engine": alone})
    engines = _engines(names, job)
    main: EngineName = "local" if "local" in engines else "gguf"  # what the options are for
    noted = replace(job, request=replace(job.request, engine=main))
    say(*on_unused(noted))
    quantize = job.request.quantize
    precisions = (*PRECISIONS,) if quantize == "auto" else (quantize,)
    with terminal.loading("Loading", sys.stderr, quiet=as_json):
        import torch

        from polaris_cli.bench.engines import in_turns, open_programs

        threads = job.request.threads or torch.get_num_threads()
        job = replace(job, request=replace(job.request, threads=threads))
        programs = list(open_programs(job, engines, precisions, tokens))
    say(*on_compile(noted, programs[-1].info.device))  # the last is transformers
    with terminal.loading("Measuring", sys.stderr, quiet=as_json):
        rows = in_turns(programs, tokens, repeats)
    if as_json:
        print_json(_report(job, rows, tokens, repeats))
    else:
        _print(job, rows, repeats)


def _engines(names: str, job: Job) -> list[str]:
    """The engines; "all" are those that can run the model here."""
    if names == "all":
        has_gguf = job.reference.gguf and find_spec("xllamacpp")
        return [*ENGINES] if has_gguf else ["local"]
    engines = [*dict.fromkeys(names.split(","))]
    if not set(engines) <= set(ENGINES):
        raise UsageError(
            f"--engine: invalid value {names!r}.",
            hint="Give engines that run here: --engine all, local or gguf, or --engine local,gguf",
        )
    return engines


def _report(job: Job, rows: "list[Row]", tokens: int, repeats: int) -> dict[str, Any]:
    """All figures as plain data."""
    return {
        "schema": SCHEMA,
        "model": job.reference.name,
        "threads": job.request.threads,
        "machine": [asdict(device) for device in list_devices(with_torch=True)],
        "tokens": tokens,
        "repeats": repeats,
        "programs": [asdict(row) for row in rows],
        "versions": all_versions(),
    }


def _print(job: Job, rows: "list[Row]", repeats: int) -> None:
    threads = job.request.threads
    print_text(f"{job.reference.name}, threads: {threads}, medians of {repeats}\n")
    print_table(HEADERS, [_cells(row) for row in rows], sys.stdout)


def _cells(row: "Row") -> tuple[str, ...]:
    speed, info = row.speed, row.info
    plain = info.quantization == "none" or (info.dtype and is_file_type(info.quantization))
    weights = info.dtype if plain else info.quantization
    return (
        row.name,
        weights,
        f"{row.written:g}",
        f"{speed.tokens_per_s:.1f}",
        f"{speed.slowest:.1f}-{speed.fastest:.1f}",
        f"{speed.first_token_s:.2f} s",
        f"{row.ratio:.2f}",
        f"{row.server_ratio:.2f}" if row.server_ratio else "",
    )
