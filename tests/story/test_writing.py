"""A job continued where an earlier run stopped."""

from dataclasses import replace

import pytest

from polaris_cli.engines.scripted import ScriptedEngine
from polaris_cli.events import ChapterStart, Chunk, Event, Finish, Held, Piece, Restart
from polaris_cli.models.catalogue import DEMO, ModelProfile
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.story_request import Draft, Length, Sampling, StoryRequest
from polaris_cli.story.arc import STORY
from polaris_cli.story.job import Earlier, Job
from polaris_cli.story.length import LEAST_FOR_ENDING, OVERRUN, words_for_ending
from polaris_cli.story.prepare import settle
from polaris_cli.story.writing import write_job
from polaris_cli.words import count_words
from tests.scripts import LETTERS, finish_of, paragraph, script, text_of, times

SMALL = ModelProfile(good_words=(50, 150), plans="arc", recall=100)


def extending(words: int, draft: str = "") -> Job:
    """A story by a model that goes on in further parts after an early end."""
    profile = ModelProfile(good_words=(10, 400))
    reference = ModelRef("tiny", "tiny", entry=replace(DEMO, profile=profile))
    sampling = Sampling(thinking=False)
    given = Draft(draft) if draft else None
    asked = StoryRequest("a fox", words, length="extend", sampling=sampling, draft=given)
    return settle(asked, reference)


def recorded(events: list[Event]) -> tuple[Event, ...]:
    return tuple(event for event in events if not isinstance(event, Held | Finish))


def parts_of(events: list[Event]) -> int:
    return sum(isinstance(event, ChapterStart) for event in events)


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
    assert text_of(events).startswith(text_of([*kept]))
    assert times(events, "extended") == 0  # the earlier run has counted it
    asked = again.requests[0].messages, engine.requests[cut // 62].messages
    assert asked[0] == asked[1]  # the same plan has grown again


def test_what_was_added_to_a_finished_story_stays_too() -> None:
    job = extending(200)
    whole = recorded(list(write_job(job, ScriptedEngine(script(paragraph("a", 182))))))
    longer = replace(job, earlier=Earlier(whole, "stop"))
    kept = recorded(list(write_job(longer, ScriptedEngine(script(paragraph("b", 60))))))[:200]
    again = replace(job, earlier=Earlier(kept, "interrupted"))
    events = list(write_job(again, ScriptedEngine(script(paragraph("c", 60)))))
    assert len(kept) > len(whole) and text_of(events).startswith(text_of([*kept]))


@pytest.mark.parametrize("words", [50, 60, 80, 100, 150, 300])
@pytest.mark.parametrize("first", [3, 10, 20])
def test_a_first_answer_of_a_few_words_makes_no_story_too_long(words: int, first: int) -> None:
    more = " ".join(paragraph(name, 9) for name in LETTERS)
    engine = ScriptedEngine(script(paragraph("a", first)), *[script(more)] * 8)
    written = count_words(text_of(list(write_job(extending(words), engine))))
    assert 0.8 <= written / words <= 1.1


@pytest.mark.parametrize(("written", "goes_on"), [(270, False), (269, True)])
def test_a_story_below_its_band_goes_on(written: int, goes_on: bool) -> None:
    engine = ScriptedEngine(script(paragraph("a", written)), script(paragraph("b", 40)))
    events = list(write_job(extending(300), engine))
    assert times(events, "extended") == goes_on
    assert count_words(text_of(events)) == written + 40 * goes_on


def test_a_part_behind_a_draft_begins_a_paragraph_if_the_first_answer_was_empty() -> None:
    job = extending(100, "It was night, and the fox slept.")
    events = list(write_job(job, ScriptedEngine([], script(paragraph("b", 60)))))
    assert text_of(events).startswith(f"It was night, and the fox slept.\n\n{paragraph('b', 60)}")


@pytest.mark.parametrize("parts", [0, 1])
def test_a_model_that_writes_nothing_more_is_not_asked_again_and_again(parts: int) -> None:
    written = [script(paragraph(name, 60)) for name in "abc"[:parts]]
    engine = ScriptedEngine(*written, [])
    assert text_of(list(write_job(extending(300), engine))).split() == [
        word for part in "abc"[:parts] for word in paragraph(part, 60).split()
    ]
    assert len(engine.requests) == parts + 2  # an empty answer is tried once more


def test_of_a_part_that_the_context_has_no_room_for_the_last_paragraph_is_told() -> None:
    engine = ScriptedEngine(
        script(paragraph("a", 150), "The fox slept."), script("b."), context=650
    )
    list(write_job(extending(300), engine))
    told = [message.content for message in engine.requests[1].messages]
    assert told[-2] == "The fox slept."


def test_a_story_that_becomes_too_long_gets_an_ending_in_place_of_its_last_words() -> None:
    first = [paragraph(name, 30) for name in LETTERS]
    engine = ScriptedEngine(script(*first), script(paragraph("ending", 90)))
    events = list(write_job(extending(300), engine))
    kept = first[: (300 - words_for_ending(300)) // 30]
    assert text_of(events).split("\n\n") == [*kept, paragraph("ending", 90)]
    assert finish_of(events).reason == "stop" and not finish_of(events).closed
    assert (times(events, "rewritten"), times(events, "extended")) == (1, 0)
    asked = [message.content for message in engine.requests[1].messages]
    assert asked[-2] == "\n\n".join(kept)
    assert "end the story" in asked[-1] and STORY[-1] in asked[-1]
    assert f"{(300 - 30 * len(kept)) / OVERRUN:.0f} words" in asked[-1]


def test_a_short_ending_has_tokens_for_all_words_of_the_band() -> None:
    early, long = paragraph("a", 1_680), [paragraph(name, 30) for name in LETTERS]
    engine = ScriptedEngine(script(early), script(*long), script(paragraph("ending", 60)))
    kept = count_words(text_of(list(write_job(extending(2_000), engine)))) - 60
    limit = engine.requests[2].max_new_tokens
    assert limit >= (1.1 * 2_000 - kept) * ModelProfile().tokens_per_word


def test_an_ending_that_is_too_long_is_closed() -> None:
    long = script(*(paragraph(name, 30) for name in LETTERS))
    engine = ScriptedEngine(long, long, long)
    events = list(write_job(extending(300), engine))
    assert len(engine.requests) == 2 and finish_of(events).closed
    assert 0.9 <= count_words(text_of(events)) / 300 <= 1.1


@pytest.mark.parametrize("draft", ["", " ".join([paragraph("d", 60)] * 3)])
def test_a_story_too_short_to_divide_or_nearly_given_is_only_closed(draft: str) -> None:
    long = script(*(paragraph(name, 15) for name in LETTERS))
    engine = ScriptedEngine(long, long)
    words = 200 if draft else LEAST_FOR_ENDING - 1
    events = list(write_job(extending(words, draft), engine))
    assert len(engine.requests) == 1 and finish_of(events).closed


@pytest.mark.parametrize("cut", [100, 150, 215, 230, 260])
def test_a_story_cut_before_or_in_its_ending_keeps_all_of_its_text(cut: int) -> None:
    long = [paragraph(name, 30) for name in LETTERS]
    engine = ScriptedEngine(script(*long), script(paragraph("ending", 90)))
    kept = recorded(list(write_job(extending(300), engine)))[:cut]
    rest = (
        "\n\n".join(long)[len(text_of(list(kept))) :]
        if parts_of(list(kept)) < 2
        else paragraph("f", 80)
    )
    again = ScriptedEngine(script(rest), script(paragraph("e", 90)))
    events = list(write_job(replace(extending(300), earlier=Earlier(kept, "interrupted")), again))
    assert text_of(events).startswith(text_of(list(kept)))
    assert parts_of(events) == 2 and times(events, "extended") == 0


@pytest.mark.parametrize("size", [7, 40, 160, 100_000])
@pytest.mark.parametrize("length", ["extend", "chapters"])
def test_a_server_may_send_many_words_at_once(size: int, length: Length) -> None:
    text = "\n\n".join(" ".join([paragraph(name, 12)] * 3) for name in LETTERS)
    cuts = range(0, len(text), size)
    pieces = [Piece(text[cut : cut + size]) for cut in cuts]
    request = replace(extending(300).request, length=length, chapters=None)
    job = settle(request, ModelRef("tiny", "tiny", entry=replace(DEMO, profile=SMALL)))
    events = list(write_job(job, ScriptedEngine(pieces)))
    written = text_of(events)
    assert 0.9 <= count_words(written) / 300 <= 1.1 and written.rstrip().endswith(".")


def test_a_resumed_answer_tells_its_restart_once() -> None:
    """Else the next resume takes the story before the second one for thinking."""
    talk = "Here is chapter 2 of the story.", "I hope you enjoyed it.", "Let me know what to add."
    good = [paragraph(name, 90) for name in "abc"]
    job = extending(400)
    text = f"{good[0]}\n\n"
    ids = ScriptedEngine().encode(text)
    kept = (ChapterStart(1, ""), Restart(1), Chunk("story", text, len(ids), ids))
    engine = ScriptedEngine(script(*good[1:], *talk), script(paragraph("d", 90)))
    events = list(write_job(replace(job, earlier=Earlier(kept, "interrupted")), engine))
    assert times(events, "rewritten") == 1
    assert sum(isinstance(event, Restart) for event in events) == 1
    assert "".join(map(chr, engine.requests[1].after)).startswith(text)
    assert text_of(events).startswith("\n\n".join(good))
