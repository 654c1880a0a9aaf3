"""`polaris write --drafts N --best judge`: a model chooses the best draft.

Asks the judge once for each draft; `eval judge` keeps answers, this does not.
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from polaris_cli.batch.drafts import best_of
from polaris_cli.commands.drafts import number_of
from polaris_cli.commands.interrupt import Interrupts
from polaris_cli.commands.judge_run import JudgeRun
from polaris_cli.errors import PolarisError
from polaris_cli.evaluate.judgements import judged
from polaris_cli.evaluate.judging import Record, judge_all, text_key
from polaris_cli.evaluate.reading import sample_of_story
from polaris_cli.screen.messages import note, warn
from polaris_cli.screen.stopping import told_while_stopping
from polaris_cli.story.result import Story


@dataclass(frozen=True, slots=True)
class DraftJudge:
    """Chooses among drafts by the main total of a rubric."""

    run: JudgeRun

    def __call__(self, drafts: Sequence[Story], interrupts: Interrupts) -> Story:
        """The draft with the highest total; as without a judge, if none can be judged."""
        totals: list[tuple[Story, float]] = []
        try:
            totals = self._totals(drafts, interrupts)
        except PolarisError as error:
            warn(f"The judge cannot be asked: {error.message}", sys.stderr)
        except KeyboardInterrupt:  # while the judge is loaded
            pass
        if not totals:
            note("No draft was judged: the best is chosen without a judge.", sys.stderr)
            return best_of(drafts)
        if not self.run.quiet:
            told = ", ".join(f"{number_of(draft)}: {total:.1f}" for draft, total in totals)
            note(f"The judge's totals by draft: {told}.", sys.stderr)
        return max(totals, key=lambda judged: judged[1])[0]

    def _totals(self, drafts: Sequence[Story], interrupts: Interrupts) -> list[tuple[Story, float]]:
        """The drafts that could be judged, each with its main total."""
        samples, run = [sample_of_story(draft) for draft in drafts], self.run
        calls = list(run.calls(samples).values())
        with interrupts.interruptible():
            engine = run.engine(calls)
        with closing(engine), told_while_stopping(interrupts.stop, sys.stderr, quiet=run.quiet):
            found = judge_all(
                calls, engine, run.settings, at_once=run.at_once, stop=interrupts.stop
            )
            records = list[Record]()
            for record in found:
                if isinstance(record, PolarisError):
                    warn(f"The judge failed: {record.message}", sys.stderr)
                elif record["error"]:
                    warn(f"An answer of the judge cannot be read: {record['error']}.", sys.stderr)
                else:
                    records.append(record)
        by_text = {one.text: one.totals for one in judged(records) if one.totals}
        return [
            (draft, next(iter(totals.values())))
            for draft, sample in zip(drafts, samples, strict=True)
            if (totals := by_text.get(text_key(sample)))
        ]
