"""`polaris resume` and `polaris rerun`: continue a story from the library, or write it again.

Turns options into a job and runs it; `story.resuming` decides what the job is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from typer import Argument, Exit, Option

from polaris_cli.commands.options import (
    ApiKeyEnv,
    AsJson,
    BaseUrl,
    ConnectTimeout,
    Force,
    NoSave,
    Quiet,
    ShowThinking,
    StallTimeout,
    StoryFiles,
    Strict,
    ThinkingFile,
)
from polaris_cli.commands.outputs import Outputs
from polaris_cli.commands.running import notifier, run
from polaris_cli.errors import UsageError
from polaris_cli.library.store import Library
from polaris_cli.request.settings import SETTINGS, from_options
from polaris_cli.story import resuming
from polaris_cli.story.result import Story

Ref = Annotated[
    str,
    Argument(metavar="ID", help="A story's id or its first digits."),
]


def resume(
    ref: Ref = "last",
    words: Annotated[
        str | None, Option("--words", "-w", metavar="N", help="New length of the whole story.")
    ] = None,
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    connect_timeout: ConnectTimeout = None,
    stall_timeout: StallTimeout = None,
    output: StoryFiles = None,
    thinking_output: ThinkingFile = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    show_thinking: ShowThinking = False,
    no_save: NoSave = False,
    strict: Strict = False,
) -> None:
    """Continue a story that was interrupted, killed, cut off or is too short.

    Prints the whole story, starting with the text so far, and saves it under a new id. Without ID,
    continues the newest story that is not being written right now. A limit of tokens that cut the
    story off no longer counts.
    """
    options = {name: value for name, value in locals().items() if name in SETTINGS}
    outputs = Outputs(
        output, thinking_output, force, as_json, quiet, show_thinking, not no_save, strict
    )
    outputs.check()
    given = from_options(options)
    wanted: int | None = given.pop("words", None)
    library = Library()
    story = _with_server(library.get(_at_rest(library, ref, outputs)), given)
    events = library.events(story.id)  # not of `ref`: the last story may be another one by now
    raise Exit(run(resuming.resume(story, events, wanted), outputs, story))


def rerun(
    ref: Ref = "last",
    base_url: BaseUrl = None,
    api_key_env: ApiKeyEnv = None,
    connect_timeout: ConnectTimeout = None,
    stall_timeout: StallTimeout = None,
    output: StoryFiles = None,
    thinking_output: ThinkingFile = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    show_thinking: ShowThinking = False,
    no_save: NoSave = False,
    strict: Strict = False,
) -> None:
    """Write a story from the library again, with the same settings and seed.

    The same machine and versions give the same text. If something differs, a note says what.
    Without ID, writes the newest story again that is not being written right now.
    """
    options = {name: value for name, value in locals().items() if name in SETTINGS}
    outputs = Outputs(
        output, thinking_output, force, as_json, quiet, show_thinking, not no_save, strict
    )
    outputs.check()
    library = Library()
    story = _with_server(library.get(_at_rest(library, ref, outputs)), from_options(options))
    raise Exit(run(resuming.write_again(story), outputs, story))


def _at_rest(library: Library, ref: str, outputs: Outputs) -> str:
    """The id of a story that nobody is writing; if "last" is not the newest, a note says so."""
    entry, newest = library.at_rest(ref), library.entry(ref)
    if entry.id != newest.id:
        notifier(outputs)(
            f"Story {newest.id} is being written right now; this is the one before, {entry.id}."
        )
    return entry.id


def _with_server(story: Story, given: Mapping[str, Any]) -> Story:
    """The story as if it had been written with these settings of its server.

    Raises UsageError if it was written without a server.
    """
    if not given:
        return story
    if not story.request.server:
        raise UsageError(
            f"Story {story.id} was written without a server.",
            hint=f"Leave out --{next(iter(given)).replace('_', '-')}.",
        )
    server = replace(story.request.server, **given)
    return replace(story, request=replace(story.request, server=server))
