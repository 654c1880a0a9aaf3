"""`polaris write --drafts N --best judge`: a model chooses the best draft.

Asks the judge once for each draft; `eval judge` keeps answers, this does not.
"""

import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from polaris_cli.batch.drafts import best_of
from polaris_cli.commands.drafts import number_of
from polaris_cli.commands.eval_judge import USUAL, open_judge
from polaris_cli.errors import PolarisError, UsageError
from polaris_cli.evaluate.judgements import judged
from polaris_cli.evaluate.judging import JudgeSettings, calls_for, judge_all, text_key
from polaris_cli.evaluate.reading import sample_of_story
from polaris_cli.evaluate.rubric import Rubric, load_rubric
from polaris_cli.screen.messages import note, warn
from polaris_cli.story.result import Story


@dataclass(frozen=True, slots=True)
class DraftJudge:
    """Chooses among drafts by the main total of a rubric."""

    settings: JudgeSettings
    rubric: Rubric
    base_url: str | None
    quiet: bool

    def __call__(self, drafts: Sequence[Story]) -> Story:
        """The draft with the highest total; as without a judge, if none can be judged."""
        try:
            totals = self._totals(drafts)
        except PolarisError as error:
            warn(f"The judge cannot be asked: {error.message}", sys.stderr)
            totals = []
        if not totals:
            note("No draft was judged: the best is chosen without a judge.", sys.stderr)
            return best_of(drafts)
        if not self.quiet:
            told = ", ".join(f"{number_of(draft)}: {total:.1f}" for draft, total in totals)
            note(f"The judge's totals by draft: {told}.", sys.stderr)
        return max(totals, key=lambda judged: judged[1])[0]

    def _totals(self, drafts: Sequence[Story]) -> list[tuple[Story, float]]:
        """The drafts that could be judged, each with its main total."""
        samples = [sample_of_story(draft) for draft in drafts]
        calls = list(calls_for(samples, self.rubric, 1))
        options: dict[str, object] = {"model": self.settings.judge, "base_url": self.base_url}
        with closing(open_judge(calls, self.settings, options, USUAL, quiet=self.quiet)) as engine:
            found = judge_all(calls, engine, self.settings, at_once=USUAL, stop=threading.Event())
            records = [record for record in found if not isinstance(record, PolarisError)]
        by_text = {one.text: one.totals for one in judged(records, self.rubric) if one.totals}
        return [
            (draft, next(iter(totals.values())))
            for draft, sample in zip(drafts, samples, strict=True)
            if (totals := by_text.get(text_key(sample)))
        ]


def draft_judge(model: str | None, base_url: str | None, rubric: str, *, quiet: bool) -> DraftJudge:
    """The judge that the options name. Raises UsageError without one."""
    if not model:
        raise UsageError("--best judge needs a judge.", hint="Add --judge-model NAME")
    return DraftJudge(JudgeSettings(model), load_rubric(rubric), base_url, quiet)
