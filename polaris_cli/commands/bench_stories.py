"""`polaris bench batch --stories`: measures whole stories, several at once, with any engine.

Knows tables; `bench.stories` measures.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from polaris_cli.api import engine_for
from polaris_cli.commands.bench_loading import say
from polaris_cli.commands.running import downloaded
from polaris_cli.commands.stdio import reserved_stderr
from polaris_cli.engines.base import Engine
from polaris_cli.engines.doctor import all_versions
from polaris_cli.errors import UsageError
from polaris_cli.screen import terminal
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.tables import print_table
from polaris_cli.story.advice import on_unused
from polaris_cli.story.job import Job

SCHEMA = "polaris.bench-stories/1"
HEADERS = ("at once", "stories/s", "words/s", "tokens/s", "times", "memory", "failed")


def measure_stories(
    options: Mapping[str, object],
    count: int,
    at_once: Sequence[int],
    workers: int | None,
    *,
    as_json: bool,
) -> None:
    """Write the stories with each number at once, and print the figures.

    `options` are settings of the stories, `workers` those of a Ray cluster, if given. Raises
    PolarisError for invalid ones, and if the model cannot be loaded.
    """
    from polaris_cli.bench.stories import cluster_throughput, stories_of, throughput

    if workers and count < 2:
        raise UsageError(
            "--workers needs two stories or more: the first is not counted.",
            hint="Add --stories 16",
        )
    tasks = stories_of(options, count)
    job = tasks[0].job()
    request = job.request
    say(*on_unused(job))

    def opened(job: Job, parallel: int) -> Engine:
        downloaded(job, quiet=as_json)
        return engine_for(job, parallel=parallel)

    found = []
    for number in at_once:
        each = f" on each of {workers} workers" if workers else ""
        message = f"Writing {count} stories, {number} at once{each}"
        with reserved_stderr(), terminal.loading(message, sys.stderr, quiet=as_json):
            if workers:
                found.append(cluster_throughput(tasks, number, workers, say))
            else:
                found.append(throughput(tasks, number, opened))
        if reason := found[-1].reason:
            say(f"Stories failed, {number} at once; the first: {reason}")
    if as_json:
        asked = {"model": request.model, "engine": request.engine, "words": request.words}
        asked |= {"workers": workers}
        runs = [{**asdict(one), **_speeds(one)} for one in found]
        print_json({"schema": SCHEMA, **asked, "runs": runs, "versions": all_versions()})
        return
    print_text(f"{request.model}, {request.engine}, {request.words} words per story\n")
    print_table(HEADERS, [_cells(one, found[0]) for one in found], sys.stdout)


def _speeds(one: Any) -> dict[str, float]:
    names = ("stories_per_s", "words_per_s", "tokens_per_s")
    return {name: round(getattr(one, name), 3) for name in names}


def _cells(one: Any, first: Any) -> tuple[str, ...]:
    return (
        str(one.at_once),
        f"{one.stories_per_s:.2f}",
        f"{one.words_per_s:.0f}",
        f"{one.tokens_per_s:.0f}",
        f"{one.stories_per_s / first.stories_per_s:.2f}" if first.stories else "-",
        f"{one.memory_mb:.0f} MB",
        str(one.failed),
    )
