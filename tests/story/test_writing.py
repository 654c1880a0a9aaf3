"""A job continued where an earlier run stopped."""

from dataclasses import replace

import pytest

from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.events import ChapterStart, Chunk, Event, Finish, Held
from polaris_cli.models.catalogue import DEMO, ModelProfile
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.job import Earlier, Job
from polaris_cli.story.prepare import settle
from polaris_cli.story.writing import write_job
from tests.scripts import paragraph, script, text_of, times


def extending(words: int) -> Job:
    """A story by a model that goes on in further parts after an early end."""
    profile = ModelProfile(good_words=(10, 400))
    reference = ModelRef("tiny", "tiny", entry=replace(DEMO, profile=profile))
    asked = StoryRequest("a fox", words, length="extend", sampling=Sampling(thinking=False))
    return settle(asked, reference)


def recorded(events: list[Event]) -> tuple[Event, ...]:
    return tuple(event for event in events if not isinstance(event, Held | Finish))


def test_a_resumed_part_that_looped_goes_on_before_the_loop() -> None:
    job = extending(100)
    text = paragraph("a", 40) + "\n\n" + "round and round it went. " * 60
    ids = ScriptedEngine().encode(text)
    earlier = Earlier((ChapterStart(1, ""), Chunk("story", text, len(ids), ids)), "loop")
    engine = ScriptedEngine([], script(paragraph("b", 60)))
    list(write_job(replace(job, earlier=earlier), engine))
    kept = "".join(map(chr, engine.requests[-1].after))
    assert kept.startswith(paragraph("a", 40)) and kept.count("round and round") <= 1


@pytest.mark.parametrize("cut", [70, 140, 190])
def test_a_story_cut_in_a_further_part_keeps_all_of_its_text(cut: int) -> None:
    job = extending(200)
    engine = ScriptedEngine(*(script(paragraph(name, 60)) for name in "abc"))
    kept = recorded(list(write_job(job, engine)))[:cut]
    again = ScriptedEngine(script(paragraph("d", 60)), script(paragraph("e", 60)))
    events = list(write_job(replace(job, earlier=Earlier(kept, "interrupted")), again))
    assert text_of(events).startswith(text_of([*kept])) and times(events, "extended")
    asked = again.requests[0].messages, engine.requests[cut // 62].messages
    assert asked[0] == asked[1]  # the same plan has grown again


def test_what_was_added_to_a_finished_story_stays_too() -> None:
    job = extending(200)
    whole = recorded(list(write_job(job, ScriptedEngine(script(paragraph("a", 176))))))
    longer = replace(job, earlier=Earlier(whole, "stop"))
    kept = recorded(list(write_job(longer, ScriptedEngine(script(paragraph("b", 60))))))[:200]
    again = replace(job, earlier=Earlier(kept, "interrupted"))
    events = list(write_job(again, ScriptedEngine(script(paragraph("c", 60)))))
    assert len(kept) > len(whole) and text_of(events).startswith(text_of([*kept]))
