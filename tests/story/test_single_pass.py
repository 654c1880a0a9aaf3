"""The record of a story, and the stream that makes it."""

import json

import pytest

from polaris_cli.engines.base import ModelInfo
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import PolarisError
from polaris_cli.events import ANEW, Chapter, Chunk, Event, Finish, Outline, Outlined
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.single_pass import (
    Story,
    begin,
    collect,
    collect_with_finish,
    turn_of,
    write_story,
)

ASK = (Message("user", "Write a 5-word story about a fox."),)
OUTLINE = Outline("The Fox", "a fox", (Chapter("Den", 3, "it wakes"), Chapter("Hill", 2, "up")))


def begun(premise: str = "a fox") -> Story:
    return begin(StoryRequest(premise, 5), ModelInfo("demo", "built in"), ASK, 7)


def test_a_stream_becomes_a_record() -> None:
    engine = ScriptedEngine(["a plan", "\n</think>\n\n", "Once upon", " a time.", "\n"])
    story = collect(write_story(engine, ASK, Sampling(), 100), begun())
    assert (story.text, story.thinking, story.finish) == ("Once upon a time.", "a plan", "stop")
    assert (story.written, story.ratio) == (4, 0.8)
    assert (story.tokens.prompt, story.tokens.thinking + story.tokens.story) == (7, 5)
    assert story.timing.first_story_s is not None and story.timing.tokens_per_s is not None


@pytest.mark.parametrize("outline", [None, OUTLINE])
def test_a_record_survives_json(outline: Outline | None) -> None:
    events: list[Event] = [Outlined(outline)] if outline else []
    events += [Chunk("story", "One two", 2, (1, 2)), Finish("length", 9, extended=2)]
    story = collect(iter(events), begun())
    again = Story.from_dict(json.loads(json.dumps(story.as_dict())))
    assert again == story
    assert (again.extended, again.tokens.prompt, again.outline) == (2, 9, outline)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# The Fog\n\nOnce", "The Fog"),
        ("**The Fog**\n\nOnce", "The Fog"),
        ("Once upon a time", "A fox"),
    ],
)
def test_the_title_is_the_storys_own_where_it_has_one(text: str, title: str) -> None:
    assert collect(iter([Chunk("story", text)]), begun()).title == title


def test_a_long_premise_is_shortened_to_a_title() -> None:
    title = begun("a fox " * 40).title
    assert len(title) <= 61 and title.endswith("…")


def test_a_stream_without_an_end_counts_as_interrupted() -> None:
    assert collect(iter([Chunk("story", "Once")]), begun()).finish == "interrupted"


@pytest.mark.parametrize("error", [PolarisError("gone"), ValueError("odd")])
def test_an_engine_that_fails_keeps_the_text_and_tells_why(error: Exception) -> None:
    engine = ScriptedEngine(Script(["Once"], error=error), opened=False)
    story, finish = collect_with_finish(write_story(engine, ASK, Sampling(), 100), begun())
    assert (story.text, story.finish) == ("Once", "error")
    assert finish.error and str(error) in finish.error.message


GOES_ROUND = ["and so on, "] * 500


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
    assert ANEW in chunks and engine.running == 0


def test_thinking_that_always_goes_round_ends_in_a_loop() -> None:
    engine = ScriptedEngine(GOES_ROUND)
    events = list(write_story(engine, ASK, Sampling(), 2000))
    assert events[-1] == Finish("loop")
    assert len(engine.asked) == 3 and events.count(ANEW) == 2


def test_a_story_that_goes_round_is_not_begun_anew() -> None:
    engine = ScriptedEngine(["</think>Once ", *GOES_ROUND])
    events = list(write_story(engine, ASK, Sampling(), 2000))
    assert events[-1] == Finish("loop")
    assert len(engine.asked) == 1
