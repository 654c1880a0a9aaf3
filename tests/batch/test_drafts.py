"""Drafts of one request, and which of them is the best."""

from dataclasses import replace
from typing import Any

import pytest

from polaris_cli.batch.drafts import Best, best_of, drafts_of, is_sound
from polaris_cli.story.prepare import prepare
from polaris_cli.story.quality import Quality
from polaris_cli.story.result import Story
from tests.stories import a_story


def draft(id: str, words: int, **quality: Any) -> Story:
    finish = quality.pop("finish", "stop")
    story = a_story(id, " ".join(["word"] * words), finish=finish)
    story = replace(story, request=replace(story.request, words=100))
    return replace(story, quality=Quality(**{"meta_talk": 0, **quality}))


def test_drafts_differ_in_their_seeds_and_share_a_group() -> None:
    job = prepare("a fox", {"model": "demo", "seed": 41})
    drafts = [each.job() for each in drafts_of(job, 3)]
    assert [each.request.sampling.seed for each in drafts] == [41, 42, 43]
    places = [each.place for each in drafts if each.place]
    assert [place.draft for place in places] == [1, 2, 3]
    assert len({place.group for place in places}) == 1 and places[0].group
    assert drafts_of(job, 1)[0].job().place != drafts[0].place  # another group


@pytest.mark.parametrize(
    ("quality", "sound"),
    [
        ({}, True), ({"surprise_worst": 2.1}, True), ({"finish": "decay"}, False),
        ({"finish": "length"}, False), ({"meta_talk": 1}, False), ({"surprise_worst": 3.3}, False),
        ({"meta_talk": None}, True),
    ],
)  # fmt: skip
def test_a_sound_draft_ended_by_itself_as_a_story(quality: dict[str, Any], sound: bool) -> None:
    assert is_sound(draft("a", 90, **quality)) == sound


@pytest.mark.parametrize(
    ("how", "best"), [("sound", "near"), ("ratio", "talks"), ("surprise", "calm")]
)
def test_the_best_draft(how: Best, best: str) -> None:
    drafts = [
        draft("short", 40),
        draft("calm", 60, surprise_mean=0.9),
        draft("talks", 100, surprise_mean=1.4, meta_talk=2),
        draft("near", 95, surprise_mean=1.2),
        draft("other", 91, surprise_mean=1.0),
    ]
    assert best_of(drafts, how).id == best


def test_of_equal_drafts_the_first_is_the_best() -> None:
    drafts = [draft("a", 90), draft("b", 90), draft("c", 110)]
    assert {best_of(drafts, how).id for how in ("sound", "ratio", "surprise")} == {"a"}
