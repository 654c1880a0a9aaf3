"""Plans are asked for, asked again for a line that is missing, and replaced where that fails."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import PolarisError
from polaris_cli.events import Event, Finish, Plan, Planned, Restart, text_of
from polaris_cli.models.catalogue import DEMO, NO_HRI, SMOLLM2, ModelProfile
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.prompts import messages_for, plan_prompt
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.accumulator import collect
from polaris_cli.story.arc import arc_plan
from polaris_cli.story.chapters import in_chapters
from polaris_cli.story.job import Job
from polaris_cli.story.planning import make_plan, plan_tokens
from polaris_cli.story.prepare import settle
from tests.scripts import paragraph, script
from tests.stories import a_story

LINES = ModelProfile(good_words=(50, 100))
FULL = replace(LINES, plans="full")
SILENT = Sampling(thinking=False)
FULL_ANSWER = """Title: The Fox
Cast: Reynard, who wants a home
Place: a hill, in autumn
Arc: He gives up the hill and gains a friend.
Facts: His left ear is torn
Chapter 1: Den | 100 words
- he wakes
- he is hungry
Chapter 2: Hill | 100 words
- he climbs"""


def job(count: int, profile: ModelProfile = LINES, sampling: Sampling = SILENT) -> Job:
    request = StoryRequest("a fox", 800, length="chapters", chapters=count, sampling=sampling)
    return settle(request, ModelRef("tiny", "tiny", entry=replace(DEMO, profile=profile)))


def row(number: int) -> str:
    return f"{number}. Part {number} | 100 words | thing {number}\n"


def rows(*numbers: int) -> list[str]:
    return ["Title: The Fox\n", *map(row, numbers)]


def planned(events: Sequence[Event]) -> Planned:
    (found,) = (event for event in events if isinstance(event, Planned))
    return found


def titles(plan: Plan) -> list[str]:
    return [chapter.title for chapter in plan.chapters]


def test_a_plan_is_streamed_as_one_and_counted() -> None:
    sampling = Sampling(thinking_budget=50)
    engine = ScriptedEngine(["Hm.", "</think>", *rows(1, 2, 3, 4)], tokens_per_piece=2)
    events = list(make_plan(job(4, sampling=sampling), engine))
    assert "".join(text_of(event, "thinking") for event in events) == "Hm."
    assert "".join(text_of(event, "plan") for event in events) == "".join(rows(1, 2, 3, 4))
    story = collect(iter(events), a_story())
    assert (story.tokens.thinking, story.tokens.plan, story.tokens.story) == (4, 10, 0)
    assert story.thinking == "Hm." and story.text == ""


def test_a_second_attempt_drops_the_plan_of_the_first() -> None:
    engine = ScriptedEngine(["1. One | 9 words | a\n"], rows(1, 2, 3, 4))
    events = list(make_plan(job(4), engine))
    since = events[events.index(Restart(1)) :]
    assert "".join(text_of(event, "plan") for event in since) == "".join(rows(1, 2, 3, 4))
    assert titles(planned(events).plan) == [f"Part {number}" for number in range(1, 5)]
    assert not planned(events).note


@pytest.mark.parametrize(
    "answer",
    [
        [row(3)],
        ["Part 3 | 100 words | thing 3"],
        ["Here it is:\n", "**3.** Part 3 | thing 3"],
    ],
)
def test_a_missing_line_is_asked_for_alone(answer: list[str]) -> None:
    engine = ScriptedEngine(rows(1, 2, 4), answer)
    events = list(make_plan(job(4), engine))
    assert titles(planned(events).plan) == ["Part 1", "Part 2", "Part 3", "Part 4"]
    assert not planned(events).note and planned(events).plan.words == 800
    asked = engine.requests[1].messages
    assert [message.role for message in asked] == ["user", "assistant", "user"]
    assert asked[:1] == engine.requests[0].messages
    assert asked[1].content == "".join(rows(1, 2, 4)).strip()
    assert asked[2].content == "Write the line of chapter 3."
    assert engine.requests[1].max_new_tokens == plan_tokens("lines", 1) - plan_tokens("lines", 0)
    assert not engine.requests[1].sampling.thinks


def test_a_line_that_is_still_missing_is_a_step_of_the_arc() -> None:
    engine = ScriptedEngine(rows(1, 3, 4, 5, 7, 8), ["I do not know."], [row(6)])
    events = list(make_plan(job(8), engine))
    plan, arc = planned(events).plan, arc_plan(job(8).request, 8)
    assert plan.chapters[1].summary == arc.chapters[1].summary
    assert titles(plan) == [*("Part 1", "Chapter 2"), *(f"Part {n}" for n in range(3, 9))]
    assert "did not plan chapter 2;" in planned(events).note
    assert len(engine.requests) == 3 and len({one.sampling.seed for one in engine.requests}) == 3


def test_more_than_a_quarter_missing_is_no_plan() -> None:
    engine = ScriptedEngine(rows(1, 2, 3, 4, 5), rows(*range(1, 9)))
    events = list(make_plan(job(8), engine))
    assert len(engine.requests) == 2 and len(planned(events).plan.chapters) == 8
    assert engine.requests[1].messages == engine.requests[0].messages


@pytest.mark.parametrize("cut", [0, 1])
def test_a_run_cut_off_while_planning_has_no_plan(cut: int) -> None:
    scripts = [Script(rows(1, 2, 4)), Script([row(3)])]
    scripts[cut] = Script(["1."], error=PolarisError("gone"))
    events = list(make_plan(job(4), ScriptedEngine(*scripts)))
    assert isinstance(events[-1], Finish) and events[-1].reason == "error"
    assert not any(isinstance(event, Planned) for event in events)


def test_a_full_plan_stands_in_every_conversation() -> None:
    chapters = (script(paragraph(n, 400)) for n in "ab")
    engine = ScriptedEngine([FULL_ANSWER], *chapters)
    events = list(in_chapters(job(2, FULL), engine))
    plan = planned(events).plan
    assert (plan.place, plan.facts) == ("a hill, in autumn", "His left ear is torn")
    prompt = messages_for(job(2).request, full_plan=True)
    assert engine.requests[0].messages == prompt and "Facts:" in prompt[0].content
    assert engine.requests[0].max_new_tokens == plan_tokens("full", 2) > plan_tokens("lines", 2)
    for request in engine.requests[1:]:
        assert request.messages[:1] == prompt
        assert request.messages[1].content == plan.as_lines()
    assert (
        engine.requests[1]
        .messages[-1]
        .content.endswith("In this chapter:\n- he wakes\n- he is hungry")
    )
    assert engine.requests[2].messages[-1].content.endswith("In this chapter:\n- he climbs")


def test_the_line_of_a_full_plan_is_asked_for_with_its_events() -> None:
    lines = [f"Chapter {n}: Part {n} | 100 words\n- thing {n}\n" for n in (1, 2, 4)]
    engine = ScriptedEngine(lines, ["Chapter 3: Part 3 | 100 words\n- thing 3\n- more"])
    events = list(make_plan(job(4, FULL), engine))
    assert planned(events).plan.chapters[2].events == ("thing 3", "more")
    assert engine.requests[1].messages[-1].content == "Write the line of chapter 3 and its events."


def test_a_large_model_that_writes_lines_is_followed_like_a_small_one() -> None:
    chapters = (script(paragraph(n, 200)) for n in "abcd")
    engine = ScriptedEngine(rows(1, 2, 3, 4), *chapters)
    list(in_chapters(job(4, FULL), engine))
    request = job(4).request
    assert engine.requests[1].messages[0].content == plan_prompt(request, 4)


def test_the_catalogue_says_what_a_model_plans() -> None:
    kinds = [entry.profile.plans for entry in (NO_HRI, DEMO, SMOLLM2)]
    assert kinds == ["full", "lines", "arc"]
