"""The pipeline behind the commands that write: a job becomes a story on stdout and an exit code.

Chooses where text goes, and words what went wrong; the work itself is done by `run_job`.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TextIO

from polaris_cli.api import Outcome, run_job
from polaris_cli.commands.fetching import fetch_shown
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.options import Outputs
from polaris_cli.commands.stdio import reserved_stdio
from polaris_cli.engines.base import Engine, ModelInfo
from polaris_cli.engines.opening import open_engine
from polaris_cli.errors import EXIT_INTERRUPTED, NoStory, OffTarget, PolarisError
from polaris_cli.events import Event, Finish, Inserted, Planned, closing
from polaris_cli.formats.export import render, save
from polaris_cli.formats.files import write_atomic
from polaris_cli.library.store import open_library
from polaris_cli.request.adherence import in_band
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.screen import terminal
from polaris_cli.screen.messages import note
from polaris_cli.screen.region import restore_terminal
from polaris_cli.screen.terminal import Sink, print_report, show, sinks_for
from polaris_cli.story.accumulator import collect
from polaris_cli.story.job import Job
from polaris_cli.story.plan_file import as_toml
from polaris_cli.story.result import Story, new_record
from polaris_cli.story.resuming import differences
from polaris_cli.words import count_words

RETRY = "Try another --seed, or leave out --strict."
MORE_WORDS = 500  # beyond those of a draft, as an example


Say = Callable[[str], None]
Stage = Callable[[Iterator[Event]], Iterator[Event]]


def run(job: Job, outputs: Outputs, before: Story | None = None) -> int:
    """Load the model of a job, write its story and deliver it; the exit code.

    `before` is the story that is written again or gone on with: what has changed since is said.
    Raises PolarisError when the model cannot be loaded or its story cannot be delivered.
    """
    say = _speaker(outputs)
    for text in job.notes:
        say(text)
    with Interrupts(restore_terminal).listen() as interrupts, reserved_stdio() as out:
        with interrupts.breakable():
            engine = _open(job, outputs, say)
        for text in differences(before, engine.info) if before else ():
            say(f"The text may differ: {text}.")
        outcome = _write(job, engine, outputs, out, say, interrupts.watch)
        story = outcome.story
        if not outputs.quiet:
            print_report(story, err=sys.stderr, saved=outcome.kept, band=job.request.band)
        _deliver(story, outputs, out, kept=outcome.kept)
    return _exit_code(outcome, job.request, outputs)


def is_long_enough(request: StoryRequest) -> bool:
    """Whether the draft alone has the words asked for, so that nothing is left to write."""
    return request.draft is not None and count_words(request.draft.text) >= request.words


def hand_back(job: Job, outputs: Outputs) -> int:
    """Give out a draft that is long enough, as it is; no model is loaded and nothing is kept."""
    request, reference = job.request, job.reference
    assert request.draft
    words = count_words(request.draft.text)
    source = job.settings["words"].source
    _speaker(outputs)(
        f"Nothing to write: the draft has {words:,} words, and {request.words:,} are asked for "
        f"({source}). To go on, ask for more: --words {words + MORE_WORDS}"
    )
    events: Iterator[Event] = iter([Inserted("draft", request.draft.text), Finish("stop")])
    info = ModelInfo(reference.name, reference.id, reference.revision, request.engine)
    shown = show(events, _sinks(request, outputs, sys.stdout))
    story = collect(shown, new_record(request, info, job.messages))
    _deliver(story, outputs, sys.stdout, kept=False)
    return _exit_code(Outcome(story), request, outputs)


def _speaker(outputs: Outputs) -> Say:
    if outputs.quiet:
        return lambda text: None
    return lambda text: note(text, sys.stderr)


def _open(job: Job, outputs: Outputs, say: Say) -> Engine:
    if job.request.engine == "local":
        fetch_shown(job.reference, quiet=outputs.quiet)
    message = f"Loading {job.reference.name}"
    with terminal.loading(message, sys.stderr, quiet=outputs.quiet) as progress:
        engine = open_engine(job.reference, job.request, job.tokens, progress.update)
    for text in engine.notes:
        say(text)
    return engine


def write_plan(job: Job, outputs: Outputs) -> int:
    """Let the model make the plan alone and write it, as TOML, to a file or stdout."""
    say = _speaker(outputs)
    nothing_kept = replace(outputs, save=False, as_json=True)
    with Interrupts(restore_terminal).listen() as interrupts, reserved_stdio() as out:
        with interrupts.breakable():
            engine = _open(job, outputs, say)
        outcome = _write(
            job, engine, nothing_kept, out, say, lambda e: _until_planned(interrupts.watch(e))
        )
    if outcome.error:
        raise outcome.error
    plan = outcome.story.plan
    if plan is None:
        return EXIT_INTERRUPTED
    if outputs.story:
        write_atomic(outputs.story, as_toml(plan).encode(), force=outputs.force)
    else:
        print(as_toml(plan), end="")
    return 0


def _until_planned(events: Iterator[Event]) -> Iterator[Event]:
    """Pass the events on, and stop the model when there is a plan."""
    with closing(events):
        for event in events:
            yield event
            if isinstance(event, Planned):
                yield Finish("stop")
                return


def _write(
    job: Job, engine: Engine, outputs: Outputs, out: TextIO, say: Say, watch: Stage
) -> Outcome:
    return run_job(
        job,
        engine,
        library=open_library() if outputs.save else None,
        sinks=_sinks(job.request, outputs, out),
        warn=say,
        watch=watch,
    )


def _sinks(request: StoryRequest, outputs: Outputs, out: TextIO) -> list[Sink]:
    return sinks_for(
        request.words,
        out,
        sys.stderr,
        quiet=outputs.quiet,
        show_thinking=outputs.show_thinking,
        print_story=not outputs.as_json,
    )


def _deliver(story: Story, outputs: Outputs, out: TextIO, *, kept: bool) -> None:
    """Print the record and write the files asked for, as far as there is something to write."""
    if outputs.as_json:
        out.write(render(story, "json").decode())
    try:
        if outputs.story and story.text:
            save(story, outputs.story, force=outputs.force)
        if outputs.thinking and story.thinking:
            write_atomic(outputs.thinking, f"{story.thinking}\n".encode(), force=outputs.force)
    except PolarisError as error:
        if kept:
            error.hint = f"The story is kept: polaris library export {story.id} -o FILE"
        raise


def _exit_code(outcome: Outcome, request: StoryRequest, outputs: Outputs) -> int:
    """0, or what `--help` promises; `__main__` prints the errors."""
    story = outcome.story
    if outcome.error:
        raise outcome.error
    if story.finish == "interrupted":
        return EXIT_INTERRUPTED
    if not story.text:
        raise _no_story(story)
    if outputs.strict:
        _check_target(story, request.band)
    return 0


def _no_story(story: Story) -> NoStory:
    if story.finish == "length":
        return NoStory(
            f"The model spent all of its {story.tokens.thinking:,} tokens thinking.",
            hint="Limit the thinking (--thinking-budget 1000), or leave it out: --no-think",
        )
    if story.finish == "loop":
        return NoStory(
            "The model repeated itself while thinking and was stopped.",
            hint="Try another --seed, or leave the thinking out: --no-think",
        )
    return NoStory(
        "The model ended without writing a story.", hint="Try another --seed, or --no-think"
    )


def _check_target(story: Story, band: tuple[float, float]) -> None:
    """Raise OffTarget for a story that was cut off, loops, or lies outside the band."""
    if story.finish != "stop":
        raise OffTarget(f"The story did not end by itself ({story.finish}).", hint=RETRY)
    if not in_band(story.written, story.requested, band):
        low, high = band
        raise OffTarget(
            f"The story has {story.written:,} of {story.requested:,} words (ratio "
            f"{story.ratio:.2f}), outside the band {low:g}-{high:g}.",
            hint=RETRY,
        )
