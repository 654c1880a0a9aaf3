"""`polaris batch`: writes many stories, and goes on where an earlier run stopped.

Turns options into a batch and reports on it; `polaris_cli.batch` writes the stories.
"""

import hashlib
import re
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Annotated

from typer import Argument, Exit, Option

from polaris_cli.batch.at_once import stories_at_once
from polaris_cli.batch.batch import Batch, Rows, Survey
from polaris_cli.batch.cluster import Cluster, write_on_cluster
from polaris_cli.batch.premises import BadRow, Row, read_premises
from polaris_cli.batch.results import FAILED, STORIES, Results
from polaris_cli.batch.running import Written, write_all
from polaris_cli.batch.tasks import Grid, Loading, Task
from polaris_cli.commands import options as o
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.running import opened
from polaris_cli.commands.stdio import reserved_stderr, reserved_stdio
from polaris_cli.engines.base import Engine
from polaris_cli.errors import (
    EXIT_FAILED_ROWS,
    EXIT_INTERRUPTED,
    ModelUnavailable,
    OutOfMemory,
    OutputError,
    PolarisError,
    UsageError,
)
from polaris_cli.events import Event
from polaris_cli.formats.export import FORMATS, save
from polaris_cli.library.store import open_library
from polaris_cli.request.settings import SETTINGS, from_options
from polaris_cli.screen.batch_progress import BatchProgress
from polaris_cli.screen.messages import note, one_line, print_line, warn
from polaris_cli.screen.meter import duration
from polaris_cli.screen.region import restore_terminal
from polaris_cli.story.job import Job
from polaris_cli.story.result import Story

EPILOG = """Examples:

\b
  polaris batch premises.txt -o stories --words 800
  polaris batch prompts.jsonl -o runs --words 1k,4k --seeds 3 --model polaris,no-hri
  polaris batch prompts.csv -o runs --base-url http://127.0.0.1:8000/v1 --jobs 16
  polaris batch premises.txt -o stories --each md,epub

PREMISES is a text file (one premise a line, or divided by blank lines), JSONL or CSV
(premise or prompt, and if you like id, words, seed, model or any other setting), Parquet,
hub:OWNER/NAME/SPLIT, or - for standard input. The same command again writes what is missing,
what failed and what was asked for differently.

Exit codes: 0 done, 2 usage, 3 model unavailable, 7 some stories failed, 8 an output could
not be written, 130 interrupted.
"""

SHOWN_ERRORS = 5  # failed stories that are printed; all are in failed.jsonl
MOST_AT_ONCE = 1024
MOST_OF_A_NAME = 60  # characters


def batch(
    premises: Annotated[str, Argument(help="A file of premises, a data set, or - for a pipe.")],
    output: Annotated[
        Path, Option("--output", "-o", metavar="DIR", help="Folder for stories.jsonl.")
    ],
    words: Annotated[
        str | None,
        Option("--words", "-w", metavar="N,N", help="Length in words; several: each of them."),
    ] = None,
    seeds: Annotated[int, Option(metavar="N", min=1, help="Stories per premise and length.")] = 1,
    model: Annotated[
        str | None,
        Option("--model", "-m", metavar="M,M", help="The model; several: one after another."),
    ] = None,
    jobs: Annotated[
        str,
        Option("--jobs", "--batch-size", metavar="N|auto", help="Stories to write at once."),
    ] = "auto",
    each: Annotated[
        str | None,
        Option(metavar="md,epub", help="Also save each story to a file in these formats."),
    ] = None,
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="Write only the stories that failed before.")
    ] = False,
    strict: Annotated[bool, Option("--strict", help="Stop at the first story that fails.")] = False,
    cluster: Annotated[
        str | None,
        Option(metavar="local|auto|ADDRESS", help="Write on a Ray cluster (see Ray's docs)."),
    ] = None,
    workers: Annotated[
        int, Option(metavar="N", min=1, help="Models loaded at once on the cluster.")
    ] = 2,
    gpus_per_worker: Annotated[
        float, Option("--gpus-per-worker", metavar="X", min=0, help="0.5: two share a card.")
    ] = 0,
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
    quiet: o.Quiet = False,
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
    lengths, models = _lengths(words), listed(model)
    options |= {"words": lengths[0] if len(lengths) == 1 else None}
    options |= {"model": models[0] if len(models) == 1 else None}
    _check(options, lengths)
    grid = Grid(_several(lengths), seeds, _several(models))
    formats, at_once = _formats(each), _at_once(jobs)
    rows = _rows(premises)
    with Results(output) as results:
        only = frozenset(results.failed) if retry_failed else None
        stories = Batch(rows, options, grid, results, only)
        where = Cluster(cluster, workers, gpus_per_worker) if cluster else None
        run = _Run(stories, output, formats, at_once, not no_save, quiet, strict, where)
        raise Exit(run())


@dataclass
class _Run:
    """A run of a batch: its options, and what came of it."""

    batch: Batch
    folder: Path
    formats: tuple[str, ...]
    at_once: int | None
    save: bool
    quiet: bool
    strict: bool
    cluster: Cluster | None
    lengths: list[tuple[int, float]] = field(default_factory=list)  # words and ratio of each story
    failed: int = 0
    unsaved: int = 0  # files
    interrupts: Interrupts = field(default_factory=lambda: Interrupts(restore_terminal))

    def __call__(self) -> int:
        """Write all that is pending, and report; returns the exit code."""
        began, survey = time.monotonic(), self.batch.survey()
        self._say_what_there_is(survey)
        for row in survey.bad:
            self.batch.fail_row(row)
            self._count_failure(row.where, row.error)
        with self.interrupts.listen(), reserved_stdio():
            for loading, longest in survey.longest.items():
                if not (self.interrupts.seen or self._is_given_up()):
                    self._write_group(survey, loading, longest)
        self._report(time.monotonic() - began)
        if self.interrupts.seen:
            return EXIT_INTERRUPTED
        if self.failed:
            return EXIT_FAILED_ROWS
        return OutputError.exit_code if self.unsaved else 0

    def _is_given_up(self) -> bool:
        return bool(self.strict and self.failed)

    def _write_group(self, survey: Survey, loading: Loading, longest: Task) -> None:
        """Write the tasks that one engine writes.

        If it cannot be loaded, they fail; raises the error if there is no other engine.
        """
        job = self.batch.valid_job(loading, longest)
        try:
            with self.interrupts.breakable():
                at_once = self.at_once or stories_at_once(job)
                if self.cluster:
                    self._write_on(self.cluster, survey, loading, longest, at_once)
                    return
                engine = opened(job, self._note, quiet=self.quiet, parallel=at_once)
        except KeyboardInterrupt:
            return
        except (ModelUnavailable, OutOfMemory) as error:
            if len(survey.longest) == 1:
                raise
            for task in self.batch.pending(loading):
                self.batch.fail(task, error)
                self._count_failure(task.row.where, error)
            return
        try:
            self._write(survey, loading, engine, at_once)
        finally:
            engine.close()

    def _write(self, survey: Survey, loading: Loading, engine: Engine, at_once: int) -> None:
        def watch(task: Task, job: Job, events: Iterator[Event]) -> Iterator[Event]:
            return progress.watch(task.key, job.request.premise, job.request.words, events)

        done = write_all(
            self.batch.pending(loading),
            engine,
            at_once=at_once,
            stop=self.interrupts.stop,
            library=open_library() if self.save else None,
            watch=watch,
        )
        with self._progress(survey) as progress, closing(done):
            self._keep_all(done, progress)

    def _write_on(
        self, cluster: Cluster, survey: Survey, loading: Loading, longest: Task, at_once: int
    ) -> None:
        """Write the tasks on a cluster; each story is saved here as it comes."""
        library = open_library() if self.save else None

        def saved(done: Written[Task]) -> Written[Task]:
            if library and done.story:
                library.finish(done.story)
            return done

        with reserved_stderr(), self._progress(survey) as progress:
            tasks = self.batch.pending(loading)
            with closing(write_on_cluster(tasks, longest, at_once, cluster)) as done:
                self._keep_all((saved(written) for written in done), progress)

    @contextmanager
    def _progress(self, survey: Survey) -> Iterator[BatchProgress]:
        """The progress, shown inside the block."""
        before = survey.done + len(self.lengths)
        progress = BatchProgress(survey.total, before, sys.stderr, self.interrupts.stop)
        with progress.shown(quiet=self.quiet):
            yield progress

    def _keep_all(self, done: Iterator[Written[Task]], progress: BatchProgress) -> None:
        """Keep each result as it comes; with --strict, until one fails."""
        for written in map(self.batch.kept, done):
            story = self._count(written)
            if story or written.error:
                progress.add(story.counted if story else None)
            if self._is_given_up():
                break

    def _count(self, written: Written[Task]) -> Story | None:
        """Count a task that is done; its story, if it has a whole one."""
        story = written.story
        if written.error:
            self._count_failure(written.task.row.where, written.error)
        elif story and story.finish != "interrupted":
            self.lengths.append((story.counted, story.ratio))
            self._save_each(written.task, story)
            return story
        return None

    def _save_each(self, task: Task, story: Story) -> None:
        """Save a story's files; one that cannot be written costs no other story."""
        for suffix in self.formats:
            try:
                save(story, self.folder / f"{file_name(task)}.{suffix}", force=True)
            except PolarisError as error:
                self.unsaved += 1
                warn(f"{error.message} The story is in {STORIES}.", sys.stderr)

    def _count_failure(self, where: str, error: PolarisError) -> None:
        self.failed += 1
        if self.failed <= SHOWN_ERRORS:
            named = error.message.startswith(where)
            warn(error.message if named else f"{where}: {error.message}", sys.stderr)
        elif self.failed == SHOWN_ERRORS + 1:
            note(f"Further failures are only in {self.folder / FAILED}.", sys.stderr)

    def _say_what_there_is(self, survey: Survey) -> None:
        if survey.done:
            self._note(f"{survey.done} of {_stories(survey.total)} already written.")
        if survey.changed:
            self._note(f"{_stories(survey.changed)} to write again: what is asked for has changed.")
        if damaged := self.batch.damaged:
            self._note(f"{damaged} damaged lines of stories.jsonl are left as they are.")

    def _note(self, text: str) -> None:
        if not self.quiet:
            note(text, sys.stderr)

    def _report(self, seconds: float) -> None:
        if self.quiet:
            return
        words = sum(count for count, _ in self.lengths)
        ratios = [ratio for _, ratio in self.lengths]
        parts = [f"{_stories(len(self.lengths))} written to {self.folder / STORIES}"]
        if ratios:
            spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
            parts += [f"{words:,} words in {duration(seconds)} ({words / seconds:.0f} words/s)"]
            parts += [f"ratio {fmean(ratios):.2f} ({spread})"]
        if self.failed:
            parts += [f"{self.failed} failed ({self.folder / FAILED})"]
        print_line([f"polaris: {one_line('; '.join(parts))}"], sys.stderr)


def listed(value: str | None) -> tuple[str, ...]:
    """The different parts of a list with commas."""
    parts = (part.strip() for part in (value or "").split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _lengths(value: str | None) -> tuple[str, ...]:
    """The lengths in a list. Raises UsageError for "1,200", which may be one length or two."""
    if value and re.fullmatch(r"\s*[1-9]\d{0,2}(,\d{3})+\s*", value):
        raise UsageError(
            f"--words: {value!r} can be one length or several.",
            hint=f"For one: --words {value.replace(',', '')}; for several, with spaces: "
            f'--words "{value.replace(",", ", ")}"',
        )
    return listed(value)


def _stories(count: int) -> str:
    return "1 story" if count == 1 else f"{count} stories"


def _several(values: tuple[str, ...]) -> tuple[str, ...]:
    """A single value is an option like any other; only several make a grid."""
    return values if len(values) > 1 else ()


def _check(options: dict[str, object], words: tuple[str, ...]) -> None:
    """Raise UsageError for an invalid value, before anything is read."""
    for length in words or (None,):
        from_options({**options, "words": length})


def _formats(each: str | None) -> tuple[str, ...]:
    formats = tuple(name.lstrip(".").lower() for name in listed(each))
    for name in formats:
        if name not in FORMATS:
            raise UsageError(
                f"--each: {name!r} is not a format.", hint=f"Formats: {', '.join(FORMATS)}"
            )
    return formats


def _at_once(jobs: str) -> int | None:
    """The number of stories at once, None for "auto"."""
    if jobs == "auto":
        return None
    if not jobs.isascii() or not jobs.isdigit() or not 1 <= int(jobs[:9]) <= MOST_AT_ONCE:
        raise UsageError(
            f"--jobs: {jobs!r} is not a number from 1 to {MOST_AT_ONCE}.", hint="Try --jobs auto"
        )
    return int(jobs)


def _rows(source: str) -> Rows:
    """Reads the input; standard input is read once and kept."""
    if source != "-":
        return partial(read_premises, source)
    rows: list[Row | BadRow] = list(read_premises(source))
    return lambda: iter(rows)


def file_name(task: Task) -> str:
    """The name of a story's files, without the suffix: the row's number and its key.

    A key that has other characters than a name may have, or many, gets a digest too.
    """
    plain = re.sub(r"[^\w.]+", "-", task.key).strip("-.")
    short = plain[:MOST_OF_A_NAME]
    lost = short != plain or re.search(r"[^\w., +-]", task.key)
    digest = f"-{hashlib.sha256(task.key.encode(errors='surrogatepass')).hexdigest()[:6]}"
    return f"{task.row.number:04}-{short}{digest if lost else ''}"
