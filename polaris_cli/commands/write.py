"""`polaris write`: options in, a story on stdout, a report on stderr, an exit code.

Turns options into one request and hands it to the pipeline; the work itself is elsewhere.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit

from polaris_cli.commands import options as o
from polaris_cli.commands.dry_run import print_dry_run
from polaris_cli.commands.running import hand_back, is_long_enough, run, write_plan
from polaris_cli.errors import UsageError
from polaris_cli.formats.drafts import read_draft
from polaris_cli.request.settings import SETTINGS
from polaris_cli.story.plan_file import PlanFile, read_plan
from polaris_cli.story.prepare import prepare

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
    outputs.check(plan=plan_only)
    check_together(options, plan=plan, plan_only=plan_only, continued=continued, premise=premise)
    planned = read_plan(plan) if plan else None
    if continued:
        options |= {"length": length or "extend", "think": False}
        about = read_premise(premise) if premise == "-" else premise
        job = prepare(about, options, read_draft(continued))
    else:
        options = in_chapters(options, planned, plan_only)
        job = prepare(read_premise(premise), options, plan=planned.plan if planned else None)
    if dry_run:
        print_dry_run(job, as_json=as_json)
    elif plan_only:
        raise Exit(write_plan(job, outputs))
    elif continued and is_long_enough(job.request):
        raise Exit(hand_back(job, outputs))
    else:
        raise Exit(run(job, outputs))


def in_chapters(
    options: dict[str, object], plan: PlanFile | None, plan_only: bool
) -> dict[str, object]:
    """The options with what a plan says of words and chapters, or with chapters for a plan."""
    if plan:
        words = options["words"] or plan.words
        return options | {"words": words, "chapters": len(plan.plan.chapters)}
    return options | {"chapters": options["chapters"] or "auto"} if plan_only else options


def check_together(
    options: Mapping[str, object],
    *,
    plan: Path | None,
    plan_only: bool,
    continued: str | None,
    premise: str | None,
) -> None:
    """Raise UsageError for options that contradict each other."""
    chapters, length = options["chapters"], options["length"]
    in_chapters = {"--plan": plan, "--plan-only": plan_only, "--chapters": chapters}
    given = [name for name, value in in_chapters.items() if value]
    if given and length in ("single", "extend"):
        raise _contradiction(given[0], f"--length {length}")
    if plan and (plan_only or chapters not in (None, "auto")):
        raise _contradiction("--plan", "--plan-only" if plan_only else "--chapters")
    if continued and given:
        raise _contradiction("--continue", given[0])
    if continued and length == "chapters":
        raise _contradiction("--continue", "--length chapters")
    if continued and options["think"]:
        raise _contradiction("--continue", "--think")
    if continued == "-" and premise == "-":
        raise UsageError(
            "The premise and the draft cannot both come from standard input.",
            hint="Give the draft as a file: --continue draft.txt",
        )


def _contradiction(one: str, other: str) -> UsageError:
    return UsageError(f"{one} and {other} contradict each other.", hint=f"Leave out {other}.")


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
