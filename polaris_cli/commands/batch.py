"""`polaris batch`: writes many stories, and goes on where an earlier run stopped.

Turns options into a batch; `batch_run` runs it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from polaris_cli.batch.batch import Batch
from polaris_cli.batch.cluster import cluster_of
from polaris_cli.batch.results import Results
from polaris_cli.batch.tasks import Grid
from polaris_cli.commands import options as o
from polaris_cli.commands.batch_run import BatchFiles, BatchReport, BatchRun
from polaris_cli.commands.option_values import at_once_in, lengths_in, listed, rows_of
from polaris_cli.errors import EXIT_INTERRUPTED, UsageError
from polaris_cli.formats.export import FORMATS
from polaris_cli.request.conflicts import check_needed, check_options
from polaris_cli.request.settings import SETTINGS, from_options
from polaris_cli.story.result import is_record

EPILOG = """Examples:

\b
  polaris batch premises.txt -o stories --words 800
  polaris batch prompts.jsonl -o runs --words 1k,4k --seeds 3 --model polaris,no-hri
  polaris batch prompts.csv -o runs --base-url http://127.0.0.1:8000/v1 --jobs 16
  polaris batch premises.txt -o stories --each md,epub
  polaris batch premises.txt -o stories --judge --judge-model qwen --judge-url http://127.0.0.1:8000/v1

PREMISES is a text file (one premise a line, or divided by blank lines), JSONL or CSV
(premise or prompt, and if you like id, words, seed, model or any other setting), Parquet,
hub:OWNER/NAME/SPLIT, or - for standard input. The same command again writes what is missing,
what failed and what was asked for differently.

Exit codes: 0 done, 2 usage, 3 model unavailable, 4 out of memory, 7 some stories failed,
8 an output could not be written, 130 interrupted.
"""


def batch(
    premises: Annotated[str, Argument(help="A file of premises, a data set, or - for a pipe.")],
    output: Annotated[
        Path, Option("--output", "-o", metavar="DIR", help="Folder for stories.jsonl.")
    ],
    words: Annotated[
        list[str] | None,
        Option("--words", "-w", metavar="N,N", help="Length in words, or several."),
    ] = None,
    seeds: Annotated[int, Option(metavar="N", min=1, help="Stories per premise and length.")] = 1,
    model: Annotated[
        list[str] | None,
        Option("--model", "-m", metavar="M,M", help="Model, or several, one after another."),
    ] = None,
    jobs: o.Jobs = "auto",
    each: Annotated[
        list[str] | None,
        Option(metavar="md,epub", help="Also save each story to a file in these formats."),
    ] = None,
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="Write only the stories that failed before.")
    ] = False,
    strict: Annotated[bool, Option("--strict", help="Stop at the first story that fails.")] = False,
    judge: Annotated[
        bool, Option("--judge", help="Let a model score the stories once they are written.")
    ] = False,
    judge_model: o.JudgeModel = None,
    judge_url: o.JudgeUrl = None,
    rubric: o.RubricName = None,
    cluster: o.OnCluster = None,
    workers: o.Workers = None,
    gpus_per_worker: o.GpusPerWorker = None,
    revision: o.Revision = None,
    preset: o.PresetName = None,
    form: o.Form = None,
    length: o.Length = None,
    chapters: o.Chapters = None,
    headings: o.Headings = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    min_p: o.MinP = None,
    repetition_penalty: o.RepetitionPenalty = None,
    repetition_window: o.RepetitionWindow = None,
    presence_penalty: o.PresencePenalty = None,
    dry_multiplier: o.DryMultiplier = None,
    seed: o.Seed = None,
    max_new_tokens: o.MaxNewTokens = None,
    think: o.Think = None,
    thinking_budget: o.ThinkingBudget = None,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    compile: o.Compile = None,
    band: o.Band = None,
    quiet: o.QuietRun = False,
    no_save: o.NoSave = False,
    engine: o.EngineChoice = None,
    gguf_file: o.GgufFile = None,
    threads: o.Threads = None,
    base_url: o.BaseUrl = None,
    api_key_env: o.ApiKeyEnv = None,
    connect_timeout: o.ConnectTimeout = None,
    stall_timeout: o.StallTimeout = None,
) -> None:
    """Write many stories, and go on where an earlier run stopped."""
    options = {name: value for name, value in locals().items() if name in SETTINGS}
    lengths, models = lengths_in(words), listed("--model", model)
    options |= {"words": lengths[0] if len(lengths) == 1 else None}
    options |= {"model": models[0] if len(models) == 1 else None}
    _check(options, lengths)
    grid = Grid(_several(lengths), seeds, _several(models))
    formats, at_once = _formats(each), at_once_in(jobs)
    where = cluster_of(cluster, workers, gpus_per_worker)
    if not judge:
        asked = {"--judge-model": judge_model, "--judge-url": judge_url, "--rubric": rubric}
        check_needed("--judge", "--judge", asked)
    judging = _judge(judge_model, judge_url, rubric, quiet=quiet) if judge else None
    files, report = BatchFiles(output, formats), BatchReport(output, quiet)
    rows = rows_of(premises, report.note)
    rows()  # raises for an input that cannot be read, before there is a folder
    with Results(output, is_record, files.move) as results:
        only = frozenset(results.failed) if retry_failed else None
        stories = Batch(rows, options, grid, results, only)
        code = BatchRun(stories, report, files, at_once, not no_save, strict, where).run()
        written = len(results)
    if judging and written and code != EXIT_INTERRUPTED:
        code = judging(output) or code
    raise Exit(code)


def _judge(
    model: str | None, url: str | None, rubric: str | None, *, quiet: bool
) -> Callable[[Path], int]:
    """Judges the stories in a folder. Raises PolarisError if there is no such judge."""
    from polaris_cli.commands.batch_judge import judge_batch  # few batches need it
    from polaris_cli.commands.judge_run import judge_named
    from polaris_cli.evaluate.statistics import check_installed

    check_installed()
    run = judge_named(model, url, rubric, option="--judge", quiet=quiet)
    return partial(judge_batch, run)


def _several(values: tuple[str, ...]) -> tuple[str, ...]:
    """A single value is an option like any other; only several make a grid."""
    return values if len(values) > 1 else ()


def _check(options: dict[str, object], words: tuple[str, ...]) -> None:
    """Raise UsageError for an invalid value, before anything is read."""
    check_options(options)
    for length in words or (None,):
        from_options({**options, "words": length})


def _formats(each: Sequence[str] | None) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(name.lstrip(".").lower() for name in listed("--each", each)))
    for name in formats:
        if name not in FORMATS:
            raise UsageError(
                f"--each: {name!r} is not a format.", hint=f"Formats: {', '.join(FORMATS)}"
            )
    return formats
