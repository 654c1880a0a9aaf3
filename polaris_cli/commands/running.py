"""The pipeline behind the commands that write: a prepared request becomes a story and exit code.

Puts engine, stream, library, terminal and files together; each of them does its own part.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TextIO

from polaris_cli.commands.fetching import fetch_shown
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.options import Outputs
from polaris_cli.commands.stdio import reserved_stdio
from polaris_cli.engines.base import Engine, ModelInfo
from polaris_cli.engines.opening import open_engine
from polaris_cli.errors import EXIT_INTERRUPTED, LibraryError, NoStory, OffTarget, PolarisError
from polaris_cli.events import Chunk, Event, Finish
from polaris_cli.formats.export import render, save
from polaris_cli.formats.files import write_atomic
from polaris_cli.library.recording import record
from polaris_cli.library.store import open_library
from polaris_cli.request.adherence import in_band
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.screen import terminal
from polaris_cli.screen.messages import note
from polaris_cli.screen.region import restore_terminal
from polaris_cli.screen.terminal import print_report, show
from polaris_cli.story.plan_file import as_toml
from polaris_cli.story.prepare import Prepared
from polaris_cli.story.result import Story, begin, collect_with_finish
from polaris_cli.story.starting import start_outline
from polaris_cli.words import count_words

RETRY = "Try another --seed, or leave out --strict."
MORE_WORDS = 500  # beyond those of a draft, as an example


Say = Callable[[str], None]
Begin = Callable[[Engine], tuple[Story, Iterator[Event]]]


def run(prepared: Prepared, outputs: Outputs, begin: Begin) -> int:
    """Load the model asked for and write the story that `begin` sets going; the exit code.

    Raises PolarisError when the model cannot be loaded or its story cannot be delivered.
    """
    say = _speaker(outputs)
    for text in prepared.notes:
        say(text)
    with Interrupts(restore_terminal).listen() as interrupts, reserved_stdio() as out:
        with interrupts.breakable():
            engine = _open(prepared, outputs, say)
        story, finish = _write(engine, begin, outputs, out, interrupts, say)
        kept = outputs.save and _keep(story, say)
        if not outputs.quiet:
            print_report(story, err=sys.stderr, saved=kept, band=prepared.request.band)
        _deliver(story, outputs, out, kept=kept)
    return _exit_code(story, finish, prepared.request, outputs)


def is_long_enough(request: StoryRequest) -> bool:
    """Whether the draft alone has the words asked for, so that nothing is left to write."""
    return request.draft is not None and count_words(request.draft.text) >= request.words


def hand_back(prepared: Prepared, outputs: Outputs) -> int:
    """Give out a draft that is long enough, as it is; no model is loaded and nothing is kept."""
    request, reference = prepared.request, prepared.reference
    assert request.draft
    words = count_words(request.draft.text)
    source = prepared.settings["words"].source
    _speaker(outputs)(
        f"Nothing to write: the draft has {words:,} words, and {request.words:,} are asked for "
        f"({source}). To go on, ask for more: --words {words + MORE_WORDS}"
    )
    events: Iterator[Event] = iter([Chunk("story", request.draft.text), Finish("stop")])
    info = ModelInfo(reference.name, reference.id, reference.revision, request.engine)
    begun = begin(request, info, prepared.messages)
    story, finish = collect_with_finish(_shown(events, begun, outputs, sys.stdout), begun)
    _deliver(story, outputs, sys.stdout, kept=False)
    return _exit_code(story, finish, request, outputs)


def _speaker(outputs: Outputs) -> Say:
    if outputs.quiet:
        return lambda text: None
    return lambda text: note(text, sys.stderr)


def _open(prepared: Prepared, outputs: Outputs, say: Say) -> Engine:
    if prepared.request.engine == "local":
        fetch_shown(prepared.reference, quiet=outputs.quiet)
    message = f"Loading {prepared.reference.name}"
    with terminal.loading(message, sys.stderr, quiet=outputs.quiet) as progress:
        engine = open_engine(prepared.reference, prepared.request, prepared.tokens, progress.update)
    for text in engine.notes:
        say(text)
    return engine


def run_outline(prepared: Prepared, outputs: Outputs) -> int:
    """Let the model make the outline alone and write it, as TOML, to a file or stdout."""
    say = _speaker(outputs)
    with Interrupts(restore_terminal).listen() as interrupts, reserved_stdio() as out:
        with interrupts.breakable():
            engine = _open(prepared, outputs, say)
        nothing_kept = replace(outputs, save=False, as_json=True)
        begin = partial(start_outline, prepared)
        story, finish = _write(engine, begin, nothing_kept, out, interrupts, say)
    if finish.error:
        raise finish.error
    if story.outline is None:
        return EXIT_INTERRUPTED
    if outputs.story:
        write_atomic(outputs.story, as_toml(story.outline).encode(), force=outputs.force)
    else:
        print(as_toml(story.outline), end="")
    return 0


def _write(
    engine: Engine,
    begin: Begin,
    outputs: Outputs,
    out: TextIO,
    interrupts: Interrupts,
    say: Say,
) -> tuple[Story, Finish]:
    """Stream the story through library and terminal."""
    begun, events = begin(engine)
    events = interrupts.watch(events)
    if outputs.save:
        events = record(events, open_library(), begun, say)
    shown = _shown(events, begun, outputs, out)
    return collect_with_finish(shown, begun, load_s=engine.load_seconds)


def _shown(events: Iterator[Event], begun: Story, outputs: Outputs, out: TextIO) -> Iterator[Event]:
    return show(
        events,
        requested=begun.requested,
        out=out,
        err=sys.stderr,
        quiet=outputs.quiet,
        show_thinking=outputs.show_thinking,
        print_story=not outputs.as_json,
    )


def _keep(story: Story, say: Say) -> bool:
    """Complete the story's row in the library; whether that worked."""
    if not story.text and not story.thinking:
        return False
    try:
        open_library().finish(story)
    except LibraryError as error:
        say(f"The story is not in the library: {error.message}")
        return False
    return True


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


def _exit_code(story: Story, finish: Finish, request: StoryRequest, outputs: Outputs) -> int:
    """0, or what `--help` promises; the sentences of errors are worded at the top."""
    if finish.error:
        raise finish.error
    if finish.reason == "interrupted":
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
