"""The plan of a story that is being written: `GrowingPlan` adds the chapters that it still needs.

Knows the words written so far. Does not know how a chapter is asked for or written (`chapters`).
"""

from collections.abc import Iterator
from dataclasses import replace

from polaris_cli.events import Again, Chapter, Event, Plan, Planned
from polaris_cli.story.arc import another_beat, last_beat
from polaris_cli.story.job import Job
from polaris_cli.story.length import (
    ACCEPT_END_AT,
    MAX_FURTHER,
    Pace,
    chapter_count,
    most_missing,
)


class GrowingPlan:
    """A plan to which chapters are added after an early end, if more is left than its others will
    deliver, and to end a story that became too long.

    `recorded` is the whole plan, with what an earlier run added, `pace` has the words of the
    chapters so far. `finished`: the earlier run had ended by itself, and the user wants more.
    `shown`: each change is told with a `Planned`.
    """

    def __init__(
        self, recorded: Plan, job: Job, pace: Pace, *, finished: bool, shown: bool
    ) -> None:
        self.current = recorded.after(0)
        self._recorded, self._request, self._pace = recorded, job.request, pace
        self._fixed = job.reference.profile.continues  # such a model goes on within a chapter
        self._finished, self._shown = finished, shown
        self._further_left = MAX_FURTHER  # times that it still may go on after an early end
        usual = chapter_count(job.request.words, job.reference.profile)
        self._most = 2 * max(len(self.current.chapters), usual)

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        """The chapters as far as they are planned now."""
        return self.current.chapters

    def recall(self, done: int) -> None:
        """Add the chapters that the earlier run added after `done` chapters."""
        plan = self._recorded.after(done)
        appended = len(self.chapters) == done < len(plan.chapters)
        self._further_left -= appended and not self._finished
        self.current = plan

    def grow(self, done: int, *, new: bool, lacks_ending: bool) -> Iterator[Event]:
        """Add the chapters that are needed after `done` of them; yield what says so.

        `new`: the next chapter is not one of an earlier run, which all have their place.
        `lacks_ending`: the end of the last chapter was cut away.
        """
        before = self.current
        if self._fixed:
            return
        if done == len(before.chapters):
            early = self._further_left > 0 and self._ended_early()
            if new and not (early or lacks_ending):
                return
            if new and not lacks_ending:
                yield Again("extended")
            self._further_left -= not lacks_ending and (new or not self._finished)
            self._insert(last_beat(self._request.form, max(self._pace.missing, 1)), done, done)
        while (total := len(self.chapters)) < self._most and self._pace.needs_another(total - done):
            self._insert(another_beat(self._request.form, self.current), total - 1, done)
        if self.current is not before and self._shown:
            yield Planned(self.current)

    def _insert(self, beat: Chapter, place: int, done: int) -> None:
        added = replace(beat, added_after=done)
        chapters = (*self.chapters[:place], added, *self.chapters[place:])
        self.current = replace(self.current, chapters=chapters)

    def _ended_early(self) -> bool:
        if self._finished:
            return self._pace.missing > (1 - ACCEPT_END_AT) * self._request.words
        return self._pace.missing > most_missing(self._request.words, self._request.band)
