"""Decayed text is cut away and written anew, without taking back what is in the stream."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.events import AnswerEvent, Chunk, Event, Finish, Held, Inserted, Restart
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from polaris_cli.story.answer_tail import MOST_HELD
from polaris_cli.story.decayed import RETRIES, without_decay
from polaris_cli.story.length import LengthTarget, close_at
from polaris_cli.story.single_pass import ids_of, stream_answer
from tests.scripts import finish_of, paragraph, script, text_of, times, tokens_of

REQUEST = GenerationRequest((Message("user", "Write."),), Sampling(thinking_budget=0), 100_000)
TALK = "Here is chapter 2 of the story.", "I hope you enjoyed it.", "Let me know if you want more."
LITTER = "#love #story #life @anna @ben #sea #hope #joy"
GOOD = [paragraph(name, 90) for name in "abc"]


def go(engine: ScriptedEngine, retries: int = RETRIES, keep: int = 0) -> list[Event]:
    def write(request: GenerationRequest) -> Iterator[Event]:
        return stream_answer(engine, request)

    return list(without_decay(write, REQUEST, retries=retries, keep=keep))


def rewritten(*rest: list[str]) -> ScriptedEngine:
    """An engine whose first answer turns to talk; the others go on from its good paragraphs."""
    return ScriptedEngine(script(*GOOD, *TALK, *TALK), *rest)


def test_a_decayed_passage_is_written_anew_from_its_last_good_paragraph() -> None:
    engine = rewritten(script(paragraph("new", 40)))
    events = go(engine)
    assert text_of(events).split("\n\n") == [*GOOD, paragraph("new", 40)]
    assert finish_of(events) == Finish("stop", 1)
    assert times(events, "rewritten") == 1
    first, second = engine.requests
    assert "".join(map(chr, second.after)) == "\n\n".join([*GOOD, ""])
    assert first.sampling.seed != second.sampling.seed
    assert second.max_new_tokens == first.max_new_tokens - len(second.after)


def test_an_opening_about_the_story_stays_when_a_later_passage_is_written_anew() -> None:
    opening = "This story is about a fox who wanted to be a hen. The story teaches patience."
    engine = ScriptedEngine(
        script(opening, *GOOD, *TALK, *TALK), script(paragraph("new", 40), paragraph("more", 40))
    )
    events = go(engine)
    assert text_of(events).startswith("\n\n".join([opening, *GOOD, "new"]))
    assert finish_of(events).reason == "stop"
    assert times(events, "rewritten") == 1


@pytest.mark.parametrize("again", [LITTER, TALK[0]], ids=["decayed", "an aside"])
def test_the_tokens_of_what_is_dropped_are_told(again: str) -> None:
    first, second = script(*GOOD, LITTER), script(again)
    events = go(ScriptedEngine(first, second))
    assert tokens_of(events) == len(first) + RETRIES * len(second)


def test_an_answer_that_decays_each_time_ends_after_its_good_part() -> None:
    engine = ScriptedEngine(script(*GOOD, LITTER), script(LITTER))
    events = go(engine)
    assert text_of(events).rstrip() == "\n\n".join(GOOD)
    assert finish_of(events).reason == "decay"
    assert len(engine.requests) == 1 + RETRIES


def test_a_story_ends_before_talk_that_is_always_there() -> None:
    talk = script(*TALK, paragraph("e", 30))
    engine = ScriptedEngine(script(*GOOD, *TALK, GOOD[0]), talk, talk)
    events = go(engine)
    assert text_of(events).rstrip() == "\n\n".join(GOOD)
    assert finish_of(events).reason == "stop"
    assert times(events, "rewritten") == RETRIES


@pytest.mark.parametrize("retries", [0, RETRIES])
def test_one_sentence_about_the_text_does_not_end_a_story(retries: int) -> None:
    again = script(TALK[0], *GOOD)
    engine = ScriptedEngine(script(*GOOD, TALK[0], *GOOD), again, again)
    events = go(engine, retries)
    assert text_of(events) == "\n\n".join([*GOOD, TALK[0], *GOOD])
    assert times(events, "rewritten") == retries


def test_a_last_sentence_about_the_text_is_an_aside() -> None:
    events = go(ScriptedEngine(script(*GOOD, TALK[1])), retries=0)
    assert text_of(events).rstrip() == "\n\n".join(GOOD)
    assert finish_of(events).reason == "stop"


def test_a_story_may_open_with_what_it_is() -> None:
    opening = "This is the story of a fox who lost his coat."
    events = go(ScriptedEngine(script(opening, *GOOD)))
    assert text_of(events) == "\n\n".join([opening, *GOOD])


@pytest.mark.parametrize("kept", [TALK, (LITTER,)], ids=["talk", "litter"])
def test_text_of_an_earlier_run_stays_whatever_it_is(kept: tuple[str, ...]) -> None:
    """It was shown and saved, and judged then as far as it had come."""
    earlier = "\n\n".join([*GOOD, *kept, ""])
    request = replace(REQUEST, after=tuple(map(ord, earlier)))
    engine = ScriptedEngine(script(paragraph("d", 40), LITTER), script(paragraph("new", 40)))
    events = list(without_decay(lambda request: stream_answer(engine, request), request))
    assert text_of(events) == f"{earlier}{paragraph('d', 40)}\n\n{paragraph('new', 40)}"
    assert times(events, "rewritten") == 1


def test_a_preface_is_left_out() -> None:
    events = go(ScriptedEngine(script("Here is a story:", *GOOD)))
    assert text_of(events) == "\n\n".join(GOOD)
    assert times(events, "rewritten") == 0


def test_a_word_count_ends_the_story_at_once() -> None:
    engine = ScriptedEngine(script(*GOOD, "---", "(Word count: 512)"))
    events = go(engine)
    assert (text_of(events).rstrip(), len(engine.requests)) == ("\n\n".join(GOOD), 1)
    assert (finish_of(events).reason, times(events, "rewritten")) == ("stop", 0)
    asides = [event.text for event in events if isinstance(event, Chunk) and event.kind == "aside"]
    assert "".join(asides).strip() == "---\n\n(Word count: 512)"


def test_a_farewell_that_comes_again_and_again_is_an_aside() -> None:
    farewell = "I hope you enjoyed this story. Let me know what you think."
    events = go(ScriptedEngine(script(*GOOD, farewell), *[script("\n\n" + farewell)] * 2))
    assert text_of(events).rstrip() == "\n\n".join(GOOD)
    asides = [event.text for event in events if isinstance(event, Chunk) and event.kind == "aside"]
    assert "".join(asides).strip() == farewell


def test_without_retries_it_ends_at_once() -> None:
    engine = ScriptedEngine(script(*GOOD, LITTER))
    events = go(engine, retries=0)
    assert (text_of(events).rstrip(), len(engine.requests)) == ("\n\n".join(GOOD), 1)
    assert finish_of(events).reason == "decay"


def test_a_character_that_is_cut_away_is_cut_away_whole() -> None:
    engine = ScriptedEngine(script(*GOOD, "", LITTER), script("So it ended."))
    pieces = engine.stream

    def stream(request: GenerationRequest) -> Iterator[AnswerEvent]:
        for event in pieces(request):
            if isinstance(event, Chunk) and event.text.startswith("#love"):
                yield Chunk("story", "", 1, (8364,))  # the first byte of the sign
            yield event

    engine.stream = stream  # type: ignore[method-assign]
    go(engine)
    assert 8364 not in engine.requests[-1].after and len(engine.requests) == 2


def test_an_answer_that_is_talk_alone_has_decayed() -> None:
    events = go(ScriptedEngine(script(*TALK)))
    assert (text_of(events), finish_of(events).reason) == ("", "decay")


def test_thinking_is_given_out_at_once_and_stays() -> None:
    thinks = Sampling()
    engine = ScriptedEngine(
        ["a plan", "</think>", *script(*GOOD, *TALK)], ["</think>\n\n", *script(paragraph("d", 30))]
    )
    run = without_decay(
        lambda request: stream_answer(engine, request),
        GenerationRequest(REQUEST.messages, thinks, 100_000),
    )
    events = list(run)
    assert events[0] == Chunk("thinking", "a plan", 1, tuple(map(ord, "a plan")))
    assert chr(engine.requests[1].after[0]) == "a"


def test_of_an_answer_closed_at_its_length_only_what_an_ending_follows_stays() -> None:
    engine = ScriptedEngine(script(*GOOD, paragraph("d", 90)))

    def write(request: GenerationRequest) -> Iterator[Event]:
        return close_at(stream_answer(engine, request), LengthTarget(240, 250))

    events = list(without_decay(write, REQUEST, keep=200))
    assert text_of(events).rstrip() == "\n\n".join(GOOD[:2])
    assert tokens_of(events) == len(script(*GOOD))
    assert times(events, "rewritten") == 1 and finish_of(events).closed
    unclosed = list(without_decay(lambda one: stream_answer(engine, one), REQUEST, keep=200))
    assert text_of(unclosed).endswith(paragraph("d", 90)) and times(unclosed, "rewritten") == 0


def test_a_restart_drops_the_answer_so_far() -> None:
    loop = ["well, "] * 500
    engine = ScriptedEngine(loop, ["</think>", *script(*GOOD)])
    request = GenerationRequest(REQUEST.messages, Sampling(), 100_000)
    events = list(without_decay(lambda each: stream_answer(engine, each), request))
    assert Restart(1) in events
    assert text_of(events) == "\n\n".join(GOOD)


def test_the_last_150_words_or_so_are_held_at_a_paragraph() -> None:
    paragraphs = [paragraph(name, 30) for name in "abcdefghij"]
    given, most = "", 0
    for event in go(ScriptedEngine(script(*paragraphs))):
        given += text_of([event])
        if isinstance(event, Held):
            assert not given or given.endswith("\n\n")
            most = max(most, sum(len(chunk.text) for chunk in event.chunks))
    assert 900 < most < 1200


def test_in_a_long_paragraph_sentences_are_given_out() -> None:
    sentences = " ".join(paragraph(name, 12) for name in "abcdefghijklmnopqrstuvwxyz" * 3)
    assert most_held(script(sentences)) < MOST_HELD + 20
    chinese = [chr(0x4E00 + n) if n % 12 else "。" for n in range(1, 3000)]
    assert most_held(chinese) < MOST_HELD + 20


def most_held(pieces: list[str]) -> int:
    """The most characters that are held at once."""
    held = [event for event in go(ScriptedEngine(pieces)) if isinstance(event, Held)]
    return max(sum(len(chunk.text) for chunk in each.chunks) for each in held)


def test_an_interrupt_gives_out_the_held_text() -> None:
    engine = ScriptedEngine(script(paragraph("a", 30), paragraph("b", 30)))
    run = without_decay(lambda request: stream_answer(engine, request), REQUEST)
    given: list[Event] = []
    while "ba0" not in str(given):
        given.append(next(run))
    given.append(run.throw(KeyboardInterrupt()))  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        given.extend(run)
    assert "ba0" in text_of(given)
    assert engine.running == 0


def test_an_error_keeps_the_held_text() -> None:
    engine = ScriptedEngine(Script(script(*GOOD), error=RuntimeError("out of order")))
    events = go(engine)
    assert text_of(events) == "\n\n".join(GOOD)
    assert finish_of(events).reason == "error"


def test_closing_it_stops_the_engine() -> None:
    engine = ScriptedEngine(script(*GOOD))
    run: Iterator[Event] = without_decay(lambda each: stream_answer(engine, each), REQUEST)
    next(run)
    run.close()  # type: ignore[attr-defined]
    assert engine.running == 0


PIECES = st.lists(st.sampled_from([" word", "\n\n", ".", " One", "\n", "", " ", "…", "x" * 300]))


@settings(max_examples=40)
@given(PIECES, st.integers(1, 40), st.integers(0, 100))
def test_a_sound_answer_is_unchanged_and_nothing_is_in_the_stream_twice(
    pieces: list[str], repeat: int, keep: int
) -> None:
    given, held = "", ""
    pieces = [f"{piece}{number}" for number in range(repeat) for piece in pieces]
    events = go(ScriptedEngine(pieces), keep=keep)
    for event in events:
        if isinstance(event, Held):
            held = text_of(list(event.chunks))
        given += text_of([event])
        assert "".join(pieces).startswith(given + held) or not held
    assume(finish_of(events).reason == "stop")
    assert given == "".join(pieces)
    assert ids_of(e for e in events if not isinstance(e, Inserted)) == tuple(map(ord, given))
