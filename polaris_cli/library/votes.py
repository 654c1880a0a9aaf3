"""A reader's choice between stories of different models: `Vote`. Knows no tables."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vote:
    """The ids of the stories, their models in the same order, and the model chosen ("": none)."""

    stories: tuple[str, ...]
    models: tuple[str, ...]
    chosen: str
