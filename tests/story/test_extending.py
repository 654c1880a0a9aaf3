"""Going on after an early end."""

from collections.abc import Iterator

import pytest

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import PolarisError
from polaris_cli.events import AnswerEvent, Chunk, Event, Finish, Held, Inserted, Restart
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from polaris_cli.story import extending
from polaris_cli.story.extending import extended, rounds_of
from polaris_cli.story.length import MIN_SCENE_TOKENS
from polaris_cli.story.single_pass import since_restart
from polaris_cli.words import count_words
from tests.scripts import LETTERS, finish_of, paragraph, script, text_of, times, tokens_of

ASK = (Message("user", "Write a 100-word story about a fox."),)
SAMPLING = Sampling(thinking=False)


def go(engine: ScriptedEngine, words: int = 100, limit: int = 10_000) -> list[Event]:
    return list(extended(engine, GenerationRequest(ASK, SAMPLING, limit), words=words))


def test_a_story_that_is_long_enough_is_left_alone() -> None:
    engine = ScriptedEngine(script(paragraph("a", 60), paragraph("b", 38)))
    events = go(engine)
    assert text_of(events) == f"{paragraph('a', 60)}\n\n{paragraph('b', 38)}"
    assert finish_of(events) == Finish("stop", 7)
    assert len(engine.requests) == 1


def test_an_early_ending_makes_room_for_more_and_closes_the_story() -> None:
    first = script(paragraph("a", 30), paragraph("ending", 10))
    engine = ScriptedEngine(
        first, script(paragraph("b", 30), paragraph("c", 30), paragraph("z", 20))
    )
    events = go(engine)
    assert text_of(events).split("\n\n") == [
        paragraph("a", 30), "* * *", paragraph("b", 30), paragraph("c", 30), paragraph("ending", 10)
    ]  # fmt: skip
    assert finish_of(events).reason == "stop" and times(events, "extended") == 1
    assert tokens_of(events) == sum(len(one.pieces) for one in engine._scripts) - 20  # of z


@pytest.mark.parametrize(("written", "rounds"), [(40, 1), (38, 2)])
def test_a_scene_that_would_make_a_short_story_too_long_is_not_begun(
    written: int, rounds: int
) -> None:
    engine = ScriptedEngine(script(paragraph("a", written)), script(paragraph("b", 60)))
    go(engine, words=60)
    assert len(engine.requests) == rounds


def test_the_last_of_very_many_rounds_ends_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extending, "MAX_ROUNDS", 3)
    engine = ScriptedEngine(*(script(paragraph(n, 30), paragraph("e", 2)) for n in "abcd"))
    events = go(engine, words=1_000)
    assert finish_of(events).reason == "stop" and len(engine.requests) == 3
    assert text_of(events).endswith(paragraph("e", 2)) and times(events, "extended") == 2


def test_an_end_near_the_target_is_taken_as_it_is() -> None:
    """The ending that was set aside is not needed then."""
    engine = ScriptedEngine(
        script(paragraph("a", 30), paragraph("ending", 5)), script(paragraph("b", 62))
    )
    assert text_of(go(engine)).split("\n\n") == [paragraph("a", 30), "* * *", paragraph("b", 62)]


def test_the_ending_comes_back_when_the_model_has_nothing_more_to_say() -> None:
    engine = ScriptedEngine(script(paragraph("a", 30), paragraph("ending", 5)), [])
    events = go(engine)
    assert text_of(events).split("\n\n") == [paragraph("a", 30), paragraph("ending", 5)]
    assert times(events, "extended") == 0


@pytest.mark.parametrize(
    "script_of_scene", [Script([], finish="length"), Script([], error=PolarisError("gone"))]
)
def test_a_scene_that_never_begins_leaves_the_ending_and_no_break(script_of_scene: Script) -> None:
    engine = ScriptedEngine(script(paragraph("a", 30), paragraph("ending", 5)), script_of_scene)
    events = go(engine)
    assert text_of(events).split("\n\n") == [paragraph("a", 30), paragraph("ending", 5)]
    assert finish_of(events).reason in ("length", "error")


def test_a_paragraph_that_runs_on_closes_so_that_the_ending_still_fits() -> None:
    sentences = " ".join(f"{one} met {other}." for one in LETTERS for other in LETTERS)
    engine = ScriptedEngine(script(paragraph("a", 30), paragraph("ending", 20)), script(sentences))
    text = text_of(go(engine))
    assert text.endswith(f".\n\n{paragraph('ending', 20)}")
    assert 105 <= count_words(text) < 105 + 3  # 1.05 of the words, and a sentence


def test_a_paragraph_that_runs_on_closes_where_a_new_word_begins() -> None:
    pieces = [" Mr", ".", " Fox", " is", " 3", ".", "5", ".", "”", " Then", " more"]
    engine = ScriptedEngine([paragraph("a", 120)[:-1], *pieces])
    assert text_of(go(engine)) == f"{paragraph('a', 120)[:-1]} Mr. Fox is 3.5.”"


def test_a_single_paragraph_is_no_ending() -> None:
    engine = ScriptedEngine(script(paragraph("a", 30)), script(paragraph("b", 68)))
    assert text_of(go(engine)).split("\n\n") == [paragraph("a", 30), "* * *", paragraph("b", 68)]


def behind_a_draft(*rounds: list[str]) -> str:
    engine = ScriptedEngine(*rounds)
    draft = paragraph("draft", 20)
    request = GenerationRequest(ASK, SAMPLING, 10_000, opening=engine.encode(draft))
    events = list(extended(engine, request, words=100, draft=draft))
    assert all(one.opening == engine.encode(paragraph("draft", 20)) for one in engine.requests)
    return text_of(events)


def test_a_draft_is_gone_on_from_even_if_the_model_would_end_there() -> None:
    text = behind_a_draft([], script(paragraph("b", 75)))
    assert text == f"\n\n* * *\n\n{paragraph('b', 75)}"


def test_a_paragraph_behind_a_draft_may_be_the_ending() -> None:
    ending = ["\n\n", *script(paragraph("ending", 9))]
    text = behind_a_draft(ending, script(paragraph("b", 30), paragraph("c", 30), paragraph("d", 9)))
    assert text.split("\n\n") == [
        "", "* * *", paragraph("b", 30), paragraph("c", 30), paragraph("ending", 9)
    ]  # fmt: skip


def test_the_rest_of_the_drafts_own_paragraph_is_no_ending() -> None:
    text = behind_a_draft(script(paragraph("more", 9)), script(paragraph("b", 68)))
    assert text == f"{paragraph('more', 9)}\n\n* * *\n\n{paragraph('b', 68)}"


def test_the_limit_of_tokens_holds_for_all_rounds_together() -> None:
    """What was set aside counts; a scene break of ours does not. Here a character is a token."""
    rounds = [script(paragraph(name, 25), paragraph(f"end{name}", 8)) for name in "abc"]
    engine = ScriptedEngine(*rounds)
    go(engine)
    made = ["".join(pieces) for pieces in rounds]
    assert [one.max_new_tokens for one in engine.requests] == [
        10_000, 10_000 - len(made[0]), 10_000 - len(made[0] + made[1])
    ]  # fmt: skip


def test_the_limit_of_tokens_counts_an_earlier_run() -> None:
    known = ScriptedEngine().encode(paragraph("a", 30))
    engine = ScriptedEngine(["\n\n", *script(paragraph("ending", 8))], script(paragraph("b", 60)))
    list(extended(engine, GenerationRequest(ASK, SAMPLING, 10_000), words=100, rounds=[known]))
    first, second = engine.requests
    assert first.after == known and first.max_new_tokens == 10_000 - len(known)
    assert second.max_new_tokens == first.max_new_tokens - len(f"\n\n{paragraph('ending', 8)}")


def test_when_the_model_may_end() -> None:
    """In the first round at any time, later not before an episode has been told."""
    engine = ScriptedEngine(
        script(paragraph("a", 30), paragraph("ending", 8)), script(paragraph("b", 50))
    )
    go(engine, 300)
    assert [each.min_new_tokens for each in engine.requests[:2]] == [0, MIN_SCENE_TOKENS]


def test_what_a_round_has_of_an_earlier_run_counts_for_its_end() -> None:
    known = [ScriptedEngine().encode(paragraph("a", 30)), (1,) * 20]
    engine = ScriptedEngine(script(), script(paragraph("b", 60)))
    list(extended(engine, GenerationRequest(ASK, SAMPLING, 10_000), words=100, rounds=known))
    assert [each.min_new_tokens for each in engine.requests[:2]] == [0, MIN_SCENE_TOKENS - 20]


def test_the_story_closes_after_a_paragraph_from_a_twentieth_more_on() -> None:
    paragraphs = (paragraph("a", 104), paragraph("b", 1), paragraph("c", 2))
    assert text_of(go(ScriptedEngine(script(*paragraphs)))) == "\n\n".join(paragraphs[:2]) + "\n\n"


def test_rounds_lie_between_scene_breaks() -> None:
    answer: list[Event] = [
        Chunk("thinking", "Hm", 1, (1,)),
        Inserted("draft", "Once "),
        Chunk("story", "a", 1, (2,)),
        Inserted("scene break", "* * *", (8, 9)),
        Chunk("story", "b", 1, (3,)),
        Chunk("story", "c", 1, (4,)),
        Inserted("ending", "z"),
    ]
    assert rounds_of(answer) == [(1, 2), (3, 4)]


def test_the_prefix_of_each_round_is_what_was_given_out() -> None:
    """Tokens of the scripted engine are characters: what goes in is what came out."""
    seen: list[str] = []

    class Watching(ScriptedEngine):
        def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
            seen.append("".join(map(chr, request.after)))
            return super().stream(request)

    rounds = [script(paragraph(name, 25), paragraph(f"end{name}", 8)) for name in "abcd"]
    text = text_of(go(Watching(*rounds)))
    assert len(seen) >= 3
    assert all(text.startswith(prefix) for prefix in seen)


def test_words_never_run_far_past_the_target() -> None:
    endless = script(*(paragraph(name, 20) for name in LETTERS))
    events = go(ScriptedEngine(endless))
    assert 93 <= count_words(text_of(events)) <= 120
    assert text_of(events).endswith(".")
    one_paragraph = script(" ".join(paragraph(name, 10) for name in LETTERS))
    assert 93 <= count_words(text_of(go(ScriptedEngine(one_paragraph)))) <= 117


@pytest.mark.slow
@pytest.mark.parametrize("words", [137, 400, 1000])
def test_short_rounds_add_up_to_any_length(words: int) -> None:
    rounds = [
        script(paragraph(f"{a}{b}", 21), paragraph(f"more{a}{b}", 17), paragraph(f"end{a}{b}", 9))
        for a in LETTERS
        for b in "xyz"
    ]
    events = go(ScriptedEngine(*rounds), words)
    assert 0.85 <= count_words(text_of(events)) / words <= 1.15
    assert "\n\n* * *\n\n* * *" not in text_of(events)


@pytest.mark.parametrize("pieces", [[], ["\n\n"], ["One", " line."]])
def test_a_model_that_has_nothing_more_to_say_ends_it(pieces: list[str]) -> None:
    engine = ScriptedEngine(["A", " line."], pieces, pieces, [])
    events = go(engine)
    assert finish_of(events).reason == "stop"
    assert len(engine.requests) < 10


def test_a_loop_or_an_error_ends_it_with_the_text_kept() -> None:
    broken = Script(script(paragraph("b", 20)), error=PolarisError("gone"))
    engine = ScriptedEngine(script(paragraph("a", 30), paragraph("e", 9)), broken)
    events = go(engine)
    assert paragraph("b", 20) in text_of(events)
    assert finish_of(events).reason == "error"
    stuck = ScriptedEngine(["the same again. "] * 2000)
    assert finish_of(go(stuck, 5000)).reason == "loop"


@pytest.mark.parametrize("ready", [True, False], ids=["a space behind", "a space before"])
def test_a_loop_in_the_held_paragraph_is_cut_away_and_drawn_anew(ready: bool) -> None:
    stuck = script(paragraph("a", 30), "So it was, " + "and on and " * 200)
    kept, ending = "So it was, and on and", f"so it ended. {paragraph('b', 60)}"
    if ready:
        stuck = [*script(paragraph("a", 30)), "\n\n", "So it was, ", *["and on and "] * 200]
        kept += " "
    else:
        ending = " " + ending
    engine = ScriptedEngine(stuck, script(ending))
    events = go(engine)
    assert text_of(events) == f"{paragraph('a', 30)}\n\n{kept}{ending}"
    assert not any(isinstance(event, Restart) for event in events)  # as for thinking given up
    assert finish_of(events).reason == "stop" and times(events, "extended") == 0


def test_a_loop_that_comes_again_and_again_ends_it() -> None:
    engine = ScriptedEngine(script("So it was, " + "and on and " * 200))
    events = go(engine)
    assert finish_of(events).reason == "loop"
    assert len(engine.requests) == 3
    assert text_of(events).count("and on") > 3  # resuming cuts the last loop, not this


def test_thinking_that_was_given_up_is_no_part_of_the_turn() -> None:
    loop, good = ["well, "] * 500, ["a plan</think>", *script(paragraph("a", 99))]
    events = list(
        extended(ScriptedEngine(loop, good), GenerationRequest(ASK, Sampling(), 10_000), words=100)
    )
    assert text_of(events) == paragraph("a", 99)
    attempt, answer = since_restart(events)
    assert attempt == 1
    assert ["".join(map(chr, ids)) for ids in rounds_of(answer)] == ["".join(good)]


def test_thinking_that_was_given_up_takes_nothing_off_the_limit() -> None:
    loop, good = ["well, "] * 500, ["a plan</think>", *script(paragraph("a", 30))]
    engine = ScriptedEngine(loop, good, script(paragraph("b", 70)))
    list(extended(engine, GenerationRequest(ASK, Sampling(), 10_000), words=100))
    assert engine.requests[2].max_new_tokens == 10_000 - len("".join(good))


def test_an_interrupt_gives_out_the_paragraph_that_is_held() -> None:
    engine = ScriptedEngine(script(paragraph("a", 30), paragraph("b", 30)))
    events = extended(engine, GenerationRequest(ASK, SAMPLING, 1000), words=100)
    given: list[Event] = []
    while "ba0" not in str(given):
        given.append(next(events))
    given.append(events.throw(KeyboardInterrupt()))  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        given.extend(events)
    assert "ba0" in text_of(given)


def test_what_a_killed_process_leaves_is_the_text_so_far_without_a_gap() -> None:
    """Every word of these scripts is unlike the others; only scene breaks come again."""
    rounds = [script(paragraph(name, 25), paragraph(f"end{name}", 8)) for name in "abcd"]
    given, held = "", ""
    for event in extended(
        ScriptedEngine(*rounds), GenerationRequest(ASK, SAMPLING, 10_000), words=100
    ):
        if isinstance(event, Held):
            held = text_of(list(event.chunks))
        else:
            given += text_of([event])
        words = [word for word in (given + held).split() if word != "*"]
        assert len(set(words)) == len(words)
    assert not held


def test_held_text_comes_with_every_token() -> None:
    events = go(ScriptedEngine(script(paragraph("a", 30), paragraph("b", 80))))
    held = [event for event in events if isinstance(event, Held)]
    assert len(held) > 100 and text_of(list(held[28].chunks)).split()[-1] == "ac28"
