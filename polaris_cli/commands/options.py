"""Options that several commands share, and where they lead: `Outputs`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from polaris_cli.formats.export import check_output
from polaris_cli.formats.files import check_distinct, check_place
from polaris_cli.library.store import library_path

# What a story is to be.
Words = Annotated[
    str | None, Option("--words", "-w", metavar="N", help="Length: 3000, 3k or 2.5k words.")
]
Model = Annotated[
    str | None,
    Option(
        "--model", "-m", help="auto, polaris, no-hri, base, base-27b, demo, a folder or a hub id."
    ),
]
Revision = Annotated[
    str | None, Option("--revision", help="Branch, tag or commit of the model's repository.")
]
PresetName = Annotated[
    str | None, Option("--preset", "-p", help="A preset's name or file (see: polaris presets).")
]
Form = Annotated[str | None, Option(help="story, flash, scene, essay, review or podcast.")]
Length = Annotated[
    str | None,
    Option(
        help="How to reach the words: single (one pass), extend (go on after an early end), "
        "chapters, or auto (single while the model is good at that length, else chapters)."
    ),
]
Chapters = Annotated[
    str | None, Option(metavar="N|auto", help="Write in so many chapters, each asked for alone.")
]
Headings = Annotated[
    bool | None, Option("--headings/--no-headings", help="Name the chapters in the text.")
]
PlanFile = Annotated[
    Path | None, Option("--plan", metavar="FILE", help="Write by a plan of chapters (TOML).")
]
PlanOnly = Annotated[
    bool, Option("--plan-only", help="Make the plan of chapters alone, for -o plan.toml.")
]
Continued = Annotated[
    str | None,
    Option(
        "--continue",
        metavar="FILE",
        help="Go on with a text of yours (txt, md, html, epub, docx, json; - reads a pipe), "
        "up to --words in all.",
    ),
]
Temperature = Annotated[
    str | None, Option(metavar="X", help="Higher is wilder; the card: 0.4-1.0.")
]
TopP = Annotated[str | None, Option(metavar="P", help="Share of probability to sample from.")]
TopK = Annotated[
    str | None, Option(metavar="N", help="Number of tokens to sample from; 0: no limit.")
]
MinP = Annotated[
    str | None,
    Option(metavar="P", help="Drop tokens below this fraction of the top probability; 0: none."),
]
RepetitionPenalty = Annotated[
    str | None, Option(metavar="X", help="1.0 is none; the card: to 1.1.")
]
PresencePenalty = Annotated[
    str | None, Option(metavar="X", help="0 is none; instead of the other.")
]
DryMultiplier = Annotated[
    str | None, Option(metavar="X", help="Against what was said before (DRY); 0 is none.")
]
Seed = Annotated[str | None, Option(metavar="N", help="The same seed gives the same story.")]
MaxNewTokens = Annotated[
    str | None, Option(metavar="N", help="Token limit; default: follows the words.")
]
Think = Annotated[bool | None, Option("--think/--no-think", help="Plan before writing.")]
ThinkingBudget = Annotated[
    str | None,
    Option(metavar="N", help="Tokens of thinking before the story must begin; -1: no limit."),
]
Quantize = Annotated[str | None, Option(help="auto, none, 8bit or 4bit.")]
DeviceName = Annotated[str | None, Option("--device", help="auto, cuda, cuda:N, mps or cpu.")]
Compile = Annotated[
    bool | None,
    Option("--compile/--no-compile", help="Record the steps on a graphics card, and replay them."),
]
Band = Annotated[
    str | None, Option(metavar="LO-HI", help="Ratios that count as on target: 0.9-1.1.")
]
DryRun = Annotated[bool, Option("--dry-run", help="Show prompt, settings and needs; load nothing.")]
EngineChoice = Annotated[str | None, Option("--engine", help="What runs the model: local.")]
BaseUrl = Annotated[str | None, Option(hidden=True)]

# What becomes of it.
StoryFile = Annotated[
    Path | None,
    Option("--output", "-o", metavar="FILE", help="Save as txt, md, html, epub, docx or json."),
]
ThinkingFile = Annotated[
    Path | None, Option("--thinking-output", metavar="FILE", help="Save the thinking to a file.")
]
Force = Annotated[bool, Option("--force", help="Overwrite existing files.")]
AsJson = Annotated[bool, Option("--json", help="Print the full record instead of the story.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="The story alone: no progress, no report.")]
ShowThinking = Annotated[bool, Option("--show-thinking", help="Print the thinking too, on stderr.")]
NoSave = Annotated[bool, Option("--no-save", help="Keep nothing in the library.")]
Strict = Annotated[
    bool, Option("--strict", help="Exit 6 when cut off, looping or outside the band.")
]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a story goes besides stdout, and how much is said about it."""

    story: Path | None = None
    thinking: Path | None = None
    force: bool = False
    as_json: bool = False
    quiet: bool = False
    show_thinking: bool = False
    save: bool = True
    strict: bool = False

    def check(self, *, plan: bool = False) -> None:
        """Raise UsageError for files that cannot be written, before anything is loaded.

        An `plan` is TOML, whatever its file is called.
        """
        if self.story and plan:
            check_place(self.story, force=self.force)
        elif self.story:
            check_output(self.story, force=self.force)
        if self.thinking:
            check_place(self.thinking, force=self.force)
        check_distinct(
            {
                "--output": self.story,
                "--thinking-output": self.thinking,
                "the library": library_path() if self.save else None,
            }
        )
