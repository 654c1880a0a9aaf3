"""A story taken up again goes on as if it had never been interrupted."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from polaris_cli.engines.base import Capabilities, Engine, GenerationRequest, ModelInfo
from polaris_cli.engines.local.engine import load
from polaris_cli.engines.scripted import SCRIPTED_CAN, ScriptedEngine
from polaris_cli.errors import UsageError
from polaris_cli.events import (
    AnswerEvent,
    Chapter,
    ChapterStart,
    Chunk,
    Event,
    Finish,
    Plan,
    Planned,
    Reason,
    Restart,
    as_chunk,
    merged,
    with_held,
)
from polaris_cli.models.resolving import resolve
from polaris_cli.request.story_request import Draft
from polaris_cli.story.accumulator import Accumulator, collect
from polaris_cli.story.job import Job
from polaris_cli.story.length import SCENE_BREAK
from polaris_cli.story.plan_file import PlanFile
from polaris_cli.story.prepare import prepare
from polaris_cli.story.result import Story
from polaris_cli.story.resuming import differences, resume, write_again
from polaris_cli.story.writing import record_for, replayed_tokens, write_job
from tests.stories import a_story

GREEDY = {"words": 60, "model": "demo", "temperature": 0.0, "repetition_penalty": 1.0}
DEMO = ModelInfo("demo", "built in", engine="scripted")
PLAN = Plan("T", "", tuple(Chapter(f"C{n}", 50, f"part {n}") for n in (1, 2)))


@pytest.fixture(scope="module")
def demo() -> Engine:
    return load(resolve("demo"), context_tokens=2000)


@pytest.fixture(scope="module")
def whole(demo: Engine) -> list[Event]:
    return list(write_job(prepared(), demo))


def prepared(**more: object) -> Job:
    length = "chapters" if "chapters" in more else "single"
    asked = {**GREEDY, "seed": 3, "length": length, **more}
    return prepare("a miller and a stolen bell", asked)


def cut(
    request: Job, engine: Engine, events: list[Event], chunks: int
) -> tuple[Story, list[Event]]:
    """What the library holds of a story that was interrupted after so many events."""
    story = record_for(request, engine)
    written = islice((e for e in events if not isinstance(e, Finish)), chunks)
    *seen, _ = with_held(chain(written, [Finish("interrupted")]))  # as `run_job` does
    return collect(seen, story), seen


def chunks_of(events: Iterator[Event] | list[Event]) -> list[tuple[str, str]]:
    """Kind and text with neighbours joined, since chunks may be cut elsewhere."""
    joined: list[tuple[str, str]] = []
    for event in events:
        chunk = as_chunk(event)
        if not chunk or isinstance(event, ChapterStart | Restart):
            continue
        if joined and joined[-1][0] == chunk.kind:
            joined[-1] = (chunk.kind, joined[-1][1] + chunk.text)
        else:
            joined.append((chunk.kind, chunk.text))
    return joined


@pytest.mark.slow
@given(share=st.floats(0, 1))
@settings(max_examples=4)
def test_greedy_the_demo_model_goes_on_to_the_same_text(
    demo: Engine, whole: list[Event], share: float
) -> None:
    story, chunks = cut(prepared(), demo, whole, round(share * (len(whole) - 1)))
    events = write_job(resume(story, chunks), demo)
    assert chunks_of(events) == chunks_of(whole)


@pytest.mark.slow
def test_sampled_the_draws_go_on(demo: Engine) -> None:
    request = prepared(temperature=1.0)
    events = list(write_job(request, demo))
    story, chunks = cut(request, demo, events, 40)
    again = list(write_job(resume(story, chunks), demo))
    assert chunks_of(again) == chunks_of(events)
    # The surprise is that of all tokens, not of the new ones alone.
    found, expected = (collect(each, story).quality for each in (again, events))
    assert found.tokens == expected.tokens > 40
    assert found.curve == pytest.approx(expected.curve, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.5, 0.7, 0.95])
def test_chapters_of_the_demo_model_go_on_to_the_same_text(demo: Engine, share: float) -> None:
    request = prepare(
        "a miller and a stolen bell", {**GREEDY, "words": 100}, plan=PlanFile(PLAN, None)
    )
    events = list(write_job(request, demo))
    story, chunks = cut(request, demo, events, round(share * (len(events) - 1)))
    assert story.plan == PLAN.shared(100)
    again = list(write_job(resume(story, chunks), demo))
    assert chunks_of(again) == chunks_of(events)
    assert collect(again, story).quality.tokens == collect(events, story).quality.tokens > 40


@pytest.mark.slow
def test_writing_again_gives_the_same_text(demo: Engine) -> None:
    job = prepared(temperature=1.0)
    story = collect(write_job(job, demo), record_for(job, demo))
    job = write_again(story)
    again = collect(write_job(job, demo), record_for(job, demo))
    assert again.text == story.text
    assert again.id != story.id
    assert list(differences(story, demo.info)) == []


def test_what_has_changed_is_said(demo: Engine) -> None:
    story = record_for(prepared(), demo)
    story = replace(story, versions={**story.versions, "torch": "1.0"})
    other = replace(demo.info, device="cuda:0", kernel="torch int4")
    said = list(differences(story, other))
    assert len(said) == 2 and "torch was 1.0" in said[0]
    quantized = replace(story, model=replace(other, kernel="bitsandbytes nf4"))
    assert "the kernel was bitsandbytes nf4 and" in list(differences(quantized, other))[-1]


# --- with a script


def test_restarted_thinking_resumes_with_its_own_seed() -> None:
    seen: list[tuple[int, str]] = []

    class Watching(ScriptedEngine):
        def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
            seen.append((request.sampling.seed, "".join(map(chr, request.after))))
            return super().stream(request)

    story, _ = scripted("Once")
    ids = {text: tuple(map(ord, text)) for text in ("round and round", "a plan</think>", "Once")}
    chunks: list[Event] = [
        Chunk("thinking", "round and round", 3, ids["round and round"]),
        Restart(1),
        Chunk("thinking", "a plan", 1, ids["a plan</think>"]),
        Chunk("story", "Once", 1, ids["Once"]),
    ]
    events = write_job(resume(story, chunks), Watching([" upon"], info=DEMO))
    assert text_of(events) == "Once upon"
    assert seen == [(story.request.sampling.redrawn().seed, "a plan</think>Once")]


def scripted(
    text: str, finish: Reason = "interrupted", **more: object
) -> tuple[Story, list[Chunk]]:
    story = record_for(prepared(**more), ScriptedEngine(info=DEMO))
    chunks = [Chunk("story", text, 1, tuple(map(ord, text)))]
    return replace(collect(chunks, story), finish=finish), chunks


def text_of(events: Iterator[Event]) -> str:
    return "".join(text for kind, text in chunks_of(events) if kind == "story")


def test_a_finished_story_has_nothing_to_go_on_with() -> None:
    story, chunks = scripted("word " * 60, "stop")
    with pytest.raises(UsageError, match="is finished") as refused:
        resume(story, chunks)
    assert f"polaris resume {story.id} --words" in refused.value.hint
    assert resume(story, chunks, 200).request.words == 200
    resume(replace(story, finish="interrupted"), chunks)


def test_a_short_story_that_could_grow_by_no_scene_is_finished() -> None:
    story, chunks = scripted("word " * 55, "stop")
    extended = replace(story, request=replace(story.request, words=60, length="extend"))
    for model, finished in (("demo", True), ("smollm2", False)):
        written = replace(extended, model=replace(story.model, name=model))
        if finished:
            with pytest.raises(UsageError, match="is finished: 55 of 60 words"):
                resume(written, chunks)
        else:
            assert resume(written, chunks).request.words == 60


@pytest.mark.parametrize("times", [1, 10])
def test_the_hint_for_a_finished_story_can_be_followed(times: int) -> None:
    story, chunks = scripted("word " * 60 * times, "stop")
    with pytest.raises(UsageError) as refused:
        resume(story, chunks)
    words = int(refused.value.hint.split()[-1])
    assert words >= story.requested + 500
    assert resume(story, chunks, words).request.words == words > story.written


def test_a_story_a_little_short_is_finished() -> None:
    almost, chunks = scripted("word " * 93, "stop", words=100)
    with pytest.raises(UsageError, match="93 of 100 words"):
        resume(almost, chunks)
    short, chunks = scripted("word " * 92, "stop", words=100)
    assert resume(short, chunks).request.length == "extend"


def test_a_single_pass_stays_one_unless_it_ended_too_early_or_shall_be_longer() -> None:
    broken, chunks = scripted("word " * 20, "interrupted")
    assert resume(broken, chunks).request.length == "single"
    assert resume(broken, chunks, 61).request.length == "extend"
    ended, chunks = scripted("word " * 20, "stop")
    assert resume(ended, chunks).request.length == "extend"


@pytest.mark.parametrize(
    ("ran", "asked"),
    [
        ("4bit", "4bit"),
        ("none", "none"),
        ("fp8", "auto"),
        ("Q4_1", "none"),
        ("Q4_1, 4bit", "4bit"),
    ],
)
def test_what_auto_stood_for_is_asked_for_again(ran: str, asked: str) -> None:
    story, _ = scripted("Once")
    found = write_again(replace(story, model=replace(story.model, quantization=ran)))
    assert (found.request.model, found.request.quantize) == ("demo", asked)
    other = replace(story, model=ModelInfo("fox", "someone/fox", "v1"))
    assert write_again(other).request.model == "someone/fox"
    assert write_again(other).request.revision == "v1"


def limit_of(job: Job) -> int:
    """The limit of new tokens that the engine is given."""
    engine = ScriptedEngine(["Once."], info=DEMO)
    list(write_job(job, engine))
    return engine.requests[0].max_new_tokens


@pytest.mark.parametrize("length", ["single", "extend"])
def test_only_a_story_that_was_cut_off_at_its_limit_gets_a_new_one(length: str) -> None:
    asked = {"length": length, "think": False}
    broken, chunks = scripted("Once upon a time", "interrupted", **asked)
    whole = limit_of(prepared(**asked))
    assert limit_of(resume(broken, chunks)) == whole - len("Once upon a time")
    assert limit_of(resume(replace(broken, finish="length"), chunks)) == whole


def test_the_users_limit_does_not_cut_a_story_off_twice() -> None:
    asked = {"max_new_tokens": 20, "length": "single", "think": False}
    broken, chunks = scripted("Once upon a time", "interrupted", **asked)
    assert limit_of(resume(broken, chunks)) == 20 - len("Once upon a time")
    for job in (
        resume(replace(broken, finish="length"), chunks),
        resume(broken, chunks, words=90),
    ):
        assert limit_of(job) > 60 and job.request.sampling.max_new_tokens is None
        assert job.notes == ("The limit of 20 new tokens no longer counts.",)


def test_a_draft_is_a_part_of_the_prompt() -> None:
    engine = ScriptedEngine(info=DEMO)
    options = {**GREEDY, "think": False}
    bare = record_for(prepare("a miller", options), engine)
    drafted = prepare("a miller", options, Draft("Once upon"))
    assert record_for(drafted, engine).tokens.prompt == bare.tokens.prompt + len("Once upon")


def test_a_story_in_chapters_goes_on_with_its_own_plan() -> None:
    story, chunks = scripted("", chapters=2)
    assert resume(replace(story, plan=PLAN), chunks).plan == PLAN
    planned = [Chunk("thinking", "Hm.", 2), Chunk("plan", "1. One", 3)]
    resumed = resume(replace(story, plan=PLAN), [*planned, ChapterStart(1, "C1"), *chunks])
    again = list(write_job(resumed, ScriptedEngine(["One."], ["Two."])))
    assert again[:3] == [*planned, Planned(PLAN)]  # with the tokens that it took
    given = replace(story, request=replace(story.request, plan=PLAN))
    assert resume(given, chunks).plan == PLAN.shared(60)  # it broke off before it was recorded


def test_a_finished_story_grows_to_a_new_length() -> None:
    story, chunks = scripted("One thing happened.\n\nThe end of it.", "stop", think=False)
    more = [f"Then came day {day}." + " And so on" * 8 + ".\n\n" for day in range(9)]
    engine = ScriptedEngine([], ["More.\n\n", *more])
    events = write_job(resume(story, chunks, 80), engine)
    text = text_of(events)
    assert text.startswith("One thing happened.\n\n* * *\n\nMore.")
    assert text.rstrip().endswith("The end of it.") and len(text.split()) < 110


def test_a_story_without_tokens_cannot_go_on() -> None:
    story, _ = scripted("Once upon a time")
    with pytest.raises(UsageError, match="does not record tokens") as refused:
        resume(story, [Chunk("story", "Once", 1)])
    assert "polaris rerun" in refused.value.hint


def test_a_loop_is_cut_back_and_drawn_anew() -> None:
    text = "A good beginning of it all.\n\n" + "the same again. " * 60
    story, chunks = scripted(text, "loop", think=False)
    job = resume(story, chunks)
    events = write_job(job, ScriptedEngine(["And so it ended."]))
    assert text_of(events) == ("A good beginning of it all.\n\nthe same again. And so it ended.")
    drawn = {story.request.sampling.redrawn(times).seed for times in range(7)}
    assert not drawn & {job.request.sampling.redrawn(times).seed for times in range(7)}


def test_a_story_without_text_is_written_with_another_seed() -> None:
    story, _ = scripted("", "stop", think=False)
    job = resume(story, [Restart(1)])
    assert text_of(write_job(job, ScriptedEngine(["Once."], info=DEMO))) == "Once."
    assert job.request.sampling.seed != story.request.sampling.seed and not job.earlier


def test_a_resumed_story_keeps_its_counts() -> None:
    story, chunks = scripted("", chapters=2)
    job = resume(replace(story, plan=PLAN, extended=2, rewritten=3), chunks)
    engine = ScriptedEngine(["One."], ["Two."], info=DEMO, opened=False)
    again = collect(write_job(job, engine), record_for(job, engine))
    assert (again.extended, again.rewritten) == (2, 3)


def test_a_story_in_parts_keeps_the_message_before_its_prompt() -> None:
    """Which tells a small model that it is a novelist; the tokens of the prompt include it."""
    job = prepare("a fox", {"words": 2_000, "model": "smollm2", "length": "chapters"})
    engine = ScriptedEngine(info=replace(DEMO, name="smollm2"))
    story = record_for(job, engine)
    assert [message.role for message in job.messages] == ["system", "user"]
    for again in (write_again(story), resume(story, [])):
        assert again.messages == job.messages
        assert record_for(again, engine).tokens.prompt == story.tokens.prompt


def test_a_plan_that_never_came_is_asked_for_again() -> None:
    story, _ = scripted("", chapters=2)
    plan = ["Title: X\n1. A | 30 words | a\n2. B | 30 words | b"]
    engine = ScriptedEngine(plan, ["One."], ["Two."], opened=False)
    events = write_job(resume(story, [Chunk("thinking", "Title: X", 3)]), engine)
    kinds = [type(event) for event in events]
    assert Planned in kinds


@pytest.fixture(scope="module")
def extended(demo: Engine) -> tuple[Job, list[Event]]:
    """A story that had come to its end before its length: that ending was set aside."""
    for seed in range(9):
        request = prepared(words=500, length="extend", think=False, temperature=1.0, seed=seed)
        events = list(write_job(request, demo))
        if SCENE_BREAK in chunks_of(events)[-1][1]:
            return request, events
    pytest.fail("the demo model never ends before 500 words: ask for more")


@pytest.mark.slow
@given(share=st.floats(0, 1))
@settings(max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_a_story_that_is_extended_goes_on_to_the_same_text(
    demo: Engine, extended: tuple[Job, list[Event]], share: float
) -> None:
    """The ending that was set aside is found again, though no record holds it."""
    request, events = extended
    story, chunks = cut(request, demo, events, round(share * (len(events) - 1)))
    again = write_job(resume(story, list(merged(chunks))), demo)
    assert chunks_of(again) == chunks_of(events)


def test_fewer_words_than_there_are_are_refused() -> None:
    story = a_story(text="a b c d e", finish="interrupted")
    events = [Chunk("story", "a b c d e", 5, (1, 2, 3, 4, 5))]
    with pytest.raises(UsageError, match="already has 5 words"):
        resume(story, events, 4)


# --- how many tokens are new


def ids(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


THOUGHT = Chunk("thinking", "round and round", 15, ids("round and round"))
PLANNED = Chunk("plan", "1. One", 6, ids("1. One"))
TOLD = Chunk("story", "Once.", 5, ids("Once."))
FIRST: list[Event] = [PLANNED, ChapterStart(1, "C1"), THOUGHT, Restart(1), TOLD]
SECOND: list[Event] = [ChapterStart(2, "C2"), THOUGHT, Restart(1), TOLD]
CHAT = Capabilities(token_ids=False)


def new_tokens(job: Job, engine: Engine) -> int | None:
    """The tokens that a job's story is said to have got in this run."""
    replayed = replayed_tokens(job, engine)
    story_so_far = Accumulator(record_for(job, engine), replayed=replayed)
    list(story_so_far.watch(write_job(job, engine)))
    return story_so_far.story().timing.tokens


def test_what_was_restarted_or_looped_is_not_counted_as_old() -> None:
    more = ["And", " so", " it", " ended."]
    story, _ = scripted("Once.")
    job = resume(story, [THOUGHT, Restart(1), TOLD])
    assert new_tokens(job, ScriptedEngine(more, info=DEMO)) == len(more)
    looped, chunks = scripted("It began.\n\n" + "the same again. " * 60, "loop", think=False)
    assert new_tokens(resume(looped, chunks), ScriptedEngine(more, info=DEMO)) == len(more)


@pytest.mark.parametrize("capabilities", [SCRIPTED_CAN, CHAT], ids=["ids", "chat"])
@pytest.mark.parametrize("chapters", [[PLANNED], FIRST, FIRST + SECOND], ids=[0, 1, 2])
def test_of_chapters_what_is_written_anew_is_new(
    chapters: list[Event], capabilities: Capabilities
) -> None:
    story, _ = scripted("", chapters=2)
    if not capabilities.token_ids:
        chapters = [replace(e, ids=()) if isinstance(e, Chunk) else e for e in chapters]
    job = resume(replace(story, plan=PLAN), chapters)
    engine = ScriptedEngine(["The", " end."], info=DEMO, opened=False, capabilities=capabilities)
    assert new_tokens(job, engine) == 2 * len(engine.requests) > 0


def test_a_plan_that_is_made_anew_is_new() -> None:
    story, _ = scripted("", chapters=2)
    job = resume(story, [THOUGHT, PLANNED])
    plan = ["Title: X\n", "1. A | 30 words | a\n2. B | 30 words | b"]
    engine = ScriptedEngine(plan, ["The", " end."], info=DEMO, opened=False)
    assert new_tokens(job, engine) == 2 * len(engine.requests) > 4
