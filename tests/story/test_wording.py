"""The conversation has all that a plan says of a chapter."""

import pytest

from polaris_cli.events import Chapter, Plan
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story.wording import wording_for


def conversation(chapter: Chapter) -> str:
    """The start of a conversation and the prompt for its first chapter."""
    plan = Plan("The Fox", "a fox", (chapter, chapter))
    wording = wording_for(StoryRequest("a fox", 600), plan)
    texts = [message.content for message in wording.preface]
    return "\n".join([*texts, wording.ask(1, 2, chapter, 300)])


@pytest.mark.parametrize("title", ["Out", ""])
def test_a_summary_and_events_are_both_told(title: str) -> None:
    told = conversation(Chapter(title, 300, "the fox leaves.", ("it packs.", "it runs")))
    for text in ("the fox leaves", "it packs", "it runs"):
        assert told.count(text) == (3 if title else 1)
    assert ".." not in told


@pytest.mark.parametrize("title", ["Out", ""])
def test_a_summary_that_repeats_the_events_is_left_out(title: str) -> None:
    told = conversation(Chapter(title, 300, "it packs. it runs", ("it packs.", "it runs")))
    assert told.count("it packs") == (3 if title else 1)


def test_events_stand_below_the_summary() -> None:
    chapter = Chapter("Out", 300, "the fox leaves", ("it packs", "it runs"))
    assert conversation(chapter).endswith("In this chapter: the fox leaves\n- it packs\n- it runs")
