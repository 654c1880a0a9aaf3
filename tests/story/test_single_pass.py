"""One pass keeps the text whatever happens, and gives up thinking that goes round."""

import pytest

from polaris_cli.engines.base import ModelInfo
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import PolarisError
from polaris_cli.events import RESTART, Chunk, Finish
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.accumulator import Accumulator, collect
from polaris_cli.story.result import Story, begin
from polaris_cli.story.single_pass import turn_of, write_story

ASK = (Message("user", "Write a 5-word story about a fox."),)


def begun(premise: str = "a fox") -> Story:
    return begin(StoryRequest(premise, 5), ModelInfo("demo", "built in"), ASK, 7)


GOES_ROUND = ["and so on, "] * 500


@pytest.mark.parametrize("error", [PolarisError("gone"), ValueError("odd")])
def test_an_engine_that_fails_keeps_the_text_and_tells_why(error: Exception) -> None:
    engine = ScriptedEngine(Script(["Once"], error=error), opened=False)
    accumulator = Accumulator(begun())
    list(accumulator.watch(write_story(engine, ASK, Sampling(), 100)))
    story, failed = accumulator.story(), accumulator.finish.error
    assert (story.text, story.finish) == ("Once", "error")
    assert failed and str(error) in failed.message


def test_thinking_that_goes_round_is_begun_anew() -> None:
    seeds: list[int] = []

    class Watching(ScriptedEngine):
        def stream(self, messages, sampling, *args, **options):  # type: ignore[no-untyped-def]
            seeds.append(sampling.seed)
            return super().stream(messages, sampling, *args, **options)

    engine = Watching(["A fox: ", *GOES_ROUND], ["a plan</think>", "Once."])
    events = list(write_story(engine, ASK, Sampling(seed=3), 2000))
    story = collect(iter(events), begun())
    assert (story.text, story.finish) == ("Once.", "stop")
    assert story.thinking.endswith("and so on,\n\na plan")
    assert seeds[0] == 3 and len(set(seeds)) == 2
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert "".join(chunk.text for chunk in turn_of(chunks)) == "a planOnce."
    assert RESTART in chunks and engine.running == 0


def test_thinking_that_always_goes_round_ends_in_a_loop() -> None:
    engine = ScriptedEngine(GOES_ROUND)
    events = list(write_story(engine, ASK, Sampling(), 2000))
    assert events[-1] == Finish("loop")
    assert len(engine.asked) == 3 and events.count(RESTART) == 2


def test_a_story_that_goes_round_is_not_begun_anew() -> None:
    engine = ScriptedEngine(["</think>Once ", *GOES_ROUND])
    events = list(write_story(engine, ASK, Sampling(), 2000))
    assert events[-1] == Finish("loop")
    assert len(engine.asked) == 1
