"""`polaris compare`: the same premise written by several models, one after the other.

Turns options into one job for each model and shows what came of them; `running` writes a story.
"""

import os
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TextIO

import typer
from typer import Argument, Exit, Option

from polaris_cli.api import Outcome, close_engine
from polaris_cli.batch.tasks import seeded
from polaris_cli.commands import options as o
from polaris_cli.commands.delivery import save_files
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.option_values import compared
from polaris_cli.commands.outputs import Outputs, check_page, deferred_errors
from polaris_cli.commands.running import downloaded, opened, print_notes, write_loaded
from polaris_cli.commands.standard_streams import Errors
from polaris_cli.commands.stdio import reserved_stdio
from polaris_cli.commands.write import read_premise
from polaris_cli.errors import EXIT_INTERRUPTED, LibraryError, NoStory, UsageError
from polaris_cli.formats.comparison import comparison
from polaris_cli.library.store import Library
from polaris_cli.library.votes import Vote
from polaris_cli.request.conflicts import check_options, conflict
from polaris_cli.request.settings import SETTINGS
from polaris_cli.screen.messages import note
from polaris_cli.screen.printing import print_json, print_text
from polaris_cli.screen.story_cells import FIGURES, story_cells
from polaris_cli.screen.tables import print_table
from polaris_cli.screen.terminal import print_report
from polaris_cli.story.job import Job
from polaris_cli.story.prepare import prepare
from polaris_cli.story.result import Story

HEADERS = ("model", *FIGURES, "seconds")
DROPPED = ("seconds", "repetition", "surprise")
MOST = 26
AGAIN = "Try another --seed, or add --no-think."
EXAMPLE = 'polaris compare "the last train" --words 800 --model polaris,no-hri'

EPILOG = """Examples:

\b
  polaris compare "the last train" --words 8000 --model polaris,no-hri
  polaris compare "the last train" -w 800 -m smollm2,model.gguf --blind
  polaris compare "the last train" -w 800 -m smollm2,demo -o compare.html

With --blind, the models are named after you have chosen; polaris eval votes counts the choices.

Exit codes: the same as for polaris write.
"""


def compare(
    premise: Annotated[
        str | None,
        Argument(help="What the stories are about; without it, or with -, it is read from a pipe."),
    ] = None,
    words: o.Words = None,
    model: Annotated[
        list[str] | None, Option("--model", "-m", metavar="M,M", help="The models to compare.")
    ] = None,
    blind: Annotated[
        bool, Option("--blind", help="Hide which model wrote which story until you choose.")
    ] = False,
    output: Annotated[
        Path | None,
        o.written_file("--output", "-o", help="Save the stories side by side as html."),
    ] = None,
    force: o.Force = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the full records as JSON, one per line.")
    ] = False,
    preset: o.PresetName = None,
    form: o.Form = None,
    length: o.Length = None,
    chapters: o.Chapters = None,
    temperature: o.Temperature = None,
    seed: o.Seed = None,
    think: o.Think = None,
    thinking_budget: o.ThinkingBudget = None,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    engine: o.EngineChoice = None,
    threads: o.Threads = None,
    base_url: o.BaseUrl = None,
    api_key_env: o.ApiKeyEnv = None,
    connect_timeout: o.ConnectTimeout = None,
    stall_timeout: o.StallTimeout = None,
    quiet: o.Quiet = False,
    no_save: o.NoSave = False,
) -> None:
    """Write the same premise with several models, one after the other, and compare the stories."""
    options = {name: value for name, value in locals().items() if name in SETTINGS}
    models = compared(model, on_server=bool(base_url))
    if blind and as_json:
        raise conflict("--blind", "--json")
    _check(models, output, blind=blind, force=force)
    check_options(options)
    about, any_seed = read_premise(premise, EXAMPLE), _random_seed()
    jobs = [seeded(prepare(about, {**options, "model": name}), any_seed) for name in models]
    for job in jobs:  # before there is a story that an error would leave alone
        downloaded(job, quiet=quiet)
    if blind:
        random.shuffle(jobs)
    outputs = Outputs(force=force, as_json=as_json, quiet=quiet or blind, save=not no_save)
    stories: dict[int, Story] = {}
    try:
        later = deferred_errors(files=bool(output), save=not no_save)
        _write_all(jobs, stories, outputs, blind=blind, later=later)
        if blind and len(stories) > 1:
            _choose(stories, save=not no_save)
    finally:
        if stories:
            written = [*stories.values()]
            _show(written, output, Outputs(force=force, quiet=quiet), named=blind)
    if empty := len(jobs) - len(stories):
        raise NoStory(f"{empty} of {len(jobs)} models wrote no story.", hint=AGAIN)


def _check(models: Sequence[str], output: Path | None, *, blind: bool, force: bool) -> None:
    """Raise UsageError before anything is loaded."""
    if not 2 <= len(models) <= MOST:
        raise UsageError(
            f"A comparison needs from 2 to {MOST} models.", hint="Add --model polaris,no-hri"
        )
    if blind and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "--blind asks which story is better, and this is not a terminal.",
            hint="Leave it out, or run the command in a terminal, with the premise as an argument.",
        )
    if output:
        check_page(output, force=force, example="compare.html")


def _random_seed() -> int:
    """One seed for all models, as small as those that `polaris write` chooses."""
    return int.from_bytes(os.urandom(4), "big")


def _write_all(
    jobs: Sequence[Job], stories: dict[int, Story], outputs: Outputs, *, blind: bool, later: Errors
) -> None:
    """Add the stories of the jobs by their numbers, printed while they are written; what there is
    of the last one after Ctrl-C or an error. A job without a text adds none.

    Raises Exit after Ctrl-C (KeyboardInterrupt while a model is loaded), PolarisError if a model
    cannot be loaded or a story fails, and errors of standard output, `later` ones at the end.
    """
    listening, reserved = Interrupts().listen(), reserved_stdio(later=later)
    with listening as interrupts, reserved as out:
        for number, job in enumerate(jobs, 1):
            name = f"Story {number}" if blind else job.request.model
            heading = f"{'' if number == 1 else chr(10)}# {name}\n"
            outcome = _write(job, heading, outputs, interrupts, out)
            if outputs.as_json:
                print_json(outcome.story.as_dict(), stream=out)
            if outcome.story.text:
                stories[number] = outcome.story
            if outcome.error:
                raise outcome.error
            if outcome.story.finish == "interrupted":
                raise Exit(EXIT_INTERRUPTED)


def _write(
    job: Job, heading: str, outputs: Outputs, interrupts: Interrupts, out: TextIO
) -> Outcome:
    notify = print_notes(job, outputs)
    with interrupts.interruptible():
        engine = opened(job, notify, quiet=outputs.quiet)
    try:
        if not outputs.as_json:
            print_text(heading, stream=out)
        outcome = write_loaded(job, engine, outputs, out, interrupts.watch)
    finally:
        close_engine(engine)  # the next model needs its memory
    if not (outputs.quiet or outcome.error):
        print_report(outcome.story, err=sys.stderr, saved=outcome.saved)
    return outcome


def _choose(stories: Mapping[int, Story], *, save: bool) -> None:
    """Ask for the best story and save the choice. Raises Abort if there is no answer."""
    chosen = _ask(stories)
    if chosen:
        note(f"You chose {chosen.model.name}.", sys.stderr)
    if save:
        try:
            Library().add_vote(_vote([*stories.values()], chosen))
        except LibraryError as error:
            error.message = f"Your choice is not saved: {error.message}"
            raise


def _ask(stories: Mapping[int, Story]) -> Story | None:
    """The story that the reader prefers; None for none of them."""
    numbers = ", ".join(map(str, stories))
    _forget_keys()
    while True:
        answer = typer.prompt(f"Which story is better? {numbers}; 0 for neither", err=True).strip()
        if answer == "0":
            return None
        if answer.isascii() and answer.isdigit() and int(answer[:9]) in stories:
            return stories[int(answer)]
        note(f"Type a number: {numbers}, or 0.", sys.stderr)


def _forget_keys() -> None:
    """Drop what was typed while the stories were written: it answers nothing."""
    if sys.stdin.isatty():
        with suppress(ImportError):  # on Windows
            import termios

            termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _vote(stories: Sequence[Story], chosen: Story | None) -> Vote:
    return Vote(
        tuple(story.id for story in stories),
        tuple(story.model.name for story in stories),
        chosen.model.name if chosen else "",
    )


def _show(stories: Sequence[Story], page: Path | None, outputs: Outputs, *, named: bool) -> None:
    """Print the table, which names the models of a blind comparison, and save the page."""
    if named or not outputs.quiet:
        print_text("", stream=sys.stderr)
        print_table(HEADERS, [_row(story) for story in stories], sys.stderr, drop=DROPPED)
    if page:
        save_files([(page, lambda: comparison(stories).encode())], outputs)


def _row(story: Story) -> tuple[str, ...]:
    return (story.model.name, *story_cells(story), f"{story.timing.total_s:.0f}")
