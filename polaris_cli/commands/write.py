"""`polaris write`: turns options into one job and runs it.

Knows the options and reads the premise; `prepare` checks the request and `running` writes it.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit

from polaris_cli.commands import options as o
from polaris_cli.commands.drafts import Choose, check_files, chosen_by, run_drafts
from polaris_cli.commands.dry_run import print_dry_run
from polaris_cli.commands.outputs import Outputs
from polaris_cli.commands.running import draft_is_long_enough, return_draft, run, write_plan
from polaris_cli.errors import UsageError
from polaris_cli.formats.cover import read_cover
from polaris_cli.formats.drafts import read_draft
from polaris_cli.request.conflicts import check_needed, check_options
from polaris_cli.request.settings import SETTINGS, naming_sources
from polaris_cli.request.text_files import check_whole, read_stdin
from polaris_cli.story.plan_file import read_plan
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
  polaris write "the last train" -w 800 --drafts 5 > best.txt
  polaris write "the last train" -w 800 -m model.gguf --threads 4
  polaris write "the last train" -w 3000 --base-url http://127.0.0.1:8000/v1

Exit codes: 0 done, 2 usage, 3 model unavailable, 4 out of memory, 5 no story,
6 off target (with --strict), 8 an output could not be written, 130 interrupted
(the text is kept), 141 broken pipe.
"""

UTF8_HINT = "Set a UTF-8 locale, or save the premise as UTF-8: polaris write < premise.txt"
EXAMPLE = 'polaris write "a lighthouse keeper who finds a letter" --words 800'


def write(
    premise: Annotated[
        str | None,
        Argument(help="What the story is about; without it, or with -, it is read from a pipe."),
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
    repetition_window: o.RepetitionWindow = None,
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
    title: o.Title = None,
    author: o.Author = None,
    language: o.Language = None,
    cover: o.CoverImage = None,
    output: o.StoryFiles = None,
    force: o.Force = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    no_save: o.NoSave = False,
    dry_run: o.DryRun = False,
    engine: o.EngineChoice = None,
    gguf_file: o.GgufFile = None,
    threads: o.Threads = None,
    base_url: o.BaseUrl = None,
    api_key_env: o.ApiKeyEnv = None,
    connect_timeout: o.ConnectTimeout = None,
    stall_timeout: o.StallTimeout = None,
    drafts: o.Drafts = 1,
    best: o.BestDraft = None,
    judge_model: o.JudgeModel = None,
    judge_url: o.JudgeUrl = None,
    rubric: o.RubricName = None,
    print_all: o.AllDrafts = False,
) -> None:
    """Write a story of the length you ask for, and report its length."""
    options = {name: value for name, value in locals().items() if name in SETTINGS}
    outputs = Outputs(
        output, thinking_output, force, as_json, quiet, show_thinking, not no_save, strict
    )
    if best != "judge":
        asked = {"--judge-model": judge_model, "--judge-url": judge_url, "--rubric": rubric}
        check_needed("--best judge", "--best judge --drafts 5", asked)
    if best == "judge":
        way: Choose = _draft_judge(judge_model, judge_url, rubric, quiet=quiet)
    else:
        way = chosen_by(best)
    if drafts == 1 and (best or print_all):
        raise UsageError("--best and --all choose among drafts.", hint="Add --drafts 5")
    if plan_only:
        _check_plan_only(outputs, drafts, dry_run=dry_run)
    if drafts > 1:
        _check_drafts(outputs, drafts)
    else:
        outputs.check(plan=plan_only)
    check_options(options, plan=bool(plan), plan_only=plan_only, draft=continued, premise=premise)
    planned = read_plan(plan) if plan else None
    options |= {"chapters": None} if planned else {}  # the plan has its own
    if continued:
        options |= {"length": length or "extend", "think": False}
        premise = read_premise(premise) if premise == "-" else premise
        job = prepare(premise, options, read_draft(continued))
    else:
        options |= {"chapters": chapters or "auto"} if plan_only else {}
        job = prepare(read_premise(premise), options, plan=planned)
    with naming_sources(job.settings):
        if job.request.book.cover:
            read_cover(Path(job.request.book.cover))  # raises before the model is loaded
        if dry_run:
            return print_dry_run(job, drafts, as_json=as_json, plan_only=plan_only)
    if plan_only:
        raise Exit(write_plan(job, outputs))
    if continued and draft_is_long_enough(job.request):
        raise Exit(return_draft(job, outputs))
    if drafts > 1:
        raise Exit(run_drafts(job, outputs, drafts, way, print_all=print_all))
    raise Exit(run(job, outputs))


def _check_plan_only(outputs: Outputs, drafts: int, *, dry_run: bool) -> None:
    """Raise UsageError for an option that --plan-only contradicts."""
    if drafts > 1:
        raise UsageError("--drafts writes stories, and --plan-only a plan.", hint="Leave one out.")
    if outputs.strict:
        raise UsageError(
            "--strict looks at a story, and --plan-only writes a plan.", hint="Leave one out."
        )
    if outputs.as_json and not dry_run:
        raise UsageError("--plan-only prints the plan as TOML.", hint="Leave out --json.")


def _check_drafts(outputs: Outputs, drafts: int) -> None:
    """Raise UsageError for outputs that several drafts cannot have."""
    if outputs.show_thinking:
        raise UsageError(
            "--show-thinking shows one story, and --drafts writes several at once.",
            hint="Use --thinking-output FILE.",
        )
    check_files(outputs, drafts)


def _draft_judge(model: str | None, url: str | None, rubric: str | None, *, quiet: bool) -> Choose:
    # Few stories need them, and they take long to import.
    from polaris_cli.commands.draft_judge import DraftJudge
    from polaris_cli.commands.judge_run import judge_named

    return DraftJudge(judge_named(model, url, rubric, option="--best judge", quiet=quiet))


def read_premise(given: str | None, example: str = EXAMPLE) -> str:
    """The premise from the command line, or from stdin if it is "-" or not given.

    Raises UsageError if there is none, if it is not UTF-8, or if it is the name of a file.
    """
    if given is None and sys.stdin.isatty():
        raise UsageError("There is no premise.", hint=f"Say what the story is about: {example}")
    if given is None or given == "-":
        return read_stdin("The premise")
    check_whole(given, "The premise", hint=UTF8_HINT)
    if Path(given).suffix and os.path.isfile(given):  # noqa: PTH113  (Path.is_file may raise)
        raise UsageError(
            f"The premise is the name of a file: {given}.",
            hint=f"To take the premise from the file, use < {given}; to continue it, --continue.",
        )
    return given
