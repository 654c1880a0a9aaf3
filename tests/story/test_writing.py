"""A job continued where an earlier run stopped."""

from dataclasses import replace

from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.events import ChapterStart, Chunk
from polaris_cli.models.catalogue import DEMO, ModelProfile
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.job import Earlier
from polaris_cli.story.prepare import settle
from polaris_cli.story.writing import write_job
from tests.scripts import paragraph, script


def test_a_resumed_part_that_looped_goes_on_before_the_loop() -> None:
    profile = ModelProfile(good_words=(10, 400))
    reference = ModelRef("tiny", "tiny", entry=replace(DEMO, profile=profile))
    asked = StoryRequest("a fox", 100, length="extend", sampling=Sampling(thinking=False))
    job = settle(asked, reference)
    text = paragraph("a", 40) + "\n\n" + "round and round it went. " * 60
    ids = ScriptedEngine().encode(text)
    earlier = Earlier((ChapterStart(1, ""), Chunk("story", text, len(ids), ids)), "loop")
    engine = ScriptedEngine([], script(paragraph("b", 60)))
    list(write_job(replace(job, earlier=earlier), engine))
    kept = "".join(map(chr, engine.requests[-1].after))
    assert kept.startswith(paragraph("a", 40)) and kept.count("round and round") <= 1
