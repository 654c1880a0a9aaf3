"""Runs a job for the commands that write: prints the story and returns the exit code.

Decides where text goes and which errors to raise; `run_job` writes the story.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TextIO

from polaris_cli.api import Outcome, engine_for, run_job
from polaris_cli.commands.delivery import deliver, deliver_plan
from polaris_cli.commands.download import download
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.outputs import Outputs
from polaris_cli.commands.standard_streams import encoding_note
from polaris_cli.commands.stdio import reserved_stdio
from polaris_cli.engines.base import Deviation, Engine, ModelInfo
from polaris_cli.errors import EXIT_INTERRUPTED, NoStory, OffTarget, PolarisError, UsageError
from polaris_cli.events import Event, Finish, Inserted, Planned, closing
from polaris_cli.library.store import Library
from polaris_cli.request.adherence import in_band
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.screen import terminal
from polaris_cli.screen.endings import REASONS
from polaris_cli.screen.messages import note, warn
from polaris_cli.screen.printing import print_text
from polaris_cli.screen.terminal import Sink, print_report, show, sinks_for
from polaris_cli.story.accumulator import collect
from polaris_cli.story.advice import on_compile
from polaris_cli.story.job import Job
from polaris_cli.story.plan_file import as_toml
from polaris_cli.story.result import Story, new_record
from polaris_cli.story.resuming import differences
from polaris_cli.words import story_words

WITHOUT_STRICT = "or leave out --strict."
MORE_WORDS = 500  # added to a draft's words in a hint

Notify = Callable[[str], None]
Stage = Callable[[Iterator[Event]], Iterator[Event]]


def run(job: Job, outputs: Outputs, before: Story | None = None) -> int:
    """Load the model, write the story, print and save it. Returns the exit code.

    `before` is the story that is continued or written again: notes say what has changed since.
    Raises PolarisError if the model cannot be loaded or the story cannot be saved.
    """
    notify = print_notes(job, outputs)
    if outputs.show_thinking and not job.request.sampling.thinks:
        notify("--show-thinking has no effect: thinking is off.")
    outcome: Outcome | None = None
    listening = Interrupts().listen()
    try:
        with listening as interrupts, reserved_stdio(later=outputs.deferred_errors) as out:
            if problem := encoding_note(out):
                notify(problem)
            with interrupts.interruptible():
                engine = opened(job, notify, quiet=outputs.quiet)
            _check_engine(engine, job, outputs, before, notify)
            outcome = write_loaded(job, engine, outputs, out, interrupts.watch)
            engine.close()
            if not outputs.quiet:
                print_report(outcome.story, err=sys.stderr, saved=outcome.saved)
                if outcome.saved:
                    say_how_to_continue(outcome.story, engine)
            deliver(outcome.story, outputs, out)
    except PolarisError as error:
        if outcome and outcome.saved:
            where = f"polaris library export {outcome.story.id} -o FILE"
            error.hint = f"The story is in the library: {where}"
        raise
    return _exit_code(outcome, outputs)


def say_how_to_continue(story: Story, engine: Engine) -> None:
    """Name the command that continues a story that did not end by itself."""
    if story.finish == "stop" or not story.text:
        return
    can_resume = engine.capabilities.token_ids or story.plan
    command, what = ("resume", "Continue it") if can_resume else ("rerun", "Write it again")
    note(f"{what}: polaris {command} {story.id}", sys.stderr)


def _check_engine(
    engine: Engine, job: Job, outputs: Outputs, before: Story | None, notify: Notify
) -> None:
    """Say what differs from `before`; with --strict, refuse settings that would be ignored."""
    if outputs.strict:
        check_settings(engine, job.request)
    for text in differences(before, engine.info) if before else ():
        notify(f"The text may differ: {text}.")


def draft_is_long_enough(request: StoryRequest) -> bool:
    """Whether the draft already has the words asked for."""
    return request.draft is not None and story_words(request.draft.text) >= request.words


def return_draft(job: Job, outputs: Outputs) -> int:
    """Print and save a draft unchanged. Loads no model and adds nothing to the library."""
    request, reference = job.request, job.reference
    assert request.draft
    words = story_words(request.draft.text)
    source = job.settings["words"].name_of("words")
    notifier(outputs)(
        f"Nothing to write: the draft has {words:,} words, and the length asked for is "
        f"{request.words:,} ({source}). To continue it: --words {words + MORE_WORDS}"
    )
    events: Iterator[Event] = iter([Inserted("draft", request.draft.text), Finish("stop")])
    info = ModelInfo(reference.name, reference.id, reference.revision, request.engine)
    shown = show(events, _sinks(request, outputs, sys.stdout))
    story = collect(shown, new_record(request, info, job.messages))
    deliver(story, outputs, sys.stdout)
    return _exit_code(Outcome(story), outputs)


def notifier(outputs: Outputs) -> Notify:
    """Prints notes on stderr, or nothing with --quiet."""
    if outputs.quiet:
        return lambda text: None
    return lambda text: note(text, sys.stderr)


def print_notes(job: Job, outputs: Outputs) -> Notify:
    """Print the notes on a job; return what prints further ones."""
    notify = notifier(outputs)
    for text in job.notes:
        notify(text)
    return notify


def downloaded(job: Job, *, quiet: bool) -> None:
    """Download the model of a job if it is not on this machine or on a server."""
    if not job.reference.server:
        download(job.reference, quiet=quiet)


def opened(job: Job, notify: Notify, *, quiet: bool, parallel: int = 1) -> Engine:
    """The engine of a job, for `parallel` stories at once; its model is downloaded if necessary."""
    downloaded(job, quiet=quiet)
    message = f"Loading {job.reference.name}"
    shown = terminal.loading(message, sys.stderr, quiet=quiet)
    with shown as progress:
        engine = engine_for(job, progress.update, parallel)
    for text in (*engine.notes, *on_compile(job, engine.info.device, parallel)):
        notify(text)
    return engine


def write_plan(job: Job, outputs: Outputs) -> int:
    """Let the model write only the plan; save it as TOML or print it. Returns the exit code."""
    notify = print_notes(job, outputs)
    plan_only = replace(outputs, save=False, as_json=True)
    with Interrupts().listen() as interrupts, reserved_stdio() as out:
        with interrupts.interruptible():
            engine = opened(job, notify, quiet=outputs.quiet)
        outcome = write_loaded(
            job, engine, plan_only, out, lambda e: _until_planned(interrupts.watch(e))
        )
    if outcome.error:
        raise outcome.error
    plan = outcome.story.plan
    if plan is None:
        return EXIT_INTERRUPTED
    text = as_toml(plan)
    if not outputs.files or outputs.stories != outputs.files:
        print_text(text, end="")
    try:
        deliver_plan(outcome.story, text.encode(), outputs)
    except PolarisError:
        print_text(text, end="")  # it is nowhere else
        raise
    return 0


def _until_planned(events: Iterator[Event]) -> Iterator[Event]:
    """Yield the events; stop once the plan is complete."""
    with closing(events):
        for event in events:
            yield event
            if isinstance(event, Planned):
                yield Finish("stop")
                return


def write_loaded(job: Job, engine: Engine, outputs: Outputs, out: TextIO, watch: Stage) -> Outcome:
    """Write a job with a loaded engine: prints the story, and saves it in the library.

    A warning says that the library does not have it, also with --quiet.
    """
    return run_job(
        job,
        engine,
        library=Library() if outputs.save else None,
        sinks=_sinks(job.request, outputs, out),
        warn=lambda text: warn(text, sys.stderr),
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


def _exit_code(outcome: Outcome, outputs: Outputs) -> int:
    """The exit code of a finished run. Raises the errors that have exit codes of their own."""
    if outcome.error:
        raise outcome.error
    return check_story(outcome.story, outputs)


def check_story(story: Story, outputs: Outputs) -> int:
    """The exit code for a story. Raises NoStory for one without text, and with --strict OffTarget
    if it is not as asked for."""
    if story.finish == "interrupted":
        return EXIT_INTERRUPTED
    if not story.text:
        raise _no_story(story)
    if outputs.strict:
        _check_target(story)
    return 0


def _no_story(story: Story) -> NoStory:
    if story.finish == "length" and story.tokens.thinking:
        ignored = {one.setting for one in story.deviations if one.ignored}
        more = "Limit the thinking with --thinking-budget 1000"
        if "thinking_budget" in ignored:
            more = "Leave room for the story with --max-new-tokens NUMBER"
        return NoStory(
            f"The model used all {story.tokens.thinking:,} tokens for thinking.",
            hint=f"{more}, or turn it off with --no-think.",
        )
    if story.finish == "loop":
        return NoStory(
            "The model got stuck in a loop while thinking.",
            hint="Try another --seed, or turn off thinking with --no-think.",
        )
    return NoStory(
        "The model ended without writing a story.", hint="Try another --seed, or add --no-think."
    )


def check_settings(engine: Engine, request: StoryRequest) -> None:
    """Raise UsageError for settings that the engine is known to ignore."""
    if ignored := [one for one in engine.deviations(request.sampling) if one.ignored]:
        raise UsageError(_not_applied(ignored), hint=f"Turn it off, {WITHOUT_STRICT}")


def _not_applied(ignored: Sequence[Deviation]) -> str:
    told = "; ".join(f"{one.setting} ({one.text})" for one in ignored)
    return f"The engine does not apply all settings: {told}."


def _check_target(story: Story) -> None:
    """Raise OffTarget if the story was cut off, looped, decayed, or is outside the band, or if a
    setting was not applied."""
    if ignored := [one for one in story.deviations if one.ignored]:
        raise OffTarget(_not_applied(ignored), hint=f"Turn it off, {WITHOUT_STRICT}")
    if story.finish != "stop":
        reason = REASONS[story.finish]
        raise OffTarget(f"The story did not end by itself ({reason}).", hint=_next_try(story))
    low, high = story.request.band
    if not in_band(story.counted, story.requested, (low, high)):
        raise OffTarget(
            f"The story has {story.counted:,} of {story.requested:,} words: ratio "
            f"{story.ratio:.2f} is outside the band {low:g}-{high:g}.",
            hint=_next_try(story),
        )


def _next_try(story: Story) -> str:
    """A hint to what can bring a story on target."""
    if story.finish == "length" and story.request.sampling.max_new_tokens:
        return f"Raise --max-new-tokens, {WITHOUT_STRICT}"
    if draft_is_long_enough(story.request):
        return f"Ask for more: --words {story.counted + MORE_WORDS}, {WITHOUT_STRICT}"
    return f"Try another --seed, {WITHOUT_STRICT}"
