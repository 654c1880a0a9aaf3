"""`polaris eval judge`: lets a model score stories by a rubric.

Turns options into calls, keeps their records, and prints a table; `polaris_cli.evaluate` asks.
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from polaris_cli.commands import options as o
from polaris_cli.commands.batch import at_once_in
from polaris_cli.commands.eval_score import Scale, Skipped, samples_of
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.running import opened
from polaris_cli.commands.stdio import reserved_stdio
from polaris_cli.engines.base import Engine
from polaris_cli.engines.endpoint.opening import open_chat
from polaris_cli.errors import EXIT_FAILED_ROWS, EXIT_INTERRUPTED, PolarisError, UsageError
from polaris_cli.evaluate.judge_file import JudgeFile
from polaris_cli.evaluate.judgements import JudgedRow, judged, judged_rows
from polaris_cli.evaluate.judging import (
    Call,
    JudgeSettings,
    calls_for,
    estimated_tokens,
    judge_all,
)
from polaris_cli.evaluate.layout import interval, number
from polaris_cli.evaluate.rubric import load_rubric, rubric_names
from polaris_cli.evaluate.statistics import check_installed
from polaris_cli.screen import terminal
from polaris_cli.screen.messages import note, print_line, warn
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.region import restore_terminal
from polaris_cli.screen.tables import print_table
from polaris_cli.story.prepare import prepare

USUAL = 4  # calls at once
SHOWN_ERRORS = 3
FILE = "judged.jsonl"
SCHEMA = "polaris.judged/1"
CHARACTERS_PER_TOKEN = 3  # few, so that the memory planned is enough


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices for a million tokens of prompts and answers, in any currency."""

    prompt: float
    answer: float

    def of(self, prompt: int, answer: int) -> float:
        """What so many tokens cost."""
        return (prompt * self.prompt + answer * self.answer) / 10**6


def judge(
    stories: Annotated[list[str], Argument(metavar="STORIES", help="As for polaris eval score.")],
    rubric: Annotated[
        str, Option(metavar="NAME|FILE", help=f"{', '.join(rubric_names())}, or a TOML file.")
    ],
    judge_model: Annotated[str, Option("--judge-model", metavar="NAME", help="The judge.")],
    base_url: o.BaseUrl = None,
    api_key_env: o.ApiKeyEnv = None,
    engine: o.EngineChoice = None,
    threads: o.Threads = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="FILE", help=f"Records; default: {FILE} by the stories."),
    ] = None,
    repeat: Annotated[int, Option(metavar="N", min=1, help="Judge each text N times.")] = 1,
    think: Annotated[
        bool, Option("--think", help="Let the judge think before it answers.")
    ] = False,
    max_tokens: Annotated[
        int, Option("--max-tokens", metavar="N", min=256, help="Token limit of an answer.")
    ] = 16_384,
    jobs: o.Jobs = "auto",
    scale: Scale = 1.0,
    price_in: Annotated[
        float, Option("--price-in", metavar="X", min=0, help="Price of 10**6 prompt tokens.")
    ] = 0.0,
    price_out: Annotated[
        float, Option("--price-out", metavar="X", min=0, help="Price of 10**6 answer tokens.")
    ] = 0.0,
    dry_run: Annotated[bool, Option("--dry-run", help="Show calls, tokens and cost only.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
    quiet: o.Quiet = False,
) -> None:
    """Let a model score stories by a rubric, and print the totals by length and model.

    Every call is recorded; the same command asks only what is missing. An answer that cannot be
    read counts as unreadable, never as a score; sums that the judge added up wrongly are counted.

    \b
    Examples:
      polaris eval judge runs --rubric story-quality --judge-model qwen --base-url http://127.0.0.1:8000/v1
      polaris eval judge runs --rubric longform --judge-model smollm2 --dry-run
    """
    check_installed()
    found, prices = load_rubric(rubric), Prices(price_in, price_out)
    settings = JudgeSettings(judge_model, think, max_tokens)
    options: dict[str, object] = {"model": judge_model, "engine": engine, "threads": threads}
    options |= {"base_url": base_url, "api_key_env": api_key_env}
    skipped = Skipped()
    samples = list(skipped.without(samples_of(stories, None)))
    skipped.report()
    calls = {call.key(settings): call for call in calls_for(samples, found, repeat)}
    if not calls:
        raise UsageError("There is no story among them.", hint="polaris eval score --help")
    path = output or _beside(Path(stories[0]))
    with JudgeFile(path) as file:
        missing = [call for key, call in calls.items() if key not in file.records]
        if dry_run:
            _print_plan(len(calls) - len(missing), missing, prices)
            return
        at_once = at_once_in(jobs) or USUAL
        code = _judge(missing, file, settings, options, at_once, prices, quiet=quiet)
        records = [record for key, record in file.records.items() if key in calls]
    rows = judged_rows(judged(records, found), scale)
    if as_json:
        about = {"rubric": found.name, "judge": asdict(settings), "repeats": repeat}
        print_json({"schema": SCHEMA, **about, "rows": [asdict(row) for row in rows]}, indent=2)
    elif rows:
        _print(rows)
    raise Exit(code)


def _beside(source: Path) -> Path:
    return (source if source.is_dir() else source.parent) / FILE


def _print_plan(made: int, missing: Sequence[Call], prices: Prices) -> None:
    """What would be asked, before anything is."""
    asked, answered = estimated_tokens(missing)
    print_text(f"{len(missing)} calls to make, {made} made already")
    print_text(f"about {asked:,} prompt tokens, {answered:,} answer tokens without thinking")
    if prices != Prices(0.0, 0.0):
        print_text(f"about {prices.of(asked, answered):.2f} for them, at the prices given")


def _judge(
    calls: Sequence[Call],
    file: JudgeFile,
    settings: JudgeSettings,
    options: dict[str, object],
    at_once: int,
    prices: Prices,
    *,
    quiet: bool,
) -> int:
    """Ask what is missing and keep the answers. Returns the exit code."""
    if not calls:
        return 0
    failed, asked, answered = 0, 0, 0
    with Interrupts(restore_terminal).listen() as interrupts, reserved_stdio():
        try:
            with interrupts.breakable():
                engine = open_judge(calls, settings, options, at_once, quiet=quiet)
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        message = f"Judging, {len(calls)} calls"
        done = judge_all(calls, engine, settings, at_once=at_once, stop=interrupts.stop)
        with (
            closing(engine),
            closing(done),
            terminal.loading(message, sys.stderr, quiet=quiet) as progress,
        ):
            for number_done, record in enumerate(done, 1):
                progress.update(number_done / len(calls))
                if isinstance(record, PolarisError):
                    failed += 1
                    if failed <= SHOWN_ERRORS:
                        warn(record.message, sys.stderr)
                    continue
                file.add(record)
                asked += record["tokens"]["prompt"]
                answered += record["tokens"]["answer"]
    if not quiet:
        _report(len(calls), failed, asked, answered, prices)
    if interrupts.seen:
        return EXIT_INTERRUPTED
    return EXIT_FAILED_ROWS if failed else 0


def open_judge(
    calls: Sequence[Call],
    settings: JudgeSettings,
    options: dict[str, object],
    at_once: int,
    *,
    quiet: bool,
) -> Engine:
    """The judge; on this machine, with memory for the longest text and its answer."""
    job = prepare("any story", {**options, "words": 100, "length": "single"})
    if job.reference.server:
        return open_chat(job.reference)
    longest = max(len(call.sample.text) for call in calls) // CHARACTERS_PER_TOKEN
    context = job.reference.profile.context
    needed = min(longest + 2_000 + settings.max_tokens, context)
    return opened(
        replace(job, budget=replace(job.budget, max_new_tokens=needed)),
        lambda text: None if quiet else note(text, sys.stderr),
        quiet=quiet,
        parallel=at_once,
    )


def _report(calls: int, failed: int, asked: int, answered: int, prices: Prices) -> None:
    parts = [f"{calls} calls", f"{asked:,} prompt tokens, {answered:,} answer tokens"]
    if prices != Prices(0.0, 0.0):
        parts.append(f"cost {prices.of(asked, answered):.2f}")
    if failed:
        parts.append(f"{failed} failed; the same command asks them again")
    print_line([f"polaris: {'; '.join(parts)}"], sys.stderr)


def _print(rows: Sequence[JudgedRow]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row.totals))
    headers = ("model", "asked", "texts", *names, "95%", "spread", "unreadable", "wrong sums")
    print_table(headers, [_cells(row, names) for row in rows], sys.stdout, drop=headers[:-6:-1])


def _cells(row: JudgedRow, names: Sequence[str]) -> tuple[str, ...]:
    means = [row.totals.get(name) for name in names]
    return (
        row.model,
        row.group,
        str(row.texts),
        *(number("score", found.mean if found else None) for found in means),
        interval("score", means[0] if means else None),
        number("spread", row.spread),
        str(row.unreadable),
        str(row.mismatched),
    )
