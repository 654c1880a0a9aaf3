"""The scripted engine keeps to the protocol, its limits and its scripts."""

import time
from collections.abc import Iterator

import pytest

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.engines.scripted import Script, ScriptedEngine
from polaris_cli.errors import PolarisError
from polaris_cli.events import AnswerEvent, Chunk, Finish, Piece, text_of
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling

ASK = (Message("system", "You write."), Message("user", "A story of the sea"))


def stream(engine: Engine, limit: int = 100) -> Iterator[AnswerEvent]:
    return engine.stream(GenerationRequest(ASK, Sampling(thinking=False), limit))


def replayed(text: str, tokens: int = 1) -> Chunk:
    return Chunk("story", text, tokens, tuple(map(ord, text)))


def test_it_replays_strings_and_pieces_and_ends() -> None:
    labelled = Piece("plan", 3, "thinking", (1, 2, 3))
    engine = ScriptedEngine([labelled, "Once", ""], tokens_per_piece=2)
    assert list(stream(engine)) == [
        Chunk("thinking", "plan", 3, (1, 2, 3)),
        replayed("Once", 2),
        replayed("", 2),
        Finish("stop", prompt_tokens=7),
    ]


def test_tokens_of_an_earlier_run_come_first() -> None:
    engine = ScriptedEngine([" more"])
    request = GenerationRequest(ASK, Sampling(thinking=False), 9, after=engine.encode("Once"))
    assert "".join(map(text_of, engine.stream(request))) == "Once more"


def test_it_takes_a_script_a_call_and_repeats_the_last() -> None:
    engine = ScriptedEngine(["one"], Script(["two"], finish="length"))
    texts = [list(stream(engine, n)) for n in (5, 6, 7)]
    assert [events[0] for events in texts] == [replayed(text) for text in ("one", "two", "two")]
    assert texts[1][-1] == Finish("length", prompt_tokens=7)
    assert [request.messages for request in engine.requests] == [ASK, ASK, ASK]
    assert [request.max_new_tokens for request in engine.requests] == [5, 6, 7]


def test_it_stops_at_the_token_limit() -> None:
    engine = ScriptedEngine(["a"] * 5)
    assert list(stream(engine, 3)) == [*[replayed("a")] * 3, Finish("length", prompt_tokens=7)]
    assert list(stream(engine, 5))[-1] == Finish("stop", prompt_tokens=7)
    assert list(stream(ScriptedEngine(["a b"], tokens_per_piece=2), 1)) == [
        Finish("length", prompt_tokens=7)
    ]


def test_it_fails_when_told_to() -> None:
    events = stream(ScriptedEngine(Script(["a"], error=PolarisError("gone"))))
    assert next(events) == replayed("a")
    with pytest.raises(PolarisError, match="gone"):
        next(events)
    *_, last = stream(ScriptedEngine(Script(["a"], finish="error")))
    assert isinstance(last, Finish) and last.reason == "error" and last.error


def test_closing_stops_it() -> None:
    engine = ScriptedEngine(["a"] * 5)
    events = stream(engine)
    next(events)
    assert engine.running == 1
    events.close()  # type: ignore[attr-defined]
    assert engine.running == 0
    list(stream(engine))
    assert engine.running == 0


def test_thinking_is_open_only_when_it_is_on() -> None:
    def kind(sampling: Sampling, opened: bool = True, opening: tuple[int, ...] = ()) -> str:
        engine = ScriptedEngine(["Once"], opened=opened)
        first = next(engine.stream(GenerationRequest(ASK, sampling, 9, opening)))
        assert isinstance(first, Chunk)
        return first.kind

    assert kind(Sampling()) == "thinking"
    assert kind(Sampling(thinking=False)) == "story"
    assert kind(Sampling(), opened=False) == "story"
    assert kind(Sampling(), opening=(79,)) == "story"


def test_delay_comes_before_each_piece() -> None:
    start = time.perf_counter()
    list(stream(ScriptedEngine(["a"] * 4, delay=0.01)))
    assert time.perf_counter() - start >= 0.04


def test_no_script_at_all_is_an_empty_answer() -> None:
    assert list(stream(ScriptedEngine())) == [Finish("stop", prompt_tokens=7)]
    assert list(stream(ScriptedEngine(finish="loop"))) == [Finish("loop", prompt_tokens=7)]
