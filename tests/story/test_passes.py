"""The passes of a job: as many as the engine is asked for, and about as large."""

from dataclasses import replace

import pytest

from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.events import Chapter, Plan
from polaris_cli.models.catalogue import DEMO, ModelProfile, PlanKind
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.chapters import in_chapters
from polaris_cli.story.job import BYTES_PER_TOKEN, Job
from polaris_cli.story.passes import passes_of
from polaris_cli.story.planning import plan_tokens
from polaris_cli.story.prepare import settle
from tests.scripts import paragraph, script

PROFILE = ModelProfile(good_words=(50, 200), recall=100, tokens_per_word=2.0)


def job(plans: PlanKind, *, thinks: bool = True, recall: int = 100, **more: object) -> Job:
    given = {"sampling": Sampling(thinking=thinks, thinking_budget=300), "chapters": 3, **more}
    request = StoryRequest("a fox", 600, length="chapters", **given)  # type: ignore[arg-type]
    profile = replace(PROFILE, plans=plans, recall=recall)
    return settle(request, ModelRef("tiny", "tiny", entry=replace(DEMO, profile=profile)))


def test_one_pass_is_the_budget() -> None:
    single = settle(StoryRequest("a fox", 300), job("lines").reference)
    (one,) = passes_of(single)
    assert (one.name, one.thinking, one.text) == ("story", 4096, 600)


@pytest.mark.parametrize("kind", ["lines", "full"])
def test_the_plan_and_each_chapter_think(kind: PlanKind) -> None:
    plan, *chapters = passes_of(job(kind))
    assert (plan.name, plan.text, plan.thinking) == ("plan", plan_tokens(kind, 3), 300)
    assert [one.name for one in chapters] == ["chapter 1", "chapter 2", "chapter 3"]
    assert [one.text for one in chapters] == [400] * 3
    assert [one.thinking for one in chapters] == [300] * 3
    assert chapters[0].prompt > plan.prompt + plan.text


def test_a_model_that_does_not_think_or_plan_has_the_chapters_alone() -> None:
    passes = passes_of(job("arc", thinks=False))
    assert [one.name for one in passes] == ["chapter 1", "chapter 2", "chapter 3"]
    assert not any(one.thinking for one in passes)


def test_the_story_and_each_chapter_keep_to_the_limit_of_new_tokens() -> None:
    sampling = Sampling(thinking_budget=300, max_new_tokens=500)
    plan, *chapters = passes_of(job("lines", sampling=sampling))
    assert plan.text == plan_tokens("lines", 3)
    assert {(one.thinking, one.text) for one in chapters} == {(300, 200)}
    asked = StoryRequest("a fox", 300, sampling=replace(sampling, max_new_tokens=200))
    (story,) = passes_of(settle(asked, job("lines").reference))
    assert (story.thinking, story.text) == (200, 0)


def test_thinking_without_a_limit_counts_with_the_default_one() -> None:
    passes = passes_of(job("lines", sampling=Sampling(thinking_budget=-1)))
    assert [one.thinking for one in passes] == [Sampling().thinking_budget] * 4


def test_a_given_plan_is_not_asked_for() -> None:
    rows = tuple(Chapter(f"C{n}", n, "s") for n in (1, 2, 3))
    passes = passes_of(job("full", plan=Plan("T", "", rows)))
    assert [one.text for one in passes] == [200, 400, 600]


def test_the_prompts_are_about_as_long_as_those_that_an_engine_gets() -> None:
    asked = job("arc", thinks=False)
    engine = ScriptedEngine(*(script(paragraph(name, 200)) for name in ("fox", "hen", "owl")))
    list(in_chapters(asked, engine))
    for request, one in zip(engine.requests, passes_of(asked), strict=True):
        last = request.messages[-1].content
        assert last and one.prompt >= len(last) // BYTES_PER_TOKEN
    first, second, third = passes_of(asked)
    assert second.prompt - first.prompt > 400 < third.prompt - second.prompt


@pytest.mark.parametrize("short", ["recall", "context"])
def test_earlier_chapters_are_lines_where_the_engine_gets_lines(short: str) -> None:
    long = job("lines")
    brief = job("lines", recall=0)
    if short == "context":
        profile = replace(PROFILE, context=max(one.prompt for one in passes_of(brief)) + 750)
        entry = replace(DEMO, profile=profile)
        brief = replace(long, reference=ModelRef("tiny", "tiny", entry=entry))
    assert passes_of(long)[-1].prompt > passes_of(brief)[-1].prompt + 400
