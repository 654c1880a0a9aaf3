"""Stories in chapters, with a closed loop on the length."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import PolarisError
from polaris_cli.events import (
    AnswerEvent,
    Chapter,
    ChapterStart,
    Chunk,
    Event,
    Held,
    HeldText,
    Piece,
    Plan,
    Planned,
    Reason,
    merged,
)
from polaris_cli.events import text_of as event_text
from polaris_cli.models.catalogue import DEMO, ModelProfile
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import MAX_WORDS, Sampling, StoryRequest
from polaris_cli.story.chapter_drafts import chapter_drafts
from polaris_cli.story.chapters import in_chapters
from polaris_cli.story.job import Earlier, Job
from polaris_cli.story.length import chapter_count
from polaris_cli.story.planning import plan_tokens
from polaris_cli.story.prepare import settle
from polaris_cli.story.single_pass import ids_of, since_restart
from polaris_cli.words import count_words
from tests.scripts import LETTERS, finish_of, paragraph, script, text_of, times

SAMPLING = Sampling(thinking=False)
PROFILE = ModelProfile(good_words=(50, 100), recall=1)
TRAINED = replace(PROFILE, continues=True)  # to go on after its ending was set aside


def request(words: int = 300, **more: object) -> StoryRequest:
    given = {"sampling": SAMPLING, **more}
    return StoryRequest("a fox", words, length="chapters", **given)  # type: ignore[arg-type]


def job(count: int, words: int = 300, *, profile: ModelProfile = PROFILE, **more: object) -> Job:
    reference = ModelRef("tiny", "tiny", entry=replace(DEMO, profile=profile))
    asked = request(words, chapters=count, **more)
    return settle(asked, reference)


def plan_script(count: int, words: int = 300) -> list[str]:
    rows = (f"{n}. Part {n} | {words // count} words | thing {n}" for n in range(1, count + 1))
    return ["Title: The Fox\nCast: a fox\n", "\n".join(rows)]


def write(engine: ScriptedEngine, count: int = 3, **more: object) -> list[Event]:
    return list(in_chapters(job(count, **more), engine))  # type: ignore[arg-type]


def asked_words(engine: ScriptedEngine) -> list[int]:
    return [words_in(request) for request in engine.requests[1:]]


def words_in(request: GenerationRequest) -> int:
    found = re.search(r"approximately (\d+) words", request.messages[-1].content)
    assert found
    return int(found[1])


def test_a_story_in_chapters_has_plan_headings_and_text() -> None:
    engine = ScriptedEngine(plan_script(3), *(script(paragraph(n, 100)) for n in "abc"))
    events = write(engine)
    (planned,) = (event for event in events if isinstance(event, Planned))
    assert planned.plan.title == "The Fox" and not planned.note
    assert text_of(events) == "\n\n".join(
        f"## Part {number}\n\n{paragraph(name, 100)}" for number, name in enumerate("abc", 1)
    )
    assert finish_of(events).reason == "stop"
    assert "Title: The Fox" in "".join(event_text(event, "plan") for event in events)
    assert not any(event_text(event, "thinking").strip() for event in events)


def test_each_chapter_is_asked_for_by_its_own_title_and_summary() -> None:
    engine = ScriptedEngine(plan_script(3), *(script(paragraph(n, 100)) for n in "abc"))
    write(engine)
    asks = [one.messages[-1].content for one in engine.requests[1:]]
    for number, ask in enumerate(asks, 1):
        assert f"Part {number}" in ask and f"thing {number}" in ask
    whole = [message.content for message in engine.requests[-1].messages if message.role == "user"]
    assert [f"Part {number}" in ask for number, ask in enumerate(whole[1:], 1)] == [True] * 3


def test_a_model_that_goes_on_after_its_plan_is_stopped() -> None:
    plan = [*plan_script(2), "\n", "Once upon", " a time"]
    engine = ScriptedEngine(plan, script("One."), script("Two."))
    planned = [e.text for e in write(engine, 2) if isinstance(e, Chunk) and e.kind == "plan"]
    assert "Once upon" not in planned and engine.running == 0


def test_headings_can_be_left_out() -> None:
    engine = ScriptedEngine(plan_script(2), script("One."), script("Two."))
    assert text_of(write(engine, 2, words=2, headings=False)) == "One.\n\nTwo."


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("headings", [True, False])
def test_one_blank_line_stands_between_chapters(end: str, headings: bool) -> None:
    engine = ScriptedEngine(plan_script(2), ["One.", end], script("Two."))
    text = text_of(write(engine, 2, words=2, headings=headings))
    assert text.split("One.")[1] == ("\n\n## Part 2\n\nTwo." if headings else "\n\nTwo.")


@pytest.mark.parametrize(
    ("sampling", "room"),
    [
        (SAMPLING, 0),
        (Sampling(thinking_budget=500), 500),
        (Sampling(thinking_budget=0), 0),
    ],
)
def test_a_plan_has_its_room_behind_the_thinking(sampling: Sampling, room: int) -> None:
    engine = ScriptedEngine(plan_script(2), script("One."), script("Two."), opened=False)
    write(engine, 2, sampling=sampling)
    assert engine.requests[0].max_new_tokens == plan_tokens("lines", 2) + room


def test_unlimited_thinking_about_a_plan_may_fill_the_context() -> None:
    engine = ScriptedEngine(plan_script(2), script("One."), script("Two."), context=5000)
    write(engine, 2, sampling=Sampling(thinking_budget=-1))
    prompt = engine.count_tokens(engine.requests[0].messages, SAMPLING)
    assert engine.requests[0].max_new_tokens == 5000 - prompt


@pytest.mark.parametrize(("planned", "taken"), [(5, False), (10, True), (11, False)])
def test_a_plan_of_about_as_many_chapters_is_taken(planned: int, taken: bool) -> None:
    engine = ScriptedEngine(*[plan_script(planned, 800)] * 3, script("One."))
    plans = (event for event in write(engine, 8, words=800) if isinstance(event, Planned))
    first = next(plans)
    assert (len(first.plan.chapters), not first.note) == (planned if taken else 8, taken)


def test_no_two_calls_share_their_draws() -> None:
    """Two tries at a plan, then three chapters."""
    engine = ScriptedEngine(["No."], plan_script(3), *(script(paragraph(n, 100)) for n in "abc"))
    write(engine)
    assert len({one.sampling.seed for one in engine.requests}) == len(engine.requests) == 5


@pytest.mark.parametrize("rate", [0.7, 0.9, 1.2])
def test_what_the_model_delivers_corrects_what_is_asked(rate: float) -> None:
    """A model that writes `rate` of every ask still reaches the length."""
    plan = Plan("t", "", tuple(Chapter(f"C{n}", 100, "s") for n in range(8)))

    class Steady(ScriptedEngine):
        def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
            number = len(self.requests)
            self._scripts = [
                Script(script(paragraph(f"w{number}", round(words_in(request) * rate))))
            ]
            return super().stream(request)

    engine = Steady()
    profile = ModelProfile(good_words=(50, 200), recall=1)
    events = list(in_chapters(job(8, 800, profile=profile, plan=plan), engine))
    assert 0.95 <= count_words(text_of(events)) / 800 <= 1.05
    assert [words_in(one) for one in engine.requests[:2]] != [100, 100]


def test_the_last_chapter_is_held_to_what_is_left() -> None:
    paragraphs = [paragraph(name, 20) for name in LETTERS]
    sentences = [f"{one} met {other}. " for one in LETTERS for other in LETTERS]
    for long in (script(*paragraphs), script("".join(sentences))):
        engine = ScriptedEngine(plan_script(2, 200), script(paragraph("a", 100)), long)
        written = text_of(write(engine, 2, words=200, profile=TRAINED))
        assert 0.98 <= count_words(written) / 200 <= 1.04


@pytest.mark.parametrize(("short", "calls"), [(10, 3), (20, 4)])
def test_the_last_chapter_may_end_a_little_early(short: int, calls: int) -> None:
    """By less than 7% of the whole story; beyond that it is made to go on."""
    left = 200 - 100 - 2 * count_words("## Part 1")
    last = script(paragraph("b", left - short))
    engine = ScriptedEngine(
        plan_script(2, 200), script(paragraph("a", 100)), last, script(paragraph("c", 40))
    )
    write(engine, 2, words=200, profile=TRAINED)
    assert len(engine.requests) == calls


def last_prompt(engine: ScriptedEngine) -> str:
    return engine.requests[-1].messages[-1].content


SMALL = replace(PROFILE, plans="arc", recall=100)


def test_a_model_that_does_not_plan_follows_the_arc_in_one_conversation() -> None:
    texts = [paragraph(name, 100) for name in "abc"]
    engine = ScriptedEngine(*map(script, texts))
    events = write(engine, profile=SMALL)
    (planned,) = (event for event in events if isinstance(event, Planned))
    assert not planned.note and len(planned.plan.chapters) == 3
    assert text_of(events) == "\n\n".join(texts)  # no headings
    roles = [message.role for message in engine.requests[-1].messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert all(
        text.strip() in [m.content for m in engine.requests[-1].messages] for text in texts[:2]
    )
    assert "a fox" in engine.requests[0].messages[1].content
    for one, chapter in zip(engine.requests, planned.plan.chapters, strict=True):
        assert chapter.summary in one.messages[-1].content
    assert "end the story" in last_prompt(engine)


def test_a_plan_without_chapter_titles_tells_its_cast_and_place_too() -> None:
    chapters = tuple(Chapter("", 100, f"thing {number}") for number in (1, 2))
    plan = Plan("The Fox", "a fox and a hen", chapters, place="a farm", facts="The fox is old.")
    engine = ScriptedEngine(*(script(paragraph(name, 100)) for name in "ab"))
    write(engine, 2, words=200, plan=plan)
    told = "Cast: a fox and a hen\nPlace: a farm\nFacts: The fox is old.\n\nWrite only the first"
    assert [told in one.messages[1].content for one in engine.requests] == [True, True]


@pytest.mark.parametrize("titles", [("", ""), ("One", "Two")])
@pytest.mark.parametrize("said", ["It rains.", "It rains!", "“It rains.”", "It rains"])
def test_a_sentence_of_a_plan_gets_no_second_full_stop(titles: Sequence[str], said: str) -> None:
    plan = Plan("T", "", tuple(Chapter(title, 100, said) for title in titles))
    engine = ScriptedEngine(*(script(paragraph(name, 100)) for name in "ab"), context=900)
    write(engine, 2, words=200, plan=plan)
    asked = [message.content for one in engine.requests for message in one.messages]
    assert any(said in text for text in asked)
    assert not [text for text in asked if f"{said}." in text and said != "It rains"]


@pytest.mark.parametrize("profile", [PROFILE, SMALL])
def test_a_chapter_is_inserted_if_the_others_will_not_deliver_what_is_left(
    profile: ModelProfile,
) -> None:
    plan = [plan_script(3)] if profile.plans != "arc" else []
    engine = ScriptedEngine(*plan, *(script(paragraph(f"n{n}", 60)) for n in range(6)))
    events = write(engine, profile=profile)
    plans = [event.plan for event in events if isinstance(event, Planned)]
    assert len(plans[0].chapters) == 3 and len(plans[-1].chapters) == 5
    assert plans[-1].chapters[-1] == plans[0].chapters[-1]  # the end stays the end
    assert 0.85 <= count_words(text_of(events)) / 300 <= 1.1


def test_an_early_end_is_followed_by_two_scenes_at_most() -> None:
    engine = ScriptedEngine(*(script(paragraph(f"n{n}", 100)) for n in range(2)), script("End."))
    engine._scripts += [Script(script("No more."))] * 10
    events = write(engine, profile=SMALL)
    assert finish_of(events).reason == "stop" and times(events, "extended") == 2
    assert len(engine.requests) <= 2 * chapter_count(300, SMALL) + 2


@pytest.mark.parametrize("long", ["paragraphs", "one paragraph"])
def test_the_last_chapter_closes_near_the_target(long: str) -> None:
    sentences = [f"{one} met {other}. " for one in LETTERS for other in LETTERS]
    answer = [paragraph(n, 20) for n in LETTERS] if long == "paragraphs" else ["".join(sentences)]
    engine = ScriptedEngine(script(paragraph("a", 100)), script(*answer))
    written = count_words(text_of(write(engine, 2, words=200, profile=SMALL)))
    assert 0.98 <= written / 200 <= 1.1


def test_no_story_has_more_than_twice_the_chapters() -> None:
    engine = ScriptedEngine(*[script(paragraph(f"n{n}", 10)) for n in range(100)])
    assert finish_of(write(engine, 3, profile=SMALL)).reason == "stop"
    assert len(engine.requests) <= 2 * chapter_count(300, SMALL) + 2


def test_a_chapter_that_runs_away_is_closed_after_a_paragraph() -> None:
    """Else it would take the words of those to come."""
    long = script(*(paragraph(name, 20) for name in LETTERS))
    engine = ScriptedEngine(plan_script(4, 400), long, long, long, long)
    events = write(engine, 4, words=400)
    assert 0.9 <= count_words(text_of(events)) / 400 <= 1.1
    parts = text_of(events).split("## ")[1:]
    assert len(parts) == 4 and all(part.rstrip().endswith(".") for part in parts)
    assert max(count_words(part) for part in parts) <= 1.25 * 100 + 20 + 3


def test_earlier_chapters_stand_whole_or_as_a_line() -> None:
    engine = ScriptedEngine(plan_script(3), *(script(paragraph(n, 100)) for n in "abc"))
    write(engine)
    contents = [message.content for message in engine.requests[-1].messages]
    assert paragraph("b", 100) in contents and "thing 1." in contents
    assert paragraph("a", 100) not in contents
    assert [message.role for message in engine.requests[-1].messages] == [
        "user",
        "assistant",
    ] * 3 + ["user"]
    told = [message.full_text for message in engine.requests[-1].messages if message.full_text]
    assert told == [paragraph("a", 100).strip()]  # of b all can be read


def test_beyond_the_context_all_are_lines() -> None:
    chapters = (script(paragraph(n, 100)) for n in "abc")
    engine = ScriptedEngine(plan_script(3), *chapters, context=330)
    write(engine)
    contents = [message.content for message in engine.requests[-1].messages]
    assert "thing 1." in contents and "thing 2." in contents


def test_chapters_stand_whole_as_long_as_the_context_holds_them() -> None:
    def last_call(context: int) -> GenerationRequest:
        chapters = (script(paragraph(n, 100)) for n in "abc")
        engine = ScriptedEngine(plan_script(3), *chapters, context=context)
        write(engine)
        return engine.requests[-1]

    free = last_call(100_000)
    needed = free.max_new_tokens + sum(len(one.content.split()) for one in free.messages)
    assert last_call(needed).messages == free.messages
    assert last_call(needed - 1).messages != free.messages


@pytest.mark.parametrize("answers", [[["No."]], [["1. One"], ["no"], ["No."]]])
def test_a_model_that_cannot_plan_gets_a_plain_plan(answers: list[list[str]]) -> None:
    tries = (answers * 3)[:3]
    engine = ScriptedEngine(*tries, script(paragraph("a", 150)), script(paragraph("b", 150)))
    events = write(engine, 2)
    (planned,) = (event for event in events if isinstance(event, Planned))
    assert planned.note and planned.plan.words == 300
    assert len(engine.requests) == 5 and finish_of(events).reason == "stop"


@pytest.mark.parametrize(
    ("chapter", "reason"),
    [
        (Script(["the same again. "] * 900), "loop"),
        (Script([]), "stop"),
        (Script(["A few words."], error=PolarisError("gone")), "error"),
    ],
)
def test_how_a_chapter_ends_decides_about_the_story(chapter: Script, reason: str) -> None:
    events = write(ScriptedEngine(plan_script(2), chapter), 2)
    assert finish_of(events).reason == reason


@pytest.mark.parametrize("last", ["stop", "length"])
def test_a_chapter_cut_off_is_made_up_for_but_not_the_last_one(last: Reason) -> None:
    short, long = Script([paragraph("a", 150)], finish="length"), [paragraph("b", 150)]
    engine = ScriptedEngine(plan_script(2), short, Script(long, finish=last))
    events = write(engine, 2)
    assert len(engine.requests) == 3 and finish_of(events).reason == last


@pytest.mark.parametrize(("times", "headings"), [(1, "12"), (2, "13"), (9, "1")])
def test_a_chapter_without_text_is_asked_for_twice_and_left_out(times: int, headings: str) -> None:
    first, last = (script(paragraph(name, 150)) for name in "ab")
    engine = ScriptedEngine(plan_script(4, 600), first, *[[]] * times, last)
    events = write(engine, 4, words=600)
    found = re.findall(r"(?:^|\n\n)## Part (\d)", text_of(events))
    assert "".join(found[:2]) == headings and finish_of(events).reason == "stop"
    again, once = engine.requests[3], engine.requests[2]
    assert again.messages == once.messages and again.sampling == once.sampling.redrawn()
    assert all(message.content for one in engine.requests for message in one.messages)
    assert times < 9 or len(engine.requests) == 6  # two chapters in a row end the story


def test_chapters_are_found_again_in_what_was_recorded() -> None:
    engine = ScriptedEngine(plan_script(3), *(script(paragraph(n, 100)) for n in "abc"))
    events = write(engine)
    drafts = chapter_drafts(merged(events))
    assert [draft.text for draft in drafts] == [paragraph(n, 100) for n in "abc"]
    assert ["".join(map(chr, ids_of(draft.events))) for draft in drafts] == [
        paragraph(n, 100) for n in "abc"
    ]


def test_a_chapter_whose_thinking_restarted_is_found_again() -> None:
    loop, good = ["well, "] * 500, ["a plan</think>", *script(paragraph("b", 100))]
    engine = ScriptedEngine(
        ["</think>", *plan_script(3)], ["</think>", *script(paragraph("a", 100))], loop, good
    )
    second = chapter_drafts(merged(write(engine, sampling=Sampling())))[1]
    assert second.text == paragraph("b", 100)
    attempt, answer = since_restart(second.events)
    assert attempt == 1
    assert "".join(map(chr, ids_of(answer))) == "".join(good)


@pytest.mark.parametrize("cut", [0, 1, 5, 60, 110, 140, 250, 320])
def test_a_story_cut_anywhere_goes_on_to_the_same_text(cut: int) -> None:
    scripts = [plan_script(3), *(script(paragraph(n, 100)) for n in "abc")]
    whole = write(ScriptedEngine(*scripts))[:-1]
    plan = next(event for event in write(ScriptedEngine(*scripts)) if isinstance(event, Planned))
    drafts = chapter_drafts(merged(whole[:cut]))
    # The scripted engine does not continue a script by itself: give it the rest of the chapter.
    rests = [script(paragraph(n, 100)) for n in "abc"][max(len(drafts) - 1, 0) :]
    if drafts:
        rests[0] = [paragraph("abc"[len(drafts) - 1], 100)[len(drafts[-1].text) :]]
    engine = ScriptedEngine(*rests)
    earlier = Earlier(tuple(whole[:cut]), "interrupted")
    again = in_chapters(replace(job(3), plan=plan.plan, earlier=earlier), engine)
    assert text_of(list(again)) == text_of(list(whole))


@pytest.mark.parametrize("ending", ["too early", "after many short chapters"])
def test_a_resumed_story_asks_for_its_chapters_as_before(ending: str) -> None:
    """Chapters added to the plan on the way count only from where they were added."""
    short = [script(paragraph(f"n{n}", 60)) for n in range(3)]
    early = [script(paragraph(f"n{n}", 100)) for n in range(2)]
    texts = [*early, script("End.")] if ending == "too early" else short
    texts += [script(paragraph(f"m{n}", 40)) for n in range(4)]
    engine = ScriptedEngine(*texts)
    whole = write(engine, profile=SMALL)
    planned = [event.plan for event in whole if isinstance(event, Planned)]
    starts = [place for place, event in enumerate(whole) if isinstance(event, ChapterStart)]
    assert len(planned[-1].chapters) > len(planned[0].chapters) and len(starts) > 3
    for number, start in enumerate(starts[1:], 1):
        # Interrupted a few characters into a chapter; the plan is the one recorded by then.
        shown = whole[: start + 4]
        plan = [event.plan for event in shown if isinstance(event, Planned)][-1]
        again = ScriptedEngine(texts[number], *texts[number + 1 :])
        earlier = Earlier(tuple(shown), "interrupted")
        list(in_chapters(replace(job(3, profile=SMALL), plan=plan, earlier=earlier), again))
        assert [one.messages for one in again.requests] == [
            one.messages for one in engine.requests[number:]
        ]


def test_a_chapter_that_ended_in_a_loop_goes_on_before_it() -> None:
    stuck = script(paragraph("b", 50), "the same again. " * 90)
    scripts = plan_script(2, 1000), script(paragraph("a", 500)), stuck
    whole = write(ScriptedEngine(*scripts), 2, words=1000)
    plan = next(event.plan for event in whole if isinstance(event, Planned))
    assert finish_of(whole).reason == "loop"

    engine = ScriptedEngine(script(paragraph("c", 440)))
    shown = tuple(event for event in whole if not isinstance(event, Held))
    again = in_chapters(replace(job(2, 1000), plan=plan, earlier=Earlier(shown, "loop")), engine)
    texts = [chapter.text for chapter in chapter_drafts(merged(again))]
    kept = f"{paragraph('b', 50)}\n\nthe same again. "
    assert texts == [paragraph("a", 500), kept + paragraph("c", 440)]
    assert "".join(map(chr, engine.requests[-1].after)) == kept


@pytest.mark.parametrize("cut", [140, 320], ids=["second", "last"])
def test_a_chapter_taken_up_again_may_be_as_long_as_a_new_one(cut: int) -> None:
    engine = ScriptedEngine(plan_script(3), *(script(paragraph(n, 100)) for n in "abc"))
    whole = write(engine)
    plan = next(event.plan for event in whole if isinstance(event, Planned))
    again = ScriptedEngine(["The end."])
    earlier = Earlier(tuple(whole[:cut]), "interrupted")
    list(in_chapters(replace(job(3), plan=plan, earlier=earlier), again))
    taken_up, new = again.requests[0], engine.requests[len(chapter_drafts(whole[:cut]))]
    assert taken_up.after and taken_up.messages == new.messages
    assert taken_up.max_new_tokens == new.max_new_tokens


@pytest.mark.parametrize("profile", [PROFILE, TRAINED], ids=["a chapter", "within the last"])
@pytest.mark.parametrize("words", [330, 600])
def test_a_finished_story_grows(profile: ModelProfile, words: int) -> None:
    scripts = [plan_script(3), *(script(paragraph(n, 97), "The end.") for n in "abc")]
    whole = write(ScriptedEngine(*scripts), profile=profile)
    plan = next(event.plan for event in whole if isinstance(event, Planned))
    earlier = Earlier(tuple(event for event in whole if not isinstance(event, Held)), "stop")
    longer = replace(job(3, words, profile=profile), plan=plan, earlier=earlier)
    text = text_of(list(in_chapters(longer, ScriptedEngine(script(paragraph("d", 60))))))
    assert text.startswith(text_of(whole).removesuffix("The end."))
    assert paragraph("d", 60) in text


def test_the_number_of_chapters_suits_the_model() -> None:
    small = ModelProfile(good_words=(100, 400))
    assert [chapter_count(words, small) for words in (400, 1200, 2400, 4000)] == [2, 4, 8, 12]
    assert [chapter_count(words, ModelProfile()) for words in (4000, 10_000)] == [2, 4]
    assert chapter_count(MAX_WORDS, small) == 200  # the most that a request may ask for


@pytest.mark.parametrize("profile", [SMALL, replace(PROFILE, recall=100)])
def test_each_conversation_starts_with_the_one_before(profile: ModelProfile) -> None:
    """So that an engine keeps its cache, and reads only what is new."""
    plan = [plan_script(3)] if profile.plans != "arc" else []
    engine = ScriptedEngine(*plan, *(script(paragraph(n, 90)) for n in "abc"))
    write(engine, profile=profile)
    told = [one.messages for one in engine.requests[len(plan) :]]
    for earlier, later in pairwise(told):
        assert later[: len(earlier)] == earlier and len(later) == len(earlier) + 2


def test_where_not_all_summaries_fit_the_oldest_chapters_are_left_out() -> None:
    parts = [script(paragraph(f"p{n}", 30)) for n in range(20)]
    engine = ScriptedEngine(plan_script(20, 600), *parts, context=700)
    events = write(engine, 20, words=600)
    assert finish_of(events).reason == "stop" and not finish_of(events).error
    assert len(engine.requests[-1].messages) < 2 * 19 and len(engine.requests) > 20
    assert "thing 1\n" not in str(engine.requests[-1].messages)


TALK = "Here is chapter 2 of the story.", "I hope you enjoyed it.", "Let me know if you want more."


def test_a_decayed_passage_of_a_chapter_is_written_anew() -> None:
    first = script(paragraph("a", 90), *TALK)
    engine = ScriptedEngine(
        plan_script(2, 400), first, script(paragraph("new", 100)), script(paragraph("b", 200))
    )
    events = write(engine, 2, words=400, headings=False)
    assert text_of(events).split("\n\n")[:2] == [paragraph("a", 90), paragraph("new", 100)]
    assert times(events, "rewritten") == 1


def test_a_chapter_that_always_decays_ends_the_story_after_its_good_part() -> None:
    good = paragraph("a", 90)
    litter = "#love #story #life @anna @ben #sea #hope #joy"
    engine = ScriptedEngine(plan_script(2, 2000), script(good, litter), script(litter))
    events = write(engine, 2, words=2000, headings=False)
    assert (text_of(events).rstrip(), finish_of(events).reason) == (good, "decay")
    assert [event.number for event in events if isinstance(event, ChapterStart)] == [1]


def test_a_later_chapter_is_compared_with_the_beginning_of_the_story() -> None:
    def pieces(name: str, surprise: float) -> list[Piece]:
        return [
            Piece(word, 1, ids=tuple(map(ord, word)), log_probs=(-surprise,))
            for word in script(paragraph(name, 250))
        ]

    engine = ScriptedEngine(plan_script(2, 500), pieces("a", 1.0), pieces("b", 2.7))
    events = write(engine, 2, words=500)
    assert finish_of(events).reason == "decay"


@pytest.mark.parametrize("limit", [{"thinking_budget": -1}, {"max_new_tokens": 32_700}])
def test_a_large_limit_of_tokens_costs_no_earlier_chapter(limit: dict[str, int]) -> None:
    thinking = {"thinking": "thinking_budget" in limit, **limit}
    answers = [script(paragraph(n, 60)) for n in "abc"]
    engine = ScriptedEngine(plan_script(3), *answers, opened=False, context=32_768)
    profile = replace(PROFILE, recall=100)
    write(engine, profile=profile, sampling=Sampling(**thinking))  # type: ignore[arg-type]
    told = [message.content for message in engine.requests[-1].messages]
    assert paragraph("a", 60) in told and paragraph("b", 60) in told
    for one in engine.requests[1:]:
        prompt = engine.count_tokens(one.messages, one.sampling)
        assert 1000 < one.max_new_tokens <= 32_768 - prompt


@pytest.mark.parametrize(
    "heading", ["## Chapter {}: Part {}", "**Chapter {}: Part {}**", "Part {}"]
)
@pytest.mark.parametrize("headings", [True, False])
def test_a_chapter_has_one_heading_if_the_model_writes_another(
    heading: str, headings: bool
) -> None:
    texts = [script(heading.format(n, n), paragraph(name, 90)) for n, name in enumerate("ab", 1)]
    events = write(ScriptedEngine(plan_script(2, 200), *texts), 2, words=200, headings=headings)
    heads = ["## Part 1\n\n", "## Part 2\n\n"] if headings else ["", ""]
    assert text_of(events) == f"{heads[0]}{paragraph('a', 90)}\n\n{heads[1]}{paragraph('b', 90)}"


def test_the_title_may_head_a_story_whose_parts_have_none() -> None:
    texts = [script("# The Fox", paragraph(name, 90)) for name in "ab"]
    events = write(ScriptedEngine(*texts), 2, words=200, profile=SMALL)
    assert text_of(events) == f"# The Fox\n\n{paragraph('a', 90)}\n\n{paragraph('b', 90)}"


def test_a_chapter_that_is_cut_away_leaves_no_heading() -> None:
    engine = ScriptedEngine(plan_script(2, 200), script(paragraph("a", 90)), script(*TALK))
    events = write(engine, 2, words=200)
    assert text_of(events).rstrip() == f"## Part 1\n\n{paragraph('a', 90)}"
    assert finish_of(events).reason in ("decay", "stop")


def test_text_held_at_the_start_of_a_chapter_is_held_with_its_heading() -> None:
    engine = ScriptedEngine(plan_script(2, 200), *(script(paragraph(n, 90)) for n in "ab"))
    events = write(engine, 2, words=200)
    starts = [n for n, event in enumerate(events) if isinstance(event, ChapterStart)]
    for number, start in enumerate(starts, 1):
        first = next(event for event in events[start:] if isinstance(event, Held) and event.chunks)
        assert (
            "".join(chunk.text for chunk in first.chunks).lstrip().startswith(f"## Part {number}")
        )
    assert text_of(events).count("## Part") == 2


def test_an_interrupt_just_before_a_chapters_text_keeps_its_heading() -> None:
    engine = ScriptedEngine(plan_script(2), *(script(paragraph(name, 150)) for name in "ab"))
    whole = text_of(write(engine, 2))
    run = write(ScriptedEngine(*engine._scripts), 2)
    for count in range(1, len(run)):
        held, given = HeldText(), ""
        for event in run[:count]:
            held.add(event)
            given += event_text(event)
        assert whole.startswith(given + "".join(chunk.text for chunk in held.chunks))
