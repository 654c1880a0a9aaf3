"""Options that several commands share.

Knows names and help texts; `request.settings` reads and checks the values.
"""

from pathlib import Path
from typing import Annotated, Any

from typer import Option


def written_file(*names: str, help: str) -> Any:
    """An option for a file to write: with --force, also one that may not be read is replaced."""
    return Option(*names, metavar="FILE", help=help, readable=False)


# What to write, and how.
Words = Annotated[
    str | None, Option("--words", "-w", metavar="N", help="Length in words: 3000, 3k or 2.5k.")
]
Model = Annotated[
    str | None,
    Option(
        "--model",
        "-m",
        help="auto, polaris, no-hri, base, base-27b, smollm2, demo, FILE.gguf, a folder or hub id.",
    ),
]
Revision = Annotated[
    str | None, Option("--revision", help="Branch, tag or commit of the model on the hub.")
]
PresetName = Annotated[
    str | None, Option("--preset", "-p", help="A preset's name or file (see: polaris presets).")
]
Form = Annotated[str | None, Option(help="story, flash, scene, essay, review or podcast.")]
Length = Annotated[
    str | None,
    Option(
        help="How to reach the length: single (one pass), extend (more after an early end), "
        "chapters, or auto, the default (extend if the model writes this length well in one pass, "
        "else chapters)."
    ),
]
Chapters = Annotated[
    str | None,
    Option(metavar="N|auto", help="Write the story in this many chapters, one at a time."),
]
Headings = Annotated[
    bool | None, Option("--headings/--no-headings", help="Put chapter headings in the text.")
]
PlanFile = Annotated[
    Path | None, Option("--plan", metavar="FILE", help="Write the chapters in this plan (TOML).")
]
PlanOnly = Annotated[
    bool,
    Option("--plan-only", help="Only write a plan of chapters, and save it with -o plan.toml."),
]
Continued = Annotated[
    str | None,
    Option(
        "--continue",
        metavar="FILE",
        help="Continue your own text (txt, md, html, epub, docx, json; - reads a pipe) "
        "to --words in total.",
    ),
]
Temperature = Annotated[
    str | None, Option(metavar="X", help="Randomness; 0 is greedy, the model card says 0.4-1.0.")
]
TopP = Annotated[
    str | None,
    Option(metavar="P", help="Sample from the most likely tokens with this total probability."),
]
TopK = Annotated[
    str | None,
    Option(metavar="N", help="Sample from this many of the most likely tokens; 0: no limit."),
]
MinP = Annotated[
    str | None,
    Option(metavar="P", help="Drop tokens below this fraction of the top probability; 0: none."),
]
RepetitionPenalty = Annotated[
    str | None, Option(metavar="X", help="Penalty on repeated tokens; 1.0 is off.")
]
RepetitionWindow = Annotated[
    str | None,
    Option(metavar="N", help="Tokens that the repetition penalty looks back; 0: all of them."),
]
PresencePenalty = Annotated[
    str | None,
    Option(
        metavar="X",
        help="Penalty on tokens already written; 0 is off. Needs --repetition-penalty 1.",
    ),
]
DryMultiplier = Annotated[
    str | None, Option(metavar="X", help="DRY penalty on repeated phrases; 0 is off.")
]
Seed = Annotated[
    str | None, Option(metavar="N", help="Random seed; the same seed gives the same story.")
]
MaxNewTokens = Annotated[
    str | None, Option(metavar="N", help="Token limit; by default it follows from --words.")
]
Think = Annotated[
    bool | None, Option("--think/--no-think", help="Let the model think before it writes.")
]
ThinkingBudget = Annotated[
    str | None,
    Option(metavar="N", help="Maximum number of thinking tokens; -1: no limit."),
]
Quantize = Annotated[str | None, Option(help="Quantize the weights: auto, none, 8bit or 4bit.")]
DeviceName = Annotated[str | None, Option("--device", help="auto, cuda, cuda:N, mps or cpu.")]
Compile = Annotated[
    bool | None,
    Option("--compile/--no-compile", help="Use CUDA graphs."),
]
Band = Annotated[
    str | None,
    Option(metavar="LO-HI", help="Ratios (words written / words asked) that count as on target."),
]
DryRun = Annotated[
    bool, Option("--dry-run", help="Show prompt, settings, tokens, time and memory; load nothing.")
]
EngineChoice = Annotated[
    str | None,
    Option(
        "--engine",
        help="local (transformers), gguf (llama.cpp), endpoint (a server), or auto: gguf for a "
        "GGUF file, else local.",
    ),
]
GgufFile = Annotated[
    str | None,
    Option(
        "--gguf-file",
        metavar="NAME",
        help="Which file of a GGUF repository to use; by default the largest that fits.",
    ),
]
Threads = Annotated[
    str | None,
    Option(metavar="N", help="CPU threads; by default one for each idle core."),
]
BaseUrl = Annotated[
    str | None,
    Option(
        metavar="URL",
        help="Use the model on this OpenAI-compatible server, such as http://127.0.0.1:8000/v1.",
    ),
]
ApiKeyEnv = Annotated[
    str | None,
    Option(
        metavar="NAME",
        help="Environment variable with the server's key; by default POLARIS_API_KEY, then "
        "OPENAI_API_KEY.",
    ),
]
ConnectTimeout = Annotated[
    str | None, Option(metavar="S", help="Seconds to wait for a connection to the server.")
]
StallTimeout = Annotated[
    str | None, Option(metavar="S", help="Seconds without text before giving up on the server.")
]

# Several stories for one request.
Drafts = Annotated[
    int, Option("--drafts", metavar="N", min=1, max=1000, help="Write N drafts, print the best.")
]
BestDraft = Annotated[
    str | None,
    Option(
        metavar="ratio|surprise|judge",
        help="How to choose: nearest length, lowest surprise, or a judge; by default a draft "
        "without faults, in the band.",
    ),
]
JudgeModel = Annotated[
    str | None, Option("--judge-model", metavar="NAME", help="The model that judges.")
]
JudgeUrl = Annotated[
    str | None, Option("--judge-url", metavar="URL", help="The judge's server, if it is on one.")
]
RUBRIC = "story-quality"
RubricName = Annotated[
    str | None,
    Option("--rubric", metavar="NAME|FILE", help=f"What the judge scores by; by default {RUBRIC}."),
]
AllDrafts = Annotated[bool, Option("--all", help="Print all drafts, not only the best.")]

# Many stories.
Jobs = Annotated[
    str, Option("--jobs", "--batch-size", metavar="N|auto", help="Stories to write at once.")
]
OnCluster = Annotated[
    str | None,
    Option(
        "--cluster", metavar="local|auto|ADDRESS", help="Write on a Ray cluster (see Ray's docs)."
    ),
]
Workers = Annotated[
    int | None,
    Option(metavar="N", min=1, help="Models loaded at once on the cluster; by default 2."),
]
GpusPerWorker = Annotated[
    float | None,
    Option(
        "--gpus-per-worker",
        metavar="X",
        min=0,
        help="GPUs for each worker; 0.5: two share one. By default 0.",
    ),
]

# What the files say of the story.
Title = Annotated[
    str | None, Option(help="Title in the files; default: the story's own, or the premise.")
]
Author = Annotated[str | None, Option(metavar="NAME", help="Author in the files.")]
Language = Annotated[
    str | None,
    Option(metavar="TAG", help="Language in the files: en, pt-BR; default: from the script."),
]
CoverImage = Annotated[
    str | None, Option("--cover", metavar="IMAGE", help="Cover of the files: a JPEG or PNG image.")
]

# Where the story goes.
StoryFiles = Annotated[
    list[Path] | None,
    written_file(
        "--output",
        "-o",
        help="Save as txt, md, html, epub, docx or json; give it again for more files.",
    ),
]
ThinkingFile = Annotated[
    Path | None, written_file("--thinking-output", help="Save the thinking to a file.")
]
Force = Annotated[bool, Option("--force", help="Overwrite existing files.")]
AsJson = Annotated[
    bool, Option("--json", help="Print the full record as JSON instead of the story.")
]
Quiet = Annotated[
    bool, Option("--quiet", "-q", help="Print only the story: no progress, no notes, no report.")
]
# For commands that print no story.
QuietRun = Annotated[
    bool, Option("--quiet", "-q", help="Print no progress, no notes and no report.")
]
ShowThinking = Annotated[bool, Option("--show-thinking", help="Print the thinking on stderr.")]
NoSave = Annotated[bool, Option("--no-save", help="Do not save the story in the library.")]
Strict = Annotated[
    bool,
    Option(
        "--strict",
        help="Exit with 6 if the story is cut off, looping, decayed or outside the band.",
    ),
]
