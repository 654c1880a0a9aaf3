"""The figures of the models' cards, by model, to show beside one's own: `CARD`.

From the model card of POLARIS-9B: 180 held-out prompts, judged by GPT-5.4. They are the authors'
figures, with their judge, prompts and settings.
"""

from dataclasses import astuple, dataclass

from polaris_cli.evaluate.groups import ALL, STAGE_NAMES
from polaris_cli.models.catalogue import CATALOGUE, ByStage, CatalogueEntry

STAGES = (*STAGE_NAMES, ALL)
Figures = tuple[float | None, ...]  # by stage; None where the card has none


@dataclass(frozen=True, slots=True)
class CardRow:
    """A model's published figures by stage."""

    ratio: Figures
    story_quality: Figures
    slope: float  # of the story quality, per length bucket
    longform: Figures | None = None

    def judged(self, rubric: str) -> dict[str, float] | None:
        """The published figures by stage of what a rubric of ours scores, None without any."""
        rows = {"story-quality": self.story_quality, "longform": self.longform}
        found = rows.get(rubric)
        stages = zip(STAGES, found or (), strict=bool(found))
        return {stage: value for stage, value in stages if value is not None} or None


JUDGED = {"story-quality": "overall_score", "longform": "uniform"}
"""The total of a rubric that the card's figures are of."""


def _card_row(entry: CatalogueEntry, slope: float) -> CardRow:
    longform = astuple(entry.eqbench) if entry.eqbench != ByStage() else None
    return CardRow(astuple(entry.profile.length_ratio), astuple(entry.quality), slope, longform)


CARD = {one.name: _card_row(one, one.slope) for one in CATALOGUE if one.slope is not None}
