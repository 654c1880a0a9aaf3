"""A last sentence that takes an answer beyond its band is left out, or written again."""

import math
from collections.abc import Iterator

import pytest

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import EndpointError
from polaris_cli.events import Event, Finish, Held, with_held
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from polaris_cli.story.decayed import RETRIES, without_decay
from polaris_cli.story.last_sentence import TRIES
from polaris_cli.story.length import LengthTarget, close_at
from polaris_cli.story.single_pass import stream_answer
from tests.scripts import finish_of, paragraph, script, text_of, times, tokens_of

REQUEST = GenerationRequest((Message("user", "Write."),), Sampling(thinking_budget=0), 100_000)
TARGET = LengthTarget(math.inf, 75, 75, least=67, most=83)
KEPT = f"{paragraph('a', 30)} {paragraph('b', 30)}"  # 60 words
NEXT = paragraph("z", 30)  # shows that the sentence before it is at its end


def go(
    *ends: str | Script, target: LengthTarget = TARGET, retries: int = RETRIES, keep: int = 0
) -> tuple[list[Event], ScriptedEngine]:
    """The events of a text whose end is written like this each time, and the engine."""
    first, *others = ends
    scripts = [each if isinstance(each, Script) else script(f" {each} {NEXT}") for each in others]
    engine = ScriptedEngine(script(f"{KEPT} {first} {NEXT}"), *scripts)

    def write(request: GenerationRequest) -> Iterator[Event]:
        return close_at(stream_answer(engine, request), target)

    run = without_decay(write, REQUEST, retries=retries, keep=keep, target=target)
    return list(run), engine


def sentences(*words: int) -> list[str]:
    return [paragraph(name, count) for name, count in zip("cdefghij", words, strict=False)]


def words_of(events: list[Event]) -> list[str]:
    return text_of(events).split()


def test_what_is_too_much_is_left_out_if_the_text_is_nearer_without_it() -> None:
    (end,) = sentences(30)
    for words, kept in ((80, f"{KEPT} {end}"), (70, KEPT)):
        target = LengthTarget(math.inf, 61, words, least=50)
        events, engine = go(end, target=target)
        assert words_of(events) == kept.split()
        assert finish_of(events).closed and times(events, "rewritten") == 0
        assert len(engine.requests) == 1
        dropped = sum(event.dropped for event in events if isinstance(event, Held))
        assert (dropped > 0) == (kept == KEPT)


@pytest.mark.parametrize("retries", [0, RETRIES])
def test_what_takes_the_text_beyond_its_band_is_written_again(retries: int) -> None:
    long, short = sentences(40, 15)
    events, engine = go(long, short, retries=retries)
    assert words_of(events) == f"{KEPT} {short if retries else long}".split()
    assert finish_of(events).closed and times(events, "rewritten") == bool(retries)
    again = ["".join(map(chr, request.after)).rstrip() for request in engine.requests[1:]]
    assert again == ([KEPT] if retries else [])


def test_the_nearest_of_all_ends_stays() -> None:
    for nearest in range(TRIES + 1):
        lengths = [40 - 3 * (number == nearest) for number in range(TRIES + 1)]
        ends = sentences(*lengths)
        events, engine = go(*ends)
        assert words_of(events) == f"{KEPT} {ends[nearest]}".split()
        seeds = {request.sampling.seed for request in engine.requests}
        assert len(seeds) == len(engine.requests) == TRIES + 1
        assert times(events, "rewritten") == 1 and finish_of(events).closed


def test_all_tokens_are_counted() -> None:
    ends = sentences(40, 39, 41, 38, 45)
    events, _ = go(*ends)
    shared = len(script(KEPT + " "))
    assert tokens_of(events) == shared + sum(len(script(end)) for end in ends)


def test_of_a_new_end_too_a_last_sentence_may_be_left_out() -> None:
    long, short, longer = sentences(40, 10, 50)
    events, engine = go(long, f"{short} {longer}")
    assert words_of(events) == f"{KEPT} {short}".split() and len(engine.requests) == 2


def test_text_before_a_long_end_that_is_not_chosen_is_in_the_stream_once() -> None:
    """Without `hold_all`, the first paragraph would be given out while that end is written."""
    first, (long, longest) = paragraph("a", 200), sentences(45, 300)
    target = LengthTarget(math.inf, 210, 210, least=205, most=230)
    engine = ScriptedEngine(script(first, f"{long} {NEXT}"), script(f"{longest} {NEXT}"))
    run = without_decay(
        lambda request: close_at(stream_answer(engine, request), target), REQUEST, target=target
    )
    assert words_of(list(run)) == f"{first} {long}".split()


def test_an_interrupt_keeps_one_end_or_a_part_of_it() -> None:
    ends = sentences(40, 39, 41, 38, 45)
    events, _ = go(*ends)
    for number in range(len(events)):
        cut = [*events[:number], Finish("interrupted")]
        text = " ".join(words_of([*with_held(iter(cut))]))
        assert any(f"{KEPT} {end}".startswith(text) for end in ends)


@pytest.mark.parametrize("reason", ["error", "decays", "length"])
def test_an_end_that_breaks_off_is_the_last_choice(reason: str) -> None:
    (long,) = sentences(40)
    broken = {
        "error": Script(script(" But then"), error=EndpointError("The server is gone.")),
        "decays": Script(script(" Let me know if you want more of this story.", NEXT)),
        "length": Script(script(" But then"), finish="length"),
    }[reason]
    events, engine = go(long, broken)
    assert len(engine.requests) == (2 if reason == "error" else 1 + TRIES)
    assert words_of(events) == f"{KEPT} {long}".split()
    assert finish_of(events).reason == "stop" and not finish_of(events).error


def test_an_end_of_the_models_own_is_written_again_too() -> None:
    long, short = sentences(40, 15)
    engine = ScriptedEngine(script(f"{KEPT} {long}"), script(f" {short}"))
    run = without_decay(lambda one: stream_answer(engine, one), REQUEST, target=TARGET)
    events = list(run)
    assert words_of(events) == f"{KEPT} {short}".split()
    assert not finish_of(events).closed


def test_a_text_of_one_sentence_or_of_one_that_is_too_long_without_its_last_stays() -> None:
    for text in (paragraph("a", 120), f"{paragraph('a', 90)} {paragraph('b', 30)}"):
        engine = ScriptedEngine(script(text))
        run = without_decay(lambda one: stream_answer(engine, one), REQUEST, target=TARGET)  # noqa: B023
        assert words_of(list(run)) == text.split() and len(engine.requests) == 1


def test_an_end_that_is_replaced_by_an_ending_is_not_written_again() -> None:
    (long,) = sentences(40)
    events, engine = go(long, keep=30)
    assert words_of(events) == paragraph("a", 30).split() and len(engine.requests) == 1
