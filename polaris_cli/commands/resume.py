"""`polaris resume` and `polaris rerun`: go on with a story of the library, or write it again."""

from typing import Annotated

from typer import Argument, Exit, Option

from polaris_cli.commands.options import (
    AsJson,
    Force,
    NoSave,
    Outputs,
    Quiet,
    ShowThinking,
    StoryFile,
    Strict,
    ThinkingFile,
)
from polaris_cli.commands.running import run
from polaris_cli.library.store import open_library
from polaris_cli.request.settings import from_options
from polaris_cli.story import resuming

Ref = Annotated[str, Argument(metavar="[ID]", help="A story's id, or the beginning of one.")]


def resume(
    ref: Ref = "last",
    words: Annotated[
        str | None, Option("--words", "-w", metavar="N", help="A new length for the whole story.")
    ] = None,
    output: StoryFile = None,
    thinking_output: ThinkingFile = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    show_thinking: ShowThinking = False,
    no_save: NoSave = False,
    strict: Strict = False,
) -> None:
    """Go on with a story that was interrupted, killed, cut off or became too short.

    The whole story is printed, the earlier text first; it gets an id of its own. Without ID the
    newest story is meant.
    """
    outputs = Outputs(
        output, thinking_output, force, as_json, quiet, show_thinking, not no_save, strict
    )
    outputs.check()
    library = open_library()
    story, events = library.get(ref), library.events(ref)
    wanted: int | None = from_options({"words": words}).get("words")
    raise Exit(run(resuming.resume(story, events, wanted), outputs, story))


def rerun(
    ref: Ref = "last",
    output: StoryFile = None,
    thinking_output: ThinkingFile = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    show_thinking: ShowThinking = False,
    no_save: NoSave = False,
    strict: Strict = False,
) -> None:
    """Write a story of the library again, from its recorded settings and seed.

    On the same machine with the same versions it becomes the same text; what differs is said.
    """
    outputs = Outputs(
        output, thinking_output, force, as_json, quiet, show_thinking, not no_save, strict
    )
    outputs.check()
    story = open_library().get(ref)
    raise Exit(run(resuming.write_again(story), outputs, story))
