"""Asks a judge about stories, for several commands: `JudgeRun`.

Knows what a user sees of it; `polaris_cli.evaluate` asks, reads the answers and keeps them.
"""

import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import TextIO

from polaris_cli.commands.eval_score import Skipped, samples_of
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.option_names import option_names
from polaris_cli.commands.options import RUBRIC
from polaris_cli.commands.running import opened
from polaris_cli.commands.stdio import reserved_stdio
from polaris_cli.engines.base import Engine
from polaris_cli.engines.endpoint.opening import connected
from polaris_cli.errors import EXIT_FAILED_ROWS, EXIT_INTERRUPTED, PolarisError, UsageError
from polaris_cli.evaluate.groups import Groups
from polaris_cli.evaluate.judge_file import JudgeFile
from polaris_cli.evaluate.judgements import JudgedTable, judged, judged_tables
from polaris_cli.evaluate.judging import (
    Call,
    JudgeSettings,
    Record,
    calls_for,
    judge_all,
    text_key,
)
from polaris_cli.evaluate.layout import judged_layouts
from polaris_cli.evaluate.names import shown_names
from polaris_cli.evaluate.rubric import Rubric, load_rubric
from polaris_cli.evaluate.samples import Pair, Sample
from polaris_cli.screen import terminal
from polaris_cli.screen.messages import note, print_line, warn
from polaris_cli.screen.printing import print_text
from polaris_cli.screen.stopping import told_while_stopping
from polaris_cli.screen.tables import print_table
from polaris_cli.story.advice import on_unused
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare

USUAL = 4  # calls at once
SHOWN_ERRORS = 3
# What the options of `polaris write` are for a judge; beside a writer, some are the writer's.
OPTIONS = {"--model": "--judge-model"}
OPTIONS_BESIDE_A_WRITER = {
    **OPTIONS,
    "--base-url": "--judge-url",
    "--api-key-env NAME": "POLARIS_API_KEY_ENV=NAME",
    "--stall-timeout SECONDS": "POLARIS_STALL_TIMEOUT=SECONDS",
}
CHARACTERS_PER_TOKEN = 3  # few, so that the memory planned is enough


def plural(count: int, noun: str) -> str:
    """So many of them, as people say it."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices for a million tokens of prompts and answers, in any currency."""

    prompt: float = 0.0
    answer: float = 0.0

    def of(self, prompt: int, answer: int) -> float:
        """What so many tokens cost."""
        return (prompt * self.prompt + answer * self.answer) / 10**6


@dataclass
class JudgeReport:
    """What came of a judge's calls."""

    calls: int
    done: int = 0
    failed: int = 0
    unreadable: int = 0
    reason: str = ""  # what is wrong with the first unreadable answer
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def count(self, record: Record | PolarisError) -> None:
        """Count an answer or a failure; the first failures are printed."""
        if isinstance(record, PolarisError):
            self.failed += 1
            if self.failed <= SHOWN_ERRORS:
                warn(record.message, sys.stderr)
        else:
            self.done += 1
            self.prompt_tokens += record["tokens"]["prompt"]
            self.answer_tokens += record["tokens"]["answer"]
            self.unreadable += bool(record["error"])
            self.reason = self.reason or record["error"]

    def print(self, prices: Prices) -> None:
        """Print the sum of it all."""
        if self.unreadable:
            first = "; the first" if self.unreadable > 1 else ""
            warn(
                f"{plural(self.unreadable, 'answer')} cannot be read{first}: {self.reason}.",
                sys.stderr,
            )
        parts = [f"{self.done} of {plural(self.calls, 'call')} answered"]
        parts += [f"{self.prompt_tokens:,} prompt tokens, {self.answer_tokens:,} answer tokens"]
        if prices != Prices():
            parts.append(f"cost {prices.of(self.prompt_tokens, self.answer_tokens):.2f}")
        if self.failed:
            parts.append(f"{self.failed} failed; to retry them, run the same command again")
        elif self.done < self.calls:
            parts.append("interrupted; to continue, run the same command again")
        print_line([f"polaris: {'; '.join(parts)}"], sys.stderr)


@dataclass(frozen=True, slots=True)
class JudgeRun:
    """A judge and how it is asked.

    `options` are those of an engine, such as `base_url`; `names` is what the command calls them.
    """

    rubric: Rubric
    settings: JudgeSettings
    options: dict[str, object]
    at_once: int = USUAL
    repeats: int = 1
    prices: Prices = field(default_factory=Prices)
    quiet: bool = False
    names: Mapping[str, str] = field(default_factory=lambda: OPTIONS)

    def job(self) -> Job:
        """The judge's model, and how to load it. Raises PolarisError if there is no such model."""
        options = {**self.options, "model": self.settings.judge}
        with option_names(self.names):
            return prepare("any story", {**options, "words": 100, "length": "single"})

    def calls(self, samples: Iterable[Sample]) -> dict[str, Call]:
        """All calls that the texts need, by their keys; the same question is asked once."""
        calls = calls_for(samples, self.rubric, self.repeats)
        return {call.key(self.settings): call for call in calls}

    def missing(self, calls: Mapping[str, Call], answered: Container[str]) -> list[Call]:
        """Those of the calls whose keys are not among the answered ones."""
        return [call for key, call in calls.items() if key not in answered]

    def records(self, calls: Mapping[str, Call], file: JudgeFile) -> list[Record]:
        """The answers to these calls that the file has."""
        return [
            {**file.records[key], "all_criteria": len(call.rubric.criteria)}  # also before an edit
            for key, call in calls.items()
            if key in file.records
        ]

    def engine(self, calls: Sequence[Call]) -> Engine:
        """The judge; on this machine, with memory for the longest text and its answer."""
        job = self.job()
        for text in () if self.quiet else on_unused(job):
            note(text, sys.stderr)
        if job.reference.server:
            return connected(job.reference, chat=True)
        longest = max(len(call.sample.text) for call in calls) // CHARACTERS_PER_TOKEN
        context = job.reference.profile.context
        needed = min(longest + 2_000 + self.settings.max_tokens, context)
        with option_names(self.names):
            return opened(
                replace(job, budget=replace(job.budget, max_new_tokens=needed)),
                lambda text: None if self.quiet else note(text, sys.stderr),
                quiet=self.quiet,
                parallel=self.at_once,
            )

    def ask(self, calls: Sequence[Call], file: JudgeFile) -> int:
        """Ask these calls, keep the answers and report. Returns the exit code."""
        if not calls:
            return 0
        report = JudgeReport(len(calls))
        with Interrupts().listen() as interrupts, reserved_stdio(), suppress(KeyboardInterrupt):
            with interrupts.interruptible():  # which raises it, here only
                engine = self.engine(calls)
            with closing(engine):
                self._keep_answers(calls, engine, interrupts, file, report)
        if not self.quiet:
            report.print(self.prices)
        if interrupts.seen:
            return EXIT_INTERRUPTED
        return EXIT_FAILED_ROWS if report.failed else 0

    def _keep_answers(
        self,
        calls: Sequence[Call],
        engine: Engine,
        interrupts: Interrupts,
        file: JudgeFile,
        report: JudgeReport,
    ) -> None:
        message = f"Judging, {plural(len(calls), 'call')}"
        done = judge_all(calls, engine, self.settings, at_once=self.at_once, stop=interrupts.stop)
        with (
            closing(done),
            terminal.loading(message, sys.stderr, quiet=self.quiet) as progress,
            told_while_stopping(interrupts.stop, sys.stderr, quiet=self.quiet),
        ):
            for number, record in enumerate(done, 1):
                progress.update(number / len(calls))
                report.count(record)
                if not isinstance(record, PolarisError):
                    file.add(record)


def judge_named(
    model: str | None, base_url: str | None, rubric: str | None, *, option: str, quiet: bool
) -> JudgeRun:
    """The judge of the options `--judge-model`, `--judge-url` and `--rubric`.

    Raises UsageError, which names `option`, without a model, and another PolarisError if there is
    no such judge: a user learns that before stories are written.
    """
    if not model:
        raise UsageError(f"{option} needs a judge.", hint="Add --judge-model NAME")
    options: dict[str, object] = {"base_url": base_url, "engine": "endpoint" if base_url else None}
    settings, names = JudgeSettings(model), OPTIONS_BESIDE_A_WRITER
    run = JudgeRun(load_rubric(rubric or RUBRIC), settings, options, quiet=quiet, names=names)
    run.job()
    return run


def texts_in(stories: Sequence[str]) -> list[Sample]:
    """The stories of these files and folders. Raises UsageError without any."""
    skipped = Skipped()
    samples = list(skipped.without(samples_of(stories, None, with_length=False)))
    skipped.report()
    if not samples:
        raise UsageError("No usable story was found.", hint="polaris eval judge --help")
    return samples


def tables_of(
    records: Iterable[Record], samples: Sequence[Sample], groups: Groups
) -> list[JudgedTable]:
    """A table for each judge and rubric, from the answers on these texts."""
    shown = shown_names((sample.model, sample.model_id) for sample in samples)
    texts: dict[str, dict[Pair, list[str]]] = {}
    for sample in samples:
        name = shown[sample.model, sample.model_id]
        texts.setdefault(name, {}).setdefault(sample.pair, []).append(text_key(sample))
    return judged_tables(judged(records), groups, texts)


def print_judged(tables: Sequence[JudgedTable], out: TextIO) -> None:
    """Print what a judge found."""
    for table in judged_layouts(tables):
        print_text(table.title, stream=out)
        print_table(table.headers, table.rows, out, drop=table.least)
