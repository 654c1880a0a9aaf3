"""What the user asks for, checked once and frozen: `StoryRequest` with its `Sampling`.

Knows the allowed values. Does not know where they come from (`settings`), how the prompt is worded
(`prompts`), or how many tokens a story needs (`budget`).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from polaris_cli.errors import UsageError, WrongValue
from polaris_cli.events import Plan
from polaris_cli.request.book import Book
from polaris_cli.request.premise_kinds import named_form
from polaris_cli.request.server_address import EXAMPLE, ServerAddress

Form = Literal["story", "flash", "scene", "essay", "review", "podcast"]
NARRATIVE = ("story", "flash", "scene")
NOT_NARRATIVE = ("essay", "review", "podcast", "script")
Quantize = Literal["auto", "none", "8bit", "4bit"]
EngineName = Literal["auto", "local", "gguf", "endpoint"]
Length = Literal["auto", "single", "extend", "chapters"]

FORMS: tuple[str, ...] = get_args(Form)
QUANTIZE: tuple[str, ...] = get_args(Quantize)
ENGINES: tuple[str, ...] = get_args(EngineName)
LENGTHS: tuple[str, ...] = get_args(Length)

PLAIN_TEMPLATE = "Write a {words}-word {form} about {premise}."
OPENING_WORDS = 40  # the premise of a draft that has none: its first words,
OPENING_LETTERS = 400  # and no more of a text without spaces, such as Chinese
COLDEST = 1e-5  # below it, a temperature is 0, as for vLLM: only rounding would be sampled
MAX_WORDS = 200_000  # more than the context of any known model holds
MAX_CHAPTERS = 200


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are sampled, and how many.

    `temperature` 0 is greedy decoding, and so is any below `COLDEST`. `top_p` and `min_p` are
    probabilities; `top_k` 0 is no limit. `repetition_penalty` (1.0 is off) applies to tokens of the
    prompt and the output that are among the last `repetition_window` tokens (0: all),
    `presence_penalty` (0 is off) to all tokens of the output. `dry_multiplier` scales the DRY
    penalty on repeated sequences; 0 is off. `thinking_budget` is the most tokens of thinking, -1
    for no limit, 0 for no thinking. `max_new_tokens` None derives the limit from the words.
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 20
    min_p: float = 0.0
    repetition_penalty: float = 1.1
    repetition_window: int = 0
    presence_penalty: float = 0.0
    dry_multiplier: float = 0.0
    seed: int = 0
    max_new_tokens: int | None = None
    thinking: bool = True
    thinking_budget: int = 4096

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        _in_range("temperature", self.temperature, 0.0, 5.0)
        _in_range("top_p", self.top_p, 0.0, 1.0, above=True)
        _in_range("min_p", self.min_p, 0.0, 1.0)
        _in_range("top_k", self.top_k, 0, 1_000_000)
        _in_range("repetition_penalty", self.repetition_penalty, 0.01, 10.0)
        _in_range("repetition_window", self.repetition_window, 0, 1_000_000)
        _in_range("presence_penalty", self.presence_penalty, -2.0, 2.0)
        _in_range("dry_multiplier", self.dry_multiplier, 0.0, 100.0)
        _in_range("seed", self.seed, 0, 2**63 - 1)
        _in_range("thinking_budget", self.thinking_budget, -1, 1_000_000)
        if 0 < self.temperature < COLDEST:  # scores divided by it could be infinite
            object.__setattr__(self, "temperature", 0.0)
        if self.max_new_tokens is not None:
            _in_range("max_new_tokens", self.max_new_tokens, 1, 1_000_000)
        if self.repetition_penalty != 1.0 and self.presence_penalty != 0.0:
            raise UsageError(
                "--repetition-penalty and --presence-penalty are both set, but the model card "
                "allows only one.",
                hint="To use the presence penalty alone: --repetition-penalty 1.0",
            )

    @property
    def thinks(self) -> bool:
        """Whether the model thinks before the story."""
        return self.thinking and self.thinking_budget != 0

    def at(self, position: int) -> "Sampling":
        """The same with a seed for an answer that goes on behind `position` tokens."""
        return replace(self, seed=(self.seed + position * 2_654_435_761) % 2**63)

    def redrawn(self, times: int = 1) -> "Sampling":
        """The same with another seed, to sample again after a loop."""
        return replace(self, seed=(self.seed + times * 7_368_787) % 2**63)


@dataclass(frozen=True, slots=True)
class Draft:
    """The user's own text, which the story starts with, unchanged.

    `front_matter` is the YAML block at the top of its file, which is not part of the story.
    `premise`, `words` (a length), `title`, `author` and `language` come from the file; "" and None
    if it has none.
    """

    text: str
    front_matter: str = ""
    premise: str = ""
    words: int | None = None
    title: str = ""
    author: str = ""
    language: str = ""

    @property
    def settings(self) -> dict[str, object]:
        """The settings that its file has."""
        names = ("words", "title", "author", "language")
        return {name: value for name in names if (value := getattr(self, name))}

    @property
    def about(self) -> str:
        """The draft's premise, or its first words if it has none."""
        first = " ".join(self.text.split()[:OPENING_WORDS])
        return self.premise or first[:OPENING_LETTERS]


@dataclass(frozen=True, slots=True)
class StoryRequest:
    """What to write, how long, with which model and which settings.

    `words` is counted as `wc -w` does. `template` is the preset's prompt template with the fields
    {premise}, {words} and {form}. `length` is how to reach the words: one pass (single), continuing
    after an early end (extend), in chapters, or whichever suits the length (auto). `chapters` is
    their number, None to derive it from the words; `headings` puts their titles in the text.
    `compile` allows CUDA graphs, `gguf_file` names a file in a repository of GGUF files, `threads`
    is the number of CPU threads (None: one for each idle core). `server` is set for the engine
    `endpoint` only. `band` is the lowest and highest ratio (written / asked) that is on target.
    `draft` is a text to continue; its words count. `plan` is the user's own plan of chapters,
    `book` what the files say of the story.
    """

    premise: str
    words: int
    form: Form = "story"
    model: str = "auto"
    revision: str | None = None
    preset: str = "default"
    template: str = PLAIN_TEMPLATE
    sampling: Sampling = field(default_factory=Sampling)
    quantize: Quantize = "auto"
    device: str = "auto"
    compile: bool = True
    engine: EngineName = "auto"
    gguf_file: str | None = None
    threads: int | None = None
    server: ServerAddress | None = None
    length: Length = "single"
    chapters: int | None = None
    headings: bool = True
    band: tuple[float, float] = (0.90, 1.10)
    draft: Draft | None = None
    plan: Plan | None = None
    book: Book = field(default_factory=Book)

    @property
    def narrative(self) -> bool:
        """Whether the form tells a story, in which nobody speaks of the text or to its reader.

        The form that the premise asks for counts, too: "Write an essay on silence".
        """
        return self.form in NARRATIVE and named_form(self.premise) not in NOT_NARRATIVE

    def __post_init__(self) -> None:
        """Raise UsageError for values that are invalid for every model."""
        if not isinstance(self.premise, str):
            raise WrongValue("premise", repr(self.premise), "be text")
        if not self.premise.strip():
            raise UsageError(
                "The premise is empty.",
                hint='Say what the story is about: polaris write "a lighthouse keeper" --words 800',
            )
        check_words(self.words)
        _one_of("form", self.form, FORMS)
        _one_of("quantize", self.quantize, QUANTIZE)
        _one_of("engine", self.engine, ENGINES)
        _one_of("length", self.length, LENGTHS)
        if self.chapters is not None:
            _in_range("chapters", self.chapters, 2, MAX_CHAPTERS)
        if self.draft and (self.length == "chapters" or self.sampling.thinks):
            raise UsageError(
                "A draft cannot be continued in chapters or with thinking.",
                hint="Leave out --chapters and --length chapters, and add --no-think; in Python, "
                "set the thinking of the request's Sampling to False.",
            )
        check_band(self.band)
        if self.threads is not None:
            _in_range("threads", self.threads, 1, 1024)
        if self.server:
            check_uses_server(self.engine)
        if self.engine == "endpoint" and not self.server:
            raise UsageError(
                "The engine endpoint needs the address of a server.", hint=f"Add {EXAMPLE}"
            )


def check_words(words: int) -> None:
    """Raise UsageError for a length that no story can have."""
    _in_range("words", words, 1, MAX_WORDS)


def check_band(band: tuple[float, float]) -> None:
    """Raise UsageError for what is not two ratios, and for ratios that are not a band around 1."""
    try:
        low, high = band
        shown, fits = f"{low:g}-{high:g}", 0 < low <= 1 <= high < math.inf
    except (TypeError, ValueError):
        raise WrongValue("band", repr(band), "be two ratios", "0.9-1.1") from None
    if not fits:
        raise WrongValue("band", shown, "contain the ratio 1", "0.9-1.1")


def check_uses_server(engine: str) -> None:
    """Raise UsageError if a server is named for an engine that uses none."""
    if engine in ("local", "gguf"):
        raise UsageError(
            f"--base-url is set, but the engine {engine} uses no server.",
            hint="Leave out --base-url, or use --engine endpoint.",
        )


def _in_range(name: str, value: float, low: float, high: float, *, above: bool = False) -> None:
    """Raise WrongValue for a value outside the range, and for a number that is not whole if the
    bounds are."""
    whole = isinstance(low, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise WrongValue(name, repr(value), f"be a {'whole ' if whole else ''}number")
    inside = math.isfinite(value) and low <= value <= high and not (above and value == low)
    if not inside:
        least, most = _shown(low), _shown(high)
        allowed = f"above {least}, at most {most}" if above else f"from {least} to {most}"
        raise WrongValue(name, _shown(value), f"be {allowed}")


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _one_of(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise UsageError(
            f"{name}: {value!r} is not one of {', '.join(allowed)}.", hint="Choose one of these."
        )
