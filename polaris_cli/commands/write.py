"""`polaris write`: options in, a story on stdout, a report on stderr, an exit code.

Turns options into one request and hands it to the pipeline; the work itself is elsewhere.
"""

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from polaris_cli.commands.dry_run import print_dry_run
from polaris_cli.commands.running import Outputs, run
from polaris_cli.errors import UsageError
from polaris_cli.prepare import prepare

EPILOG = """Examples:

\b
  polaris write "a lighthouse keeper who finds a letter in the fog" --words 3000
  polaris write "two sisters, one violin" -w 1500 --quantize 4bit -o story.epub
  polaris write --words 2k < premise.txt > story.md

Exit codes: 0 done, 2 usage, 3 model unavailable, 4 out of memory, 5 no story,
6 with --strict: off target, 130 interrupted (the text is kept), 141 the reader closed the pipe.
"""

EXAMPLE = 'polaris write "a lighthouse keeper who finds a letter" --words 800'


def write(
    premise: Annotated[
        str | None,
        Argument(help="What the story is about; - or nothing reads it from a pipe."),
    ] = None,
    words: Annotated[
        str | None, Option("--words", "-w", metavar="N", help="Length: 3000, 3k or 2.5k words.")
    ] = None,
    model: Annotated[
        str | None,
        Option(
            "--model",
            "-m",
            help="auto, polaris, no-hri, base, base-27b, demo, a folder or a hub id.",
        ),
    ] = None,
    revision: Annotated[
        str | None, Option("--revision", help="Branch, tag or commit of the model's repository.")
    ] = None,
    preset: Annotated[
        str | None, Option("--preset", "-p", help="A preset's name or file (see: polaris presets).")
    ] = None,
    form: Annotated[
        str | None, Option("--form", help="story, flash, scene, essay, review or podcast.")
    ] = None,
    temperature: Annotated[
        float | None, Option(help="Higher is wilder; the card: 0.4-1.0.")
    ] = None,
    top_p: Annotated[float | None, Option(help="Share of probability to sample from.")] = None,
    top_k: Annotated[
        int | None, Option(help="Number of tokens to sample from; 0: no limit.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, Option(help="1.0 is none; the card: to 1.1.")
    ] = None,
    presence_penalty: Annotated[
        float | None, Option(help="0 is none; instead of the other.")
    ] = None,
    seed: Annotated[int | None, Option(help="The same seed gives the same story.")] = None,
    max_new_tokens: Annotated[
        int | None, Option(help="Token limit; default: follows the words.")
    ] = None,
    think: Annotated[bool | None, Option("--think/--no-think", help="Plan before writing.")] = None,
    show_thinking: Annotated[
        bool, Option("--show-thinking", help="Print the thinking too, on stderr.")
    ] = False,
    thinking_output: Annotated[
        Path | None, Option(metavar="FILE", help="Save the thinking to a file.")
    ] = None,
    thinking_budget: Annotated[
        int | None, Option(help="Tokens of thinking before the story must begin; -1: no limit.")
    ] = None,
    quantize: Annotated[str | None, Option(help="auto, none, 8bit or 4bit.")] = None,
    device: Annotated[str | None, Option(help="auto, cuda, cuda:N, mps or cpu.")] = None,
    band: Annotated[
        str | None, Option(metavar="LO-HI", help="Ratios that count as on target: 0.9-1.1.")
    ] = None,
    strict: Annotated[
        bool, Option("--strict", help="Exit 6 when cut off or outside the band.")
    ] = False,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="FILE", help="Save as txt, md, html, epub, docx or json."),
    ] = None,
    force: Annotated[bool, Option("--force", help="Overwrite existing files.")] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the full record instead of the story.")
    ] = False,
    quiet: Annotated[
        bool, Option("--quiet", "-q", help="The story alone: no progress, no report.")
    ] = False,
    no_save: Annotated[bool, Option("--no-save", help="Keep nothing in the library.")] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show prompt, settings and needs; load nothing.")
    ] = False,
    engine: Annotated[str | None, Option(help="What runs the model: local.")] = None,
    base_url: Annotated[str | None, Option(hidden=True)] = None,
) -> None:
    """Write a story of the length asked for and say how long it became."""
    options: dict[str, object] = {
        "words": words,
        "model": model,
        "revision": revision,
        "preset": preset,
        "form": form,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "repetition_penalty": repetition_penalty,
        "presence_penalty": presence_penalty,
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        "think": think,
        "thinking_budget": thinking_budget,
        "quantize": quantize,
        "device": device,
        "band": band,
        "engine": engine,
        "base_url": base_url,
    }
    outputs = Outputs(
        story=output,
        thinking=thinking_output,
        force=force,
        as_json=as_json,
        quiet=quiet,
        show_thinking=show_thinking,
        save=not no_save,
        strict=strict,
    )
    outputs.check()
    prepared = prepare(read_premise(premise), options)
    if dry_run:
        print_dry_run(prepared, as_json=as_json)
    else:
        raise Exit(run(prepared, outputs))


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
            hint="Save it as UTF-8, for instance: iconv -f LATIN1 -t UTF-8 premise.txt",
        ) from error
    return given
