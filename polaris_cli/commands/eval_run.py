"""`polaris eval run`: writes stories as `polaris batch` does, and scores them."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from polaris_cli.batch.batch import Batch, Rows
from polaris_cli.batch.cluster import cluster_of
from polaris_cli.batch.records import name_of
from polaris_cli.batch.results import Results
from polaris_cli.batch.tasks import Grid
from polaris_cli.commands import options as o
from polaris_cli.commands.batch_run import BatchFiles, BatchReport, BatchRun
from polaris_cli.commands.eval_report import ReportFile
from polaris_cli.commands.eval_score import (
    PrintCsv,
    Printed,
    PrintJson,
    PrintLatex,
    print_score,
)
from polaris_cli.commands.option_values import at_once_in, compared, rows_of
from polaris_cli.errors import EXIT_INTERRUPTED, UsageError
from polaris_cli.evaluate.groups import LEAST_SCALE
from polaris_cli.evaluate.prompts import builtin_prompts, chosen, without_bucket
from polaris_cli.evaluate.statistics import check_installed
from polaris_cli.evaluate.suites import SUITES, Suite
from polaris_cli.request.adherence import BUCKETS
from polaris_cli.request.settings import SETTINGS, from_options
from polaris_cli.screen.messages import note
from polaris_cli.story.result import is_record

BUILTIN = "builtin"


def run(
    output: Annotated[
        Path, Option("--output", "-o", metavar="DIR", help="Folder for stories.jsonl.")
    ],
    model: Annotated[
        list[str] | None, Option("--model", "-m", metavar="M,M", help="The models to compare.")
    ] = None,
    suite: Annotated[
        str | None, Option(metavar="NAME", help=f"A published evaluation: {', '.join(SUITES)}.")
    ] = None,
    prompts: Annotated[
        str, Option(metavar="FILE|hub:...|builtin", help="Prompts with lengths; as for batch.")
    ] = BUILTIN,
    per_bucket: Annotated[
        int | None,
        Option("--per-bucket", metavar="N", min=1, help="Prompts per length bucket; default: all."),
    ] = None,
    seeds: Annotated[int, Option(metavar="N", min=1, help="Stories per prompt and model.")] = 1,
    scale: Annotated[
        float | None,
        Option(metavar="X", min=LEAST_SCALE, max=1, help="Shrink all lengths, for small models."),
    ] = None,
    jobs: o.Jobs = "auto",
    cluster: o.OnCluster = None,
    workers: o.Workers = None,
    gpus_per_worker: o.GpusPerWorker = None,
    preset: o.PresetName = None,
    length: o.Length = None,
    temperature: o.Temperature = None,
    seed: o.Seed = None,
    think: o.Think = None,
    thinking_budget: o.ThinkingBudget = None,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    engine: o.EngineChoice = None,
    gguf_file: o.GgufFile = None,
    threads: o.Threads = None,
    base_url: o.BaseUrl = None,
    api_key_env: o.ApiKeyEnv = None,
    connect_timeout: o.ConnectTimeout = None,
    stall_timeout: o.StallTimeout = None,
    no_save: o.NoSave = False,
    quiet: o.QuietRun = False,
    report: Annotated[
        Path | None, o.written_file("--report", help="Save plots and stories as html.")
    ] = None,
    force: o.Force = False,
    as_json: PrintJson = False,
    as_csv: PrintCsv = False,
    as_latex: PrintLatex = False,
) -> None:
    """Write stories of six lengths with each model, then print tables.

    The same command again goes on where it stopped. The built-in prompts are sixty premises, ten
    for each bucket from 1,000 to 12,000 words.

    \b
    Examples:
      polaris eval run --model polaris,no-hri -o runs/polaris
      polaris eval run --model smollm2 --scale 0.05 --per-bucket 2 -o runs/small
      polaris eval run --suite smollm2 -o runs/smollm2 --report smollm2.html
    """
    printed = Printed(as_json, as_csv, as_latex)
    page = ReportFile(report, force, "--report", quiet=quiet) if report else None
    options = {name: value for name, value in locals().items() if name in SETTINGS}
    named = None if model is None else ",".join(model)
    chosen_suite = _suite(suite, named, scale, per_bucket)
    models, at_once = compared([chosen_suite.models]), at_once_in(jobs)
    options["model"] = models[0] if len(models) == 1 else None
    options["length"] = length or chosen_suite.length
    from_options(options)  # raises before anything is read
    check_installed()
    if page:
        page.check()
    prompted = builtin_prompts if prompts == BUILTIN else rows_of(prompts)
    _check_lengths(prompted, prompts, quiet=quiet)
    grid = Grid((), seeds, models if len(models) > 1 else ())
    where = cluster_of(cluster, workers, gpus_per_worker)
    files, told = BatchFiles(output, ()), BatchReport(output, quiet)
    with Results(output, is_record, files.move) as results:
        stories = Batch(_rows(prompted, chosen_suite), options, grid, results)
        code = BatchRun(stories, told, files, at_once, not no_save, False, where).run()
    if code == EXIT_INTERRUPTED or not len(results):
        raise Exit(code)
    print_score([str(output)], None, chosen_suite.scale, printed, report=page)
    raise Exit(code)


def _suite(
    name: str | None, model: str | None, scale: float | None, per_bucket: int | None
) -> Suite:
    """The suite of this name, or one of the options, which are stronger."""
    if name is not None and name not in SUITES:
        raise UsageError(f"There is no suite {name!r}.", hint=f"Suites: {', '.join(SUITES)}")
    found = SUITES[name] if name else Suite(model or "", 1.0)
    if not (found.models or model):
        raise UsageError("There is no model to evaluate.", hint="Add --model polaris,no-hri")
    return replace(
        found,
        models=found.models if model is None else model,
        scale=scale or found.scale,
        per_bucket=per_bucket or found.per_bucket,
    )


def _check_lengths(rows: Rows, source: str, *, quiet: bool) -> None:
    """Say how many prompts are left out. Raises UsageError if all are."""
    without, count = without_bucket(rows())
    told = f"{BUCKETS[0]:,} to {BUCKETS[-1]:,} words"
    if without == count:
        raise UsageError(
            f"No prompt of {name_of(source)} asks for {told}.",
            hint="Give them lengths in a field words; for other lengths: polaris batch",
        )
    if without and not quiet:
        note(f"{without} of {count} prompts do not ask for {told}: left out.", sys.stderr)


def _rows(prompts: Rows, suite: Suite) -> Rows:
    return lambda: chosen(prompts(), suite.per_bucket, suite.scale)
