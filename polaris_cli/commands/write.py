"""`polaris write`: options in, a story on stdout, a report on stderr, an exit code.

Turns options into one request and hands it to the pipeline; the work itself is elsewhere.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit

from polaris_cli.api import start, start_after
from polaris_cli.commands import options as o
from polaris_cli.commands.dry_run import print_dry_run
from polaris_cli.commands.running import run, run_outline
from polaris_cli.errors import UsageError
from polaris_cli.outline import read_outline
from polaris_cli.prepare import prepare
from polaris_cli.settings import SETTINGS

EPILOG = """Examples:

\b
  polaris write "a lighthouse keeper who finds a letter in the fog" --words 3000
  polaris write "two sisters, one violin" -w 1500 --quantize 4bit -o story.epub
  polaris write --words 2k < premise.txt > story.md
  polaris write "the last train" --words 12000 --length auto -o train.epub
  polaris write "the last train" -w 9k --plan-only -o plan.toml
  polaris write "the last train" --plan plan.toml > train.md
  polaris write --continue draft.txt --words 2500 > whole.txt

Exit codes: 0 done, 2 usage, 3 model unavailable, 4 out of memory, 5 no story,
6 with --strict: off target, 130 interrupted (the text is kept), 141 the reader closed the pipe.
"""

UTF8_HINT = "Save it as UTF-8, for instance: iconv -f LATIN1 -t UTF-8 premise.txt"
EXAMPLE = 'polaris write "a lighthouse keeper who finds a letter" --words 800'


def write(
    premise: Annotated[
        str | None,
        Argument(help="What the story is about; - or nothing reads it from a pipe."),
    ] = None,
    words: o.Words = None,
    model: o.Model = None,
    revision: o.Revision = None,
    preset: o.PresetName = None,
    form: o.Form = None,
    length: o.Length = None,
    chapters: o.Chapters = None,
    headings: o.Headings = None,
    plan: o.PlanFile = None,
    plan_only: o.PlanOnly = False,
    continued: o.Continued = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    top_k: o.TopK = None,
    min_p: o.MinP = None,
    repetition_penalty: o.RepetitionPenalty = None,
    presence_penalty: o.PresencePenalty = None,
    dry_multiplier: o.DryMultiplier = None,
    seed: o.Seed = None,
    max_new_tokens: o.MaxNewTokens = None,
    think: o.Think = None,
    show_thinking: o.ShowThinking = False,
    thinking_output: o.ThinkingFile = None,
    thinking_budget: o.ThinkingBudget = None,
    quantize: o.Quantize = None,
    device: o.DeviceName = None,
    compile: o.Compile = None,
    band: o.Band = None,
    strict: o.Strict = False,
    output: o.StoryFile = None,
    force: o.Force = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    no_save: o.NoSave = False,
    dry_run: o.DryRun = False,
    engine: o.EngineChoice = None,
    base_url: o.BaseUrl = None,
) -> None:
    """Write a story of the length asked for and say how long it became."""
    options = {name: value for name, value in locals().items() if name in SETTINGS}
    outputs = o.Outputs(
        output, thinking_output, force, as_json, quiet, show_thinking, not no_save, strict
    )
    outputs.check(outline=plan_only)
    if continued:
        text = read_text(continued)
        prepared = prepare(
            premise or opening(text), {**options, "length": "extend", "think": False}
        )
        raise Exit(run(prepared, outputs, partial(start_after, prepared, text)))
    outline = read_outline(plan) if plan else None
    if outline:
        options |= {"words": words or outline.words, "chapters": len(outline.chapters)}
    if plan_only:
        options["chapters"] = chapters or "auto"
    prepared = prepare(read_premise(premise), options)
    if dry_run:
        print_dry_run(prepared, as_json=as_json)
    elif plan_only:
        raise Exit(run_outline(prepared, outputs))
    else:
        outline = outline and outline.shared(prepared.request.words)
        raise Exit(run(prepared, outputs, partial(start, prepared, outline=outline)))


def read_text(path: Path) -> str:
    """A text to go on with. Raises UsageError for a file that cannot be read or holds none."""
    try:
        text = path.read_text("utf-8-sig").strip()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeError as error:
        raise UsageError(f"{path} is not UTF-8 text.", hint=UTF8_HINT) from error
    if not text:
        raise UsageError(f"{path} holds no text.", hint=f"Begin a new story: {EXAMPLE}")
    return text


def opening(text: str, words: int = 40) -> str:
    """The beginning of a text, which says what it is about where no premise does."""
    return " ".join(text.split()[:words])


def read_premise(given: str | None) -> str:
    """The premise of the command line, or of a pipe when it is "-" or not given.

    Raises UsageError when there is none to be had, or when it is not UTF-8.
    """
    if given is None and sys.stdin.isatty():
        raise UsageError("No premise was given.", hint=f"Say what it is about: {EXAMPLE}")
    try:
        if given is None or given == "-":
            given = sys.stdin.buffer.read().decode("utf-8-sig")
        given.encode()  # an argument that was not UTF-8 holds surrogates
    except UnicodeError as error:
        raise UsageError(
            "The premise is not UTF-8 text.",
            hint=UTF8_HINT,
        ) from error
    return given
