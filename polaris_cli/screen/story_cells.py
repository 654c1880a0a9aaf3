"""The figures of a story as cells of a table: `story_cells`.

Knows a story's record, not the other columns of a table.
"""

from polaris_cli.screen.endings import STATES
from polaris_cli.story.result import Story

FIGURES = ("id", "words", "ratio", "state", "surprise", "repetition")


def story_cells(story: Story) -> tuple[str, ...]:
    """The cells below `FIGURES`."""
    surprise = story.quality.surprise_mean
    return (
        story.id,
        str(story.counted),
        f"{story.ratio:.2f}",
        STATES.get(story.finish, story.finish),
        "-" if surprise is None else f"{surprise:.2f}",
        f"{story.quality.self_repetition:.4f}",
    )
