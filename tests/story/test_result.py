"""The record of a story, and the stream that makes it."""

import json
import re
from contextlib import suppress
from dataclasses import replace

import pytest

from polaris_cli.engines.base import GenerationRequest, ModelInfo
from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.errors import PolarisError
from polaris_cli.events import Again, Chapter, Chunk, Event, Finish, Plan, Planned
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Draft, Sampling, StoryRequest
from polaris_cli.story.accumulator import collect
from polaris_cli.story.result import Story, new_record
from polaris_cli.story.single_pass import stream_answer
from tests.damaged import changed

ASK = (Message("user", "Write a 5-word story about a fox."),)


PLAN = Plan("The Fox", "a fox", (Chapter("Den", 3, "it wakes"), Chapter("Hill", 2, "up")))


def a_record(premise: str = "a fox") -> Story:
    return new_record(StoryRequest(premise, 5), ModelInfo("demo", "built in"), ASK, 7)


def test_a_stream_becomes_a_record() -> None:
    engine = ScriptedEngine(["a plan", "\n</think>\n\n", "Once upon", " a time.", "\n"])
    story = collect(stream_answer(engine, GenerationRequest(ASK, Sampling(), 100)), a_record())
    assert (story.text, story.thinking, story.finish) == ("Once upon a time.", "a plan", "stop")
    assert (story.written, story.ratio) == (4, 0.8)
    assert (story.tokens.prompt, story.tokens.thinking + story.tokens.story) == (7, 5)
    assert story.timing.first_story_s is not None and story.timing.tokens_per_s is not None


def test_a_story_about_to_be_written_has_an_id_and_a_prompt_alone() -> None:
    record = a_record().as_dict()
    assert re.fullmatch("[0-9a-f]{12}", record["id"])
    assert record["tokens"] == {"prompt": 7, "thinking": 0, "plan": 0, "story": 0}
    assert (record["timing"]["load_s"], record["timing"]["total_s"]) == (0, 0)
    assert (record["story"], record["length"]["extended"]) == ("", 0)
    unknown = new_record(StoryRequest("a fox", 5), ModelInfo("demo", "built in"), ASK)
    assert unknown.tokens.prompt == 0


FULL_PLAN = Plan(
    "T", "a fox", (Chapter("One", 5, "it wakes", ("it wakes",)),), "a hill", "it learns", "one ear"
)


def test_a_draft_of_earlier_versions_says_no_title() -> None:
    draft = Draft("Once", "a: 1", "a fox", 9)
    request = StoryRequest("a fox", 5, sampling=Sampling(thinking=False), draft=draft)
    record = replace(a_record(), request=request).as_dict()
    for name in ("title", "author", "language"):
        del record["draft"][name]
    assert Story.from_dict(record).request == request


def test_a_record_from_before_plans_had_tokens_is_read() -> None:
    events: list[Event] = [Planned(PLAN), Chunk("plan", "Title: T", 3)]
    story = collect(events, a_record())
    record = json.loads(json.dumps(story.as_dict()))
    assert record["tokens"].pop("plan") == 3
    for name in ("place", "arc", "facts"):
        del record["outline"][name]
    del record["outline"]["chapters"][0]["events"]
    again = Story.from_dict(record)
    assert (again.tokens.plan, again.plan) == (0, PLAN)


@pytest.mark.parametrize("plan", [None, PLAN, FULL_PLAN])
def test_a_record_survives_json(plan: Plan | None) -> None:
    events: list[Event] = [Planned(plan)] if plan else []
    events += [Chunk("story", "One two", 2, (1, 2)), Again("extended"), Finish("length", 9)]
    story = collect(iter(events), a_record())
    again = Story.from_dict(json.loads(json.dumps(story.as_dict())))
    assert again == story
    assert (again.extended, again.tokens.prompt, again.plan) == (1, 9, plan)


def test_a_story_that_failed_tells_why() -> None:
    lost = PolarisError("The server is gone.", hint="Start it.")
    failed = collect([Chunk("story", "One"), Finish("error", error=lost)], a_record())
    assert failed.error == "The server is gone. Start it."
    record = json.loads(json.dumps(failed.as_dict()))
    assert record["error"] == failed.error and Story.from_dict(record) == failed
    whole = collect([Chunk("story", "One"), Finish("stop")], a_record())
    assert (whole.error, whole.as_dict()["error"]) == ("", None)


def test_a_record_from_before_errors_were_told_is_read() -> None:
    record = a_record().as_dict()
    del record["error"]
    assert Story.from_dict(record).error == ""


def test_the_whole_request_survives_json() -> None:
    request = StoryRequest(
        "a fox",
        500,
        form="essay",
        model="no-hri",
        revision="v1",
        preset="cool",
        template="Tell of {premise} in {words} words.",
        sampling=Sampling(temperature=0.9, seed=3, thinking=False),
        quantize="8bit",
        device="cpu",
        compile=False,
        length="chapters",
        chapters=2,
        headings=False,
        band=(0.8, 1.3),
        plan=PLAN,
    )
    drafted = replace(request, length="extend", plan=None, draft=Draft("Once", "a: 1", "a fox", 9))
    for asked in (request, drafted):
        story = replace(a_record(), request=asked)
        assert Story.from_dict(json.loads(json.dumps(story.as_dict()))).request == asked


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# The Fog\n\nOnce", "The Fog"),
        ("**The Fog**\n\nOnce", "The Fog"),
        ("Once upon a time", "A fox"),
        (f"**{'x' * 95}**\n\nOnce", "x" * 95),
        (f"**{'x' * 96}**\n\nOnce", "A fox"),  # a line of a hundred signs is a paragraph
    ],
)
def test_the_title_is_the_storys_own_where_it_has_one(text: str, title: str) -> None:
    assert collect(iter([Chunk("story", text)]), a_record()).title == title


def test_a_long_premise_is_shortened_to_a_title() -> None:
    title = a_record("a fox " * 40).title
    assert len(title) <= 61 and title.endswith("…")


def test_a_stream_without_an_end_counts_as_interrupted() -> None:
    assert collect(iter([Chunk("story", "Once")]), a_record()).finish == "interrupted"


@pytest.mark.parametrize("other", [None, -1, 1.5, "x", [], ["a"], {}, {"a": 1}, True])
def test_what_is_no_record_is_an_error_of_one_kind(other: object) -> None:
    record = json.loads(json.dumps(a_record().as_dict()))
    for damaged in changed(record, other):
        with suppress(ValueError):
            Story.from_dict(damaged).as_dict()
    for name in ("model", "story", "words"):
        with pytest.raises(ValueError, match=f"{name}' is missing"):
            Story.from_dict({each: value for each, value in record.items() if each != name})
