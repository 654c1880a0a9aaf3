"""`polaris resume` and `polaris rerun`: continue a story from the library, or write it again.

Turns options into a job and runs it; `story.resuming` decides what the job is.
"""

from typing import Annotated

from typer import Argument, Exit, Option

from polaris_cli.commands.options import (
    AsJson,
    Force,
    NoSave,
    Quiet,
    ShowThinking,
    StoryFiles,
    Strict,
    ThinkingFile,
)
from polaris_cli.commands.outputs import Outputs
from polaris_cli.commands.running import run
from polaris_cli.library.store import open_library
from polaris_cli.request.settings import from_options
from polaris_cli.story import resuming

Ref = Annotated[
    str,
    Argument(metavar="ID", help="A story's id or its first digits."),
]


def resume(
    ref: Ref = "last",
    words: Annotated[
        str | None, Option("--words", "-w", metavar="N", help="New length of the whole story.")
    ] = None,
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
    continues the newest story.
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
    """
    outputs = Outputs(
        output, thinking_output, force, as_json, quiet, show_thinking, not no_save, strict
    )
    outputs.check()
    story = open_library().get(ref)
    raise Exit(run(resuming.write_again(story), outputs, story))
