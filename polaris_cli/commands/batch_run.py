"""Runs a batch and reports on it: `BatchRun`, `BatchReport`, `BatchFiles`.

Knows what a user sees and which exit code that gives; `polaris_cli.batch` writes the stories.
"""

import hashlib
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from polaris_cli.batch.at_once import stories_at_once, worth_at_once
from polaris_cli.batch.batch import Batch, Group, Survey, own_error
from polaris_cli.batch.cluster import Cluster, NoCluster, write_on_cluster
from polaris_cli.batch.lines import explained
from polaris_cli.batch.results import FAILED, STORIES
from polaris_cli.batch.running import Written, write_all
from polaris_cli.batch.tasks import Loading, Task
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.running import downloaded, opened
from polaris_cli.commands.stdio import reserved_stderr, reserved_stdio
from polaris_cli.engines.base import Engine
from polaris_cli.errors import (
    EXIT_FAILED_ROWS,
    EXIT_INTERRUPTED,
    LibraryError,
    ModelUnavailable,
    OutOfMemory,
    OutputError,
    PolarisError,
    UsageError,
)
from polaris_cli.events import Event
from polaris_cli.formats.export import FORMATS, save
from polaris_cli.library.store import Library
from polaris_cli.models.reference import ModelRef
from polaris_cli.screen.batch_progress import BatchProgress
from polaris_cli.screen.messages import note, one_line, print_line, warn
from polaris_cli.screen.meter import duration
from polaris_cli.story.advice import on_unused
from polaris_cli.story.job import Job
from polaris_cli.story.result import Story

SHOWN_ERRORS = 5  # failed stories that are printed; all are in failed.jsonl
SHOWN_NAMES = 10  # columns that are not used
MOST_OF_A_NAME = 60  # characters
MOST_BYTES = 200  # of them in UTF-8: file systems allow 255 for the whole name


@dataclass
class BatchReport:
    """What came of a run, and what is said about it on stderr."""

    folder: Path
    quiet: bool
    lengths: list[tuple[int, float]] = field(default_factory=list)  # words and ratio of each story
    failed: int = 0
    unsaved: bool = False

    def say_what_there_is(self, survey: Survey, damaged: int) -> None:
        """Say what an earlier run left, as far as there is something to say."""
        if survey.unused:
            self.note(f"Columns that are not used: {_listed([*survey.unused])}.")
        if survey.done:
            self.note(f"{survey.done} of {_stories(survey.total)} already written.")
        if survey.changed:
            self.note(f"{_stories(survey.changed)} to write again: what is asked for has changed.")
        if survey.extra > 0:
            kept = _stories(survey.extra)
            self.note(f"{STORIES} keeps {kept} that this command does not ask for.")
        if not (survey.total or survey.bad):  # only with --retry-failed
            self.note(f"Nothing to retry: {FAILED} has no story that this command asks for.")
        if damaged:
            lines = "1 damaged line" if damaged == 1 else f"{damaged} damaged lines"
            self.note(f"{lines} of {STORIES} left as found.")

    def note(self, text: str) -> None:
        """Print a note, unless the run is quiet."""
        if not self.quiet:
            note(text, sys.stderr)

    def say_unsaved(self, problem: str) -> None:
        """Say once that the library does not have a story; `problem` says why, "" if it has it."""
        if problem and not self.unsaved:
            warn(f"{problem} Such stories are in {STORIES} only.", sys.stderr)
        self.unsaved = self.unsaved or bool(problem)

    def count_failure(self, where: str, error: PolarisError) -> None:
        """Count a failure; the first ones are printed."""
        self.failed += 1
        if self.failed <= SHOWN_ERRORS:
            named = error.message.startswith(where)
            warn(error.message if named else f"{where}: {error.message}", sys.stderr)
        elif self.failed == SHOWN_ERRORS + 1:
            self.note(f"Further failures are only in {self.folder / FAILED}.")

    def print(self, seconds: float, ended: str) -> None:
        """Print the sum of it all, unless the run is quiet; `ended` says how it ended early."""
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
        if ended:
            parts += [f"{ended}; to continue, run the same command again"]
        print_line([f"polaris: {one_line('; '.join(parts))}"], sys.stderr)


@dataclass
class BatchFiles:
    """The files of each story (`--each`); `lost` counts those that could not be written."""

    folder: Path
    formats: tuple[str, ...]
    lost: int = 0

    def save(self, story: Story) -> None:
        """Save a story's files; one that cannot be written costs no other."""
        self._save(story, self._paths(story))

    def save_missing(self, stories: Iterator[Story]) -> None:
        """Save the files that stories of an earlier run lack; the user may have edited others."""
        for story in stories:
            self._save(story, [path for path in self._paths(story) if not path.exists()])

    def _save(self, story: Story, paths: list[Path]) -> None:
        for path in paths:
            try:
                save(story, path, force=True)
            except PolarisError as error:
                self.lost += 1
                warn(f"{error.message} The story is in {STORIES}.", sys.stderr)

    def move(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Rename the files of a story that gets another place; a file in the way stays.

        Raises OutputError if one cannot be renamed.
        """
        for suffix in FORMATS:
            old, new = (
                self._path(place["key"], place.get("row") or 0, suffix) for place in (before, after)
            )
            if old.is_file() and not new.exists():
                with explained(new):
                    old.rename(new)

    def _paths(self, story: Story) -> list[Path]:
        assert story.place
        key, row = story.place.key, story.place.row or 0
        return [self._path(key, row, suffix) for suffix in self.formats]

    def _path(self, key: str, row: int, suffix: str) -> Path:
        return self.folder / f"{file_name(key, row)}.{suffix}"


@dataclass
class BatchRun:
    """A run of a batch: `run` writes all that is pending."""

    batch: Batch
    report: BatchReport
    files: BatchFiles
    at_once: int | None  # None: what suits the engine
    save: bool
    strict: bool
    cluster: Cluster | None
    interrupts: Interrupts = field(default_factory=Interrupts)

    def run(self) -> int:
        """Write all that is pending, and report; returns the exit code."""
        began, survey = time.monotonic(), self.batch.survey()
        self.report.say_what_there_is(survey, self.batch.damaged)
        for row in survey.bad:
            self.batch.fail_row(row)
            self.report.count_failure(row.where, row.error)
        if self.files.formats:
            self.files.save_missing(self.batch.finished())
        try:
            self._write_all(survey)
        except OutputError:  # a full disk: the stories before it are there
            self.report.print(time.monotonic() - began, "stopped")
            raise
        ended = "interrupted" if self.interrupts.seen else ""
        self.report.print(time.monotonic() - began, ended)
        if self.interrupts.seen:
            return EXIT_INTERRUPTED
        if self.report.failed:
            return EXIT_FAILED_ROWS
        return OutputError.exit_code if self.files.lost else 0

    def _write_all(self, survey: Survey) -> None:
        """Write the tasks of one engine after another."""
        with self.interrupts.listen(), reserved_stdio():
            for loading, group in survey.groups.items():
                if not (self.interrupts.seen or self._is_given_up()):
                    self._write_group(survey, loading, group)

    def _is_given_up(self) -> bool:
        return bool(self.strict and self.report.failed)

    def _write_group(self, survey: Survey, loading: Loading, group: Group) -> None:
        """Write the tasks that one engine writes.

        If it cannot be loaded, they fail; raises the error if it is that of the whole run.
        """
        try:
            with self.interrupts.interruptible():
                if self.cluster:
                    self._write_on(self.cluster, survey, loading, group)
                    return
                engine, model, at_once = self._opened(loading, group)
        except KeyboardInterrupt:
            return
        except (ModelUnavailable, OutOfMemory, UsageError) as error:
            self._raise_if_of_all(error, survey, group)
            self._fail_all(loading, error)
            return
        try:
            tasks = (task.for_model(model) for task in self.batch.pending(loading))
            self._write(survey, tasks, engine, at_once)
        finally:
            engine.close()

    def _fail_all(self, loading: Loading, error: PolarisError) -> None:
        """Fail the tasks of an engine that cannot be loaded, except those already written."""
        before = self.report.failed
        for task in self.batch.unwritten(loading):
            own = own_error(task, error) if isinstance(error, UsageError) else error
            self.batch.fail(task, own)
            self.report.count_failure(task.row.where, own)
        if self.report.failed == before:
            warn(error.message, sys.stderr)

    def _raise_if_of_all(self, error: PolarisError, survey: Survey, group: Group) -> None:
        """Raise an error if no other engine is left to try, unless it is of the rows themselves."""
        if isinstance(error, NoCluster):
            raise error
        if len(survey.groups) == 1:
            if not isinstance(error, UsageError) or own_error(group.longest, error) is error:
                raise error
            self.batch.check_options()

    def _opened(self, loading: Loading, group: Group) -> tuple[Engine, ModelRef, int]:
        """The engine of a group, its model, and how many stories it writes at once."""
        job = self.batch.to_open_for(loading, group.longest).job()
        self._say_unused(job)
        downloaded(job, quiet=self.report.quiet)  # how many fit depends on the model's size
        most = min(self.at_once or stories_at_once(job), group.count)
        engine = opened(job, self.report.note, quiet=self.report.quiet, parallel=most)
        at_once = most if self.at_once else worth_at_once(engine, most)
        return engine, job.reference, at_once

    def _say_unused(self, job: Job) -> None:
        for text in on_unused(job):
            self.report.note(text)

    def _write(self, survey: Survey, tasks: Iterator[Task], engine: Engine, at_once: int) -> None:
        def watch(task: Task, job: Job, events: Iterator[Event]) -> Iterator[Event]:
            return progress.watch(task.key, job.request.premise, job.request.words, events)

        done = write_all(
            tasks,
            engine,
            at_once=at_once,
            stop=self.interrupts.stop,
            library=Library() if self.save else None,
            watch=watch,
        )
        with self._progress(survey) as progress, closing(done):
            self._keep_all(done, progress)

    def _write_on(self, cluster: Cluster, survey: Survey, loading: Loading, group: Group) -> None:
        """Write the tasks on a cluster; each story is saved here as it comes."""
        library = Library() if self.save else None

        def saved(done: Written[Task]) -> Written[Task]:
            try:
                if library and done.story:
                    library.finish(done.story)
            except LibraryError as error:
                return replace(done, unsaved=f"The story is not saved: {error.message}")
            return done

        longest = self.batch.to_open_for(loading, group.longest)
        self._say_unused(longest.job())
        with reserved_stderr(), self._progress(survey) as progress:
            tasks = self.batch.pending(loading)
            written = write_on_cluster(tasks, longest, self.at_once, cluster, self.report.note)
            with closing(written) as done:
                self._keep_all(map(saved, done), progress)

    @contextmanager
    def _progress(self, survey: Survey) -> Iterator[BatchProgress]:
        """The progress, shown inside the block."""
        before = survey.done + len(self.report.lengths)
        failed = self.report.failed - len(survey.bad)  # bad rows are not in the total
        progress = BatchProgress(survey.total, before, sys.stderr, self.interrupts.stop, failed)
        with progress.shown(quiet=self.report.quiet):
            yield progress

    def _keep_all(self, done: Iterator[Written[Task]], progress: BatchProgress) -> None:
        """Keep each result as it comes; with --strict, until one fails."""
        for written in map(self.batch.keep, done):
            story = self._count(written)
            self.report.say_unsaved(written.unsaved)
            if story or written.error:
                progress.add(story.counted if story else None)
            if self._is_given_up():
                break

    def _count(self, written: Written[Task]) -> Story | None:
        """Count a task that is done; its story, if it has a whole one."""
        story = written.story
        if written.error:
            self.report.count_failure(written.task.row.where, written.error)
        elif story and story.finish != "interrupted":
            self.report.lengths.append((story.counted, story.ratio))
            self.files.save(story)
            return story
        return None


def _listed(names: Sequence[str]) -> str:
    """The names, or the first of many."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"{', '.join(names[:SHOWN_NAMES])}{more}"


def _stories(count: int) -> str:
    return "1 story" if count == 1 else f"{count} stories"


def file_name(key: str, row: int) -> str:
    """The name of a story's files, without the suffix: the row's number and its key.

    A key that has other characters than a name may have, or many, gets a digest too.
    """
    plain = re.sub(r"[^\w.]+", "-", key).strip("-.")
    short = plain[:MOST_OF_A_NAME].encode()[:MOST_BYTES].decode(errors="ignore")
    lost = short != plain or re.search(r"[^\w., +-]", key)
    digest = f"-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:6]}"
    return f"{row:04}-{short}{digest if lost else ''}"
