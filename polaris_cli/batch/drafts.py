"""Several stories for one request, and the best of them: `drafts_of`, `best_of`.

Does not know how they are written or shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from polaris_cli.request.adherence import in_band
from polaris_cli.story.job import Job
from polaris_cli.story.result import Place, Story, new_id
from polaris_cli.streaming.surprise import GIBBERISH

Best = Literal["sound", "ratio", "surprise"]


@dataclass(frozen=True, slots=True)
class DraftTask:
    """One of the drafts of a request; `number` counts from 1."""

    number: int
    prepared: Job

    def job(self) -> Job:
        """The job of this draft."""
        return self.prepared


def drafts_of(job: Job, count: int) -> list[DraftTask]:
    """Drafts whose seeds follow from the job's, so that each can be written again alone."""
    group, first = new_id(), job.request.sampling.seed
    drafts = []
    for number in range(1, count + 1):
        sampling = replace(job.request.sampling, seed=first + number - 1)
        request = replace(job.request, sampling=sampling)
        place = Place(f"draft {number}", group=group, draft=number)
        drafts.append(DraftTask(number, replace(job, request=request, place=place)))
    return drafts


def is_sound(story: Story) -> bool:
    """Whether the model ended the story itself, and it stayed language and a story to its end."""
    quality = story.quality
    spoken = (quality.surprise_worst or 0.0) < GIBBERISH
    return story.finish == "stop" and spoken and not quality.meta_talk


def best_of(stories: Sequence[Story], how: Best = "sound") -> Story:
    """The best draft: a sound one in the band, then the one nearest to the words asked.

    "ratio" looks only at the words, "surprise" at the lowest mean surprise; a draft without that
    figure comes last. Of equal ones, the first. `stories` has at least one.
    """

    def rank(story: Story) -> tuple[float, ...]:
        off = abs(story.ratio - 1.0)
        if how == "ratio":
            return (off,)
        if how == "surprise":
            surprise = story.quality.surprise_mean
            return (float("inf") if surprise is None else surprise, off)
        band = in_band(story.counted, story.requested, story.request.band)
        return (not is_sound(story), not band, off)

    return min(stories, key=rank)
