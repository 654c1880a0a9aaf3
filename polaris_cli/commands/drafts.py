"""`polaris write --drafts N`: writes several stories for one request and prints the best.

Turns the options of `write` into a list of drafts; `batch` writes them.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import TextIO

from polaris_cli.batch.at_once import stories_at_once
from polaris_cli.batch.drafts import Best, DraftTask, best_of, drafts_of
from polaris_cli.batch.running import Written, write_all
from polaris_cli.commands.delivery import deliver
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.outputs import Outputs
from polaris_cli.commands.running import (
    check_story,
    downloaded,
    notifier,
    opened,
    print_notes,
    say_how_to_continue,
)
from polaris_cli.commands.stdio import reserved_stdio
from polaris_cli.engines.base import Engine
from polaris_cli.errors import EXIT_INTERRUPTED, NoStory, PolarisError, UsageError
from polaris_cli.events import Event
from polaris_cli.library.store import Library
from polaris_cli.screen.batch_progress import BatchProgress
from polaris_cli.screen.messages import note, warn
from polaris_cli.screen.printing import print_text
from polaris_cli.screen.story_cells import FIGURES, story_cells
from polaris_cli.screen.tables import print_table
from polaris_cli.story.job import Job
from polaris_cli.story.result import Story

Choose = Callable[[Sequence[Story], Interrupts], Story]

HEADERS = ("draft", *FIGURES, "first line")
DROPPED = ("repetition", "first line", "surprise", "state")
BEGINNING = 24  # characters of the first line


def run_drafts(job: Job, outputs: Outputs, count: int, choose: Choose, *, print_all: bool) -> int:
    """Write `count` drafts, print the one that `choose` takes or all, save all; returns the exit
    code.

    Raises PolarisError if the model cannot be loaded, or if no draft has any text.
    """
    print_notes(job, outputs)
    listening = Interrupts().listen()
    with listening as interrupts, reserved_stdio(later=outputs.deferred_errors) as out:
        done, engine = _write(job, outputs, count, interrupts)
        errors = {each.story.id: each.error for each in done if each.story}
        stories = [each.story for each in done if each.story and each.story.text]
        if not stories and interrupts.seen:
            return EXIT_INTERRUPTED
        if not stories:
            raise next((each.error for each in done if each.error), None) or _nothing()
        unsaved = _warn_of(done)
        whole = [story for story in stories if not errors[story.id]]
        chosen = choose(whole or stories, interrupts)
        if not outputs.quiet:
            _print_drafts(stories, chosen)
            if outputs.save and not unsaved:
                say_how_to_continue(chosen, engine)
        _deliver(stories, chosen, outputs, out, print_of=count if print_all else None)
    if interrupts.seen:
        return EXIT_INTERRUPTED
    if error := errors[chosen.id]:
        raise error
    return check_story(chosen, outputs)


def _warn_of(done: Sequence[Written[DraftTask]]) -> bool:
    """Warn of drafts that failed or are not saved; return whether one is not."""
    for each in done:
        if each.error:
            warn(f"Draft {each.task.number} failed: {each.error}", sys.stderr)
    unsaved = next(filter(None, (each.unsaved for each in done)), "")
    if unsaved:
        warn(unsaved, sys.stderr)
    return bool(unsaved)


def _nothing() -> NoStory:
    return NoStory("No draft has any text.", hint="Try another --seed, or add --no-think.")


def _write(
    job: Job, outputs: Outputs, count: int, interrupts: Interrupts
) -> tuple[list[Written[DraftTask]], Engine]:
    """The drafts in their order, written as many at once as fit, and the engine, closed."""
    with interrupts.interruptible():
        downloaded(job, quiet=outputs.quiet)  # how many fit depends on the model's size
        at_once = min(count, stories_at_once(job))
        engine = opened(job, notifier(outputs), quiet=outputs.quiet, parallel=at_once)
    progress = BatchProgress(count, 0, sys.stderr, interrupts.stop)

    def watch(draft: DraftTask, job: Job, events: Iterator[Event]) -> Iterator[Event]:
        return progress.watch(f"draft {draft.number}", "", job.request.words, events)

    library = Library() if outputs.save else None
    done: list[Written[DraftTask]] = []
    with closing(engine), progress.shown(quiet=outputs.quiet):
        for written in write_all(
            drafts_of(job, count), engine,
            at_once=at_once, stop=interrupts.stop, library=library, watch=watch,
        ):  # fmt: skip
            done.append(written)
            progress.add(written.story.counted if written.story else None)
    return sorted(done, key=lambda written: written.task.number), engine


def _print_drafts(stories: Sequence[Story], chosen: Story) -> None:
    print_table(HEADERS, [_row(story) for story in stories], sys.stderr, drop=DROPPED)
    note(f"The best is draft {number_of(chosen)}: {chosen.id}.", sys.stderr)


def _row(story: Story) -> tuple[str, ...]:
    first_line = shorten(story.text.split("\n", 1)[0], BEGINNING, placeholder="…")
    return (str(number_of(story)), *story_cells(story), first_line)


def number_of(story: Story) -> int:
    """The number of a draft."""
    return story.place.draft or 0 if story.place else 0


def _deliver(
    stories: Sequence[Story],
    chosen: Story,
    outputs: Outputs,
    out: TextIO,
    *,
    print_of: int | None,
) -> None:
    """Print the best draft, or all with the number `print_of` of drafts, and save each to its own
    files.

    Raises the first error once all that can be written is written.
    """
    problems: list[PolarisError] = []
    for story in stories:
        if not outputs.as_json and print_of:
            line = f"===== draft {number_of(story)} of {print_of}, {story.id} ====="
            print_text(f"{line}\n\n{story.text}\n", stream=out, wrap=True)
        elif not outputs.as_json and story is chosen:
            print_text(story.text, stream=out, wrap=True)
        printed = outputs.as_json and (bool(print_of) or story is chosen)
        try:
            deliver(story, replace(_for_draft(outputs, number_of(story)), as_json=printed), out)
        except PolarisError as error:
            problems.append(error)
    if problems:
        raise problems[0]


def _for_draft(outputs: Outputs, number: int) -> Outputs:
    thinking = outputs.thinking and numbered(outputs.thinking, number)
    files = [numbered(file, number) for file in outputs.files]
    return replace(outputs, stories=files, thinking=thinking)


def numbered(file: Path, number: int) -> Path:
    """The file of a draft: "tale-2.md" for "tale.md"."""
    return file.with_name(f"{file.stem}-{number}{file.suffix}")


def check_files(outputs: Outputs, count: int) -> None:
    """Raise UsageError for files that cannot be written, before a model is loaded."""
    for number in range(1, count + 1):
        _for_draft(outputs, number).check()


def chosen_by(best: str | None) -> Choose:
    """Chooses the best draft by its figures. Raises UsageError for an unknown way."""
    ways: dict[str | None, Best] = {None: "sound", "ratio": "ratio", "surprise": "surprise"}
    if best not in ways:
        raise UsageError(
            f"--best: {best!r} is not a way to choose.", hint="Use ratio, surprise or judge."
        )
    way = ways[best]
    return lambda stories, interrupts: best_of(stories, way)
