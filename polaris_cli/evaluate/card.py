"""The figures that the models' authors published, to show beside one's own: `CARD`.

From the model card of POLARIS-9B: 180 held-out prompts, judged by GPT-5.4. They are the authors'
figures, with their judge, prompts and settings.
"""

from dataclasses import dataclass

STAGES = ("ID", "Near", "Far", "All")  # 1-4k, 4-8k and 8-12k words asked for


@dataclass(frozen=True, slots=True)
class CardRow:
    """A model's published figures by stage; None where the card has none."""

    ratio: tuple[float | None, float | None, float | None, float | None]
    story_quality: tuple[float, float, float, float]
    slope: float  # of the story quality, per length bucket
    longform: tuple[float, float, float, float] | None = None

    def judged(self, rubric: str) -> dict[str, float] | None:
        """The published figures by stage of what a rubric of ours scores, None without any."""
        rows = {"story-quality": self.story_quality, "longform": self.longform}
        found = rows.get(rubric)
        return dict(zip(STAGES, found, strict=True)) if found else None


JUDGED = {"story-quality": "overall_score", "longform": "uniform"}
"""The total of a rubric that the card's figures are of."""

CARD: dict[str, CardRow] = {
    "polaris": CardRow(
        (0.99, 0.87, 0.72, 0.90), (57.4, 48.2, 44.1, 52.1), -3.0, (63.1, 57.5, 54.3, 59.8)
    ),
    "no-hri": CardRow(
        (0.94, 0.86, 0.70, 0.87), (56.5, 47.0, 37.7, 49.7), -3.8, (62.1, 55.7, 51.6, 58.2)
    ),
    "base": CardRow(
        (1.09, 0.96, 0.88, 1.01), (35.1, 8.7, -11.8, 18.5), -10.8, (50.2, 37.2, 30.3, 42.6)
    ),
    "base-27b": CardRow((None, None, 0.82, None), (51.5, 38.7, 24.6, 42.8), -5.9),
}
