"""A whole batch: which stories there are to write, and what becomes of each.

Rows and a grid give tasks; those that are done already are left out; the others are written by one
engine after another. Does not know options, nor what is shown.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Literal

from polaris_cli.batch.premises import BadRow, Row
from polaris_cli.batch.results import Results
from polaris_cli.batch.running import Written
from polaris_cli.batch.tasks import Grid, Loading, Options, Task, earlier_fingerprint, tasks_of
from polaris_cli.errors import ModelUnavailable, NoStory, PolarisError, UsageError
from polaris_cli.story.job import Job
from polaris_cli.story.result import Story

BAD_ROW = " row "  # and its number: the key of a row that cannot be read; an id has no space first

Rows = Callable[[], Iterator[Row | BadRow]]
"""Reads the input from its start."""

State = Literal["missing", "done", "changed", "invalid", "unknown"]
"""State of a story: not written, written as asked for, written with other settings, asked for with
invalid settings, or unknown because its model is not available."""


@dataclass(slots=True)
class Group:
    """Stories that one engine writes: the longest, which needs most room, and how many they are."""

    longest: Task
    tokens: int
    count: int = 1

    def add(self, task: Task, tokens: int) -> None:
        """Count another story, of this many tokens."""
        self.count += 1
        if tokens > self.tokens:
            self.longest, self.tokens = task, tokens


@dataclass(slots=True)
class Survey:
    """What there is to do: numbers of stories, the rows that cannot be read, and what to write by
    the way its engine is loaded. `extra` stories of the results are not asked for any more.
    `unused` are the names of fields of the input that mean nothing here, in their order."""

    total: int = 0
    done: int = 0
    changed: int = 0
    extra: int = 0
    bad: list[BadRow] = field(default_factory=list)
    unused: dict[str, None] = field(default_factory=dict)
    groups: dict[Loading, Group] = field(default_factory=dict)

    def add(self, task: Task, tokens: int) -> None:
        """Count a story to write, of this many tokens."""
        if group := self.groups.get(task.loading):
            group.add(task, tokens)
        else:
            self.groups[task.loading] = Group(task, tokens)


class Batch:
    """The stories of a batch and their results. `only` limits it to these keys, if given."""

    def __init__(
        self,
        rows: Rows,
        options: Options,
        grid: Grid,
        results: Results,
        only: frozenset[str] | None = None,
    ) -> None:
        self._rows, self._options, self._grid = rows, options, grid
        self._results, self._only = results, only
        self._done, self._unknown = set[str](), set[str]()  # keys, known from the survey on
        self._unavailable = set[Loading]()

    def survey(self) -> Survey:
        """Read all of the input, twice if there are stories. Raises UsageError as `read_premises`.

        A story that is there under another key, of another grid or row number, gets its new key.
        Failures that are not asked for any more are taken back. Raises OutputError if that cannot
        be written.
        """
        found, there = Survey(), 0
        unasked = set(self._results.failed)
        self._find_done()
        for task in self._tasks(found.bad):
            found.total += 1
            found.unused |= dict.fromkeys(task.row.unused)
            job = self._job(task)
            state = self._state(task, job)
            unasked.discard(task.key)
            there += state != "missing"
            found.changed += state == "changed"
            if state == "done":
                found.done += 1
                self._results.forget(task.key)
                continue
            if state == "unknown":
                self._unknown.add(task.key)
            found.add(task, job.tokens if isinstance(job, Job) else 0)
        if self._only is None:
            found.extra = len(self._results) - there
        self._forget(unasked)
        return found

    def _forget(self, unasked: set[str]) -> None:
        """Take back these failures; with `only`, those of rows that could not be read."""
        for key in unasked:
            if self._only is None or key.startswith(BAD_ROW):
                self._results.forget(key)

    def finished(self) -> Iterator[Story]:
        """The stories that were done at the survey."""
        records = self._results.records()
        return (Story.from_dict(each) for each in records if each["batch"]["key"] in self._done)

    def pending(self, loading: Loading) -> Iterator[Task]:
        """The tasks of an engine that are not done; its model may be available by now."""
        self._unavailable.discard(loading)
        for task in self._tasks():
            if task.loading != loading or task.key in self._done:
                continue
            if task.key not in self._unknown or self._state(task, self._job(task)) != "done":
                yield task

    def unwritten(self, loading: Loading) -> Iterator[Task]:
        """The tasks of an engine that is not available, except those that are written already."""
        for task in self._tasks():
            if task.loading == loading and task.key not in self._done | self._unknown:
                yield task

    def to_open_for(self, loading: Loading, longest: Task) -> Task:
        """The task to open an engine for: `longest`, or the first that is valid.

        Raises the error of `longest` if all are invalid.
        """
        for task in chain([longest], self.pending(loading)):
            with suppress(UsageError):
                task.job()
                return task
        longest.job()
        return longest

    def check_options(self) -> None:
        """Raise the UsageError of the command's own options, if no row is to blame for it."""
        plain = Row(0, "", "", "a story", {})
        with suppress(ModelUnavailable):
            next(tasks_of([plain], self._options, self._grid)).job()

    def keep(self, written: Written[Task]) -> Written[Task]:
        """Keep a result; a story without text becomes a failure.

        A story that was interrupted is not kept: it is written again by the next run.
        """
        story, error = written.story, written.error
        if story and not story.text and story.finish != "interrupted":
            error = error or NoStory("The model ended without writing a story.")
        if error:
            self.fail(written.task, error)
        elif story and story.finish != "interrupted":
            self._results.add(story.as_dict())
            self._done.add(written.task.key)
        return replace(written, error=error)

    def fail(self, task: Task, error: PolarisError) -> None:
        """Keep a task's failure."""
        self._results.fail(task.key, task.row.where, error)

    def fail_row(self, row: BadRow) -> None:
        """Keep the failure of a row that cannot be read."""
        self._results.fail(f"{BAD_ROW}{row.number}", row.where, row.error)

    @property
    def damaged(self) -> int:
        """The lines of the results that are no stories."""
        return self._results.damaged

    def _tasks(self, bad: list[BadRow] | None = None) -> Iterator[Task]:
        """The tasks to look at; rows that cannot be read are added to `bad`."""
        for task in self._all_tasks(bad):
            chosen = {task.key, f"{BAD_ROW}{task.row.number}"}
            if self._only is None or chosen & self._only:
                yield task

    def _all_tasks(self, bad: list[BadRow] | None = None) -> Iterator[Task]:
        """The tasks of the input, `only` or not."""

        def good() -> Iterator[Row]:
            for row in self._rows():
                if isinstance(row, Row):
                    yield row
                elif bad is not None:
                    bad.append(row)

        return tasks_of(good(), self._options, self._grid)

    def _find_done(self) -> None:
        """Note the tasks whose stories have their keys: no other task takes those over."""
        for task in self._all_tasks() if len(self._results) else ():
            kept = self._results.fingerprint(task.key)
            job = self._job(task) if kept else None
            if isinstance(job, Job) and job.place and job.place.fingerprint == kept:
                self._done.add(task.key)

    def _state(self, task: Task, job: Job | State) -> State:
        if isinstance(job, Job) and self._take_over(task, job):
            return "done"
        if job != "done" and not self._is_there(task):
            return "missing"
        return "changed" if isinstance(job, Job) else job

    def _is_there(self, task: Task) -> bool:
        """Whether there is a story of the task's row with its key."""
        if self._results.fingerprint(task.key) is None:
            return False
        return self._results.is_of(task.key, task.row.id, task.row.premise)

    def _job(self, task: Task) -> Job | State:
        """The job of a task, whose fingerprint says what is asked for, or why it is not needed or
        not known."""
        if task.key in self._done:
            return "done"
        if task.loading in self._unavailable:  # its server may take long not to answer
            return "unknown"
        try:
            return task.job()
        except ModelUnavailable:
            self._unavailable.add(task.loading)
            return "unknown"
        except PolarisError:
            return "invalid"

    def _take_over(self, task: Task, job: Job) -> bool:
        """Whether a story that no task has is that of a task, which then gets it."""
        assert job.place
        place, kept = job.place, self._results.fingerprint(task.key)
        left = [key for key in self._results.keys_of(place.fingerprint) if key not in self._done]
        if kept == earlier_fingerprint(job, task.options.get("gguf_file")):
            left = [task.key]
        if left and kept != place.fingerprint:
            self._results.rename(left[0], asdict(place))
        self._done |= {task.key} if left else set()
        return bool(left)


def own_error(task: Task, otherwise: PolarisError) -> PolarisError:
    """The error of a task that is invalid by itself; of a valid one, `otherwise`."""
    try:
        task.job()
    except PolarisError as error:
        return error
    return otherwise
