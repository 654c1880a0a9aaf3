"""`polaris eval judge`: lets a model score stories by a rubric.

Turns options into calls and prints a table; `judge_run` asks.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from polaris_cli.commands import options as o
from polaris_cli.commands.eval_score import JUDGED, Scale, judged_beside, scale_of
from polaris_cli.commands.judge_run import (
    USUAL,
    JudgeRun,
    Prices,
    plural,
    print_judged,
    tables_of,
    texts_in,
)
from polaris_cli.commands.option_values import at_once_in
from polaris_cli.evaluate.groups import Groups
from polaris_cli.evaluate.judge_file import JudgeFile, read_records
from polaris_cli.evaluate.judging import Call, JudgeSettings, estimated_tokens
from polaris_cli.evaluate.rubric import load_rubric, rubric_names
from polaris_cli.evaluate.statistics import check_installed
from polaris_cli.screen.printing import print_json, print_text

SCHEMA, PLAN_SCHEMA = "polaris.judged/2", "polaris.judge-plan/1"


def judge(
    stories: Annotated[list[str], Argument(metavar="STORIES", help="As for polaris eval score.")],
    judge_model: Annotated[str, Option("--judge-model", metavar="NAME", help="The judge.")],
    rubric: Annotated[
        str, Option(metavar="NAME|FILE", help=f"{', '.join(rubric_names())}, or a TOML file.")
    ] = o.RUBRIC,
    base_url: Annotated[
        str | None,
        Option(
            "--judge-url",
            "--base-url",
            metavar="URL",
            help="The judge's server, such as http://127.0.0.1:8000/v1.",
        ),
    ] = None,
    api_key_env: o.ApiKeyEnv = None,
    engine: o.EngineChoice = None,
    threads: o.Threads = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="FILE", help=f"Records; default: {JUDGED} next to them."),
    ] = None,
    repeat: Annotated[int, Option(metavar="N", min=1, help="Judge each text N times.")] = 1,
    think: Annotated[
        bool, Option("--think", help="Let the judge think before it answers.")
    ] = False,
    max_tokens: Annotated[
        int, Option("--max-tokens", metavar="N", min=256, help="Token limit of an answer.")
    ] = 16_384,
    jobs: Annotated[
        str,
        Option("--jobs", "--batch-size", metavar="N|auto", help=f"Calls at once; auto is {USUAL}."),
    ] = "auto",
    scale: Scale = None,
    price_in: Annotated[
        float, Option("--price-in", metavar="X", min=0, help="Price of 10**6 prompt tokens.")
    ] = 0.0,
    price_out: Annotated[
        float, Option("--price-out", metavar="X", min=0, help="Price of 10**6 answer tokens.")
    ] = 0.0,
    dry_run: Annotated[bool, Option("--dry-run", help="Show calls, tokens and cost only.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    quiet: o.QuietRun = False,
) -> None:
    """Let a model score stories by a rubric, and print the totals.

    They are shown by length and model. Every call is recorded; the same command asks only what is
    missing. An answer that cannot be read is asked for twice more, then counts as unreadable, never
    as a score; sums that the judge added up wrongly are counted.

    \b
    Examples:
      polaris eval judge runs --judge-model qwen --judge-url http://127.0.0.1:8000/v1
      polaris eval judge runs --rubric longform --judge-model smollm2 --dry-run
    """
    check_installed()
    options: dict[str, object] = {"engine": engine, "threads": threads}
    options |= {"base_url": base_url, "api_key_env": api_key_env}
    run = JudgeRun(
        load_rubric(rubric),
        JudgeSettings(judge_model, think, max_tokens),
        options,
        at_once_in(jobs) or USUAL,
        repeat,
        Prices(price_in, price_out),
        quiet,
    )
    samples = texts_in(stories)  # raises before a file is made
    calls = run.calls(samples)
    path = output or judged_beside(Path(stories[0]))
    if dry_run:
        answered = {record["key"] for record in read_records(path)} if path.exists() else set()
        missing = run.missing(calls, answered)
        _print_plan(len(calls) - len(missing), missing, run.prices, as_json=as_json)
        return
    with JudgeFile(path) as file:
        code = run.ask(run.missing(calls, file.records), file)
        records = run.records(calls, file)
    groups = Groups(scale or scale_of({sample.scale for sample in samples}))
    tables = tables_of(records, samples, groups)
    if as_json:
        print_json({"schema": SCHEMA, "tables": [asdict(table) for table in tables]}, indent=2)
    else:
        print_judged(tables, sys.stdout)
    raise Exit(code)


def _print_plan(made: int, missing: Sequence[Call], prices: Prices, *, as_json: bool) -> None:
    """What would be asked, before anything is."""
    asked, answered = estimated_tokens(missing)
    if as_json:
        calls = {"to_make": len(missing), "made": made}
        tokens = {"prompt": asked, "answer": answered}
        plan = {"calls": calls, "tokens": tokens, "cost": prices.of(asked, answered)}
        print_json({"schema": PLAN_SCHEMA, **plan}, indent=2)
        return
    print_text(f"{plural(len(missing), 'call')} to make, {made} made already")
    print_text(f"about {asked:,} prompt tokens, {answered:,} answer tokens without thinking")
    if prices != Prices():
        print_text(f"about {prices.of(asked, answered):.2f} for them, at the prices given")
