"""A text to evaluate: `Sample`. Knows nothing of files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Pair = tuple[str, int, int | None]
"""What texts of different models are compared by: prompt, words asked for, seed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, the words that were asked for (0: unknown), and what is known of how it came about.

    Texts of different models with the same `prompt`, `asked` and `seed` are compared with each
    other, by `prompt_id` if there is no prompt: two files may number their rows alike. `finish` is
    the finish reason, "" if unknown; `closed` says that the text was ended at its length, before
    the model ended it. Surprise is in nats, None if not recorded. `checklist` are criteria for this
    text alone. `made` says how the text was written: "engine", "machine" and other settings as
    people read them. `scale` is what an evaluation has multiplied the length by. `model_id` is set
    where other models may have the same name: a folder or file. `story_id` is that of a story of
    polaris, which several sources may have.
    """

    text: str
    asked: int
    model: str = ""
    prompt: str = ""
    prompt_id: str = ""
    seed: int | None = None
    finish: str = ""
    surprise: float | None = None
    surprise_worst: float | None = None
    checklist: tuple[str, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)
    scale: float = 1.0
    model_id: str = ""
    closed: bool = False
    story_id: str = ""

    @property
    def ending(self) -> str:
        """How the text ended: "closed", or the finish reason."""
        return "closed" if self.closed else self.finish

    @property
    def pair(self) -> Pair:
        """What it is compared by."""
        return self.prompt or self.prompt_id, self.asked, self.seed
