"""What a user asks for, checked once and frozen: `StoryRequest` with its `Sampling`.

Knows the allowed values and nothing else: not where they came from (`config`), not how a prompt
is worded (`prompts`), not what a model needs (`budget`).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from polaris_cli.errors import UsageError
from polaris_cli.events import Plan

Form = Literal["story", "flash", "scene", "essay", "review", "podcast"]
Quantize = Literal["auto", "none", "8bit", "4bit"]
EngineName = Literal["local"]
Length = Literal["auto", "single", "extend", "chapters"]

FORMS: tuple[str, ...] = get_args(Form)
QUANTIZE: tuple[str, ...] = get_args(Quantize)
ENGINES: tuple[str, ...] = get_args(EngineName)
LENGTHS: tuple[str, ...] = get_args(Length)

PLAIN_TEMPLATE = "Write a {words}-word {form} about {premise}."
OPENING_WORDS = 40  # of a draft without a premise: they say what it is about
MAX_WORDS = 200_000  # beyond the context of every known model


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    `temperature` 0 means greedy. `top_p` and `min_p` are probabilities, `top_k` 0 means no
    limit. `repetition_penalty` counts prompt and output, `presence_penalty` the output only.
    `dry_multiplier` is that of the DRY penalty on runs of tokens said before, 0 for none.
    `thinking_budget` is in tokens: after so many the thinking is closed; -1 for no limit, 0 for
    none. `max_new_tokens` None lets the budget follow the words.
    """

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 20
    min_p: float = 0.0
    repetition_penalty: float = 1.1
    presence_penalty: float = 0.0
    dry_multiplier: float = 0.0
    seed: int = 0
    max_new_tokens: int | None = None
    thinking: bool = True
    thinking_budget: int = 4096

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        _in_range("temperature", self.temperature, 0.0, 5.0)
        _in_range("top-p", self.top_p, 0.0, 1.0, above=True)
        _in_range("min-p", self.min_p, 0.0, 1.0)
        _in_range("top-k", self.top_k, 0, 1_000_000)
        _in_range("repetition-penalty", self.repetition_penalty, 0.0, 10.0, above=True)
        _in_range("presence-penalty", self.presence_penalty, -2.0, 2.0)
        _in_range("dry-multiplier", self.dry_multiplier, 0.0, 100.0)
        _in_range("seed", self.seed, 0, 2**63 - 1)
        _in_range("thinking-budget", self.thinking_budget, -1, 1_000_000)
        if self.max_new_tokens is not None:
            _in_range("max-new-tokens", self.max_new_tokens, 1, 1_000_000)
        if self.repetition_penalty != 1.0 and self.presence_penalty != 0.0:
            raise UsageError(
                "repetition-penalty and presence-penalty are both set; the model card asks for "
                "one of them at most.",
                hint="Add --repetition-penalty 1.0 to use the presence penalty alone.",
            )

    @property
    def thinks(self) -> bool:
        """Whether the model is asked to think before the story."""
        return self.thinking and self.thinking_budget != 0

    def redrawn(self, times: int = 1) -> "Sampling":
        """The same with other draws, where the first ones led into a loop."""
        return replace(self, seed=(self.seed + times * 7_368_787) % 2**63)


@dataclass(frozen=True, slots=True)
class Draft:
    """A text of the user's own that the story begins with, word for word.

    `front_matter` is the YAML block above it in its file: it is kept, and no part of the story.
    `premise` and `words` are what the file says of itself, "" and None where it does not.
    """

    text: str
    front_matter: str = ""
    premise: str = ""
    words: int | None = None

    @property
    def about(self) -> str:
        """What the draft is about: its premise, else its first words."""
        return self.premise or " ".join(self.text.split()[:OPENING_WORDS])


@dataclass(frozen=True, slots=True)
class StoryRequest:
    """Everything asked for: what about, how long (in `wc -w` words), by which model and how.

    `template` is the prompt wording of the preset, with {premise}, {words} and {form} as fields.
    `length` says how the words are reached: in a single pass, by going on after an early end
    (extend), in chapters, or by whichever suits the length (auto); `chapters` is their number,
    None for one that suits, and `headings` whether they are named in the text. `compile` allows
    a graphics card to record its steps and replay them. `band` holds the ratios (written / asked)
    that count as on target. `draft` is a text to go on with; its words count. `plan` is a plan of
    chapters to write by, where the user has one.
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
    engine: EngineName = "local"
    base_url: str | None = None
    length: Length = "single"
    chapters: int | None = None
    headings: bool = True
    band: tuple[float, float] = (0.90, 1.10)
    draft: Draft | None = None
    plan: Plan | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for anything that cannot be right whatever the model."""
        if not self.premise.strip():
            raise UsageError(
                "The premise is empty.",
                hint='Say what the story is about: polaris write "a lighthouse keeper" --words 800',
            )
        _in_range("words", self.words, 1, MAX_WORDS)
        _one_of("form", self.form, FORMS)
        _one_of("quantize", self.quantize, QUANTIZE)
        _one_of("engine", self.engine, ENGINES)
        _one_of("length", self.length, LENGTHS)
        if self.chapters is not None:
            _in_range("chapters", self.chapters, 2, 200)
        if self.draft and (self.length == "chapters" or self.sampling.thinks):
            raise UsageError(
                "A draft is continued in one piece and without thinking.",
                hint="Leave out --chapters, --length chapters and --think.",
            )
        low, high = self.band
        if not 0 < low <= 1 <= high or not math.isfinite(high):
            raise UsageError(
                f"The band {low:g}-{high:g} does not hold the ratio 1.",
                hint="Give it as LOW-HIGH around 1, for instance --band 0.9-1.1",
            )
        if self.base_url:
            raise UsageError(
                "--base-url needs an engine that talks to a server; the local engine does not.",
                hint=f"Leave --base-url {self.base_url} away.",
            )


def _in_range(name: str, value: float, low: float, high: float, *, above: bool = False) -> None:
    inside = math.isfinite(value) and low <= value <= high and not (above and value == low)
    if not inside:
        least = f"above {low:g}" if above else f"from {low:g}"
        raise UsageError(
            f"{name} is {value:g}; it must be {least} to {high:g}.",
            hint=f"Give another value: --{name} NUMBER",
        )


def _one_of(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise UsageError(
            f"{name} is {value!r}, which is not known.",
            hint=f"Choose one of: {', '.join(allowed)}",
        )
