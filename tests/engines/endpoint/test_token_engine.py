"""Answers from token ids: thinking budget, ends, limits, and a connection that breaks off."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.endpoint.opening import connected
from polaris_cli.engines.endpoint.token_engine import TokenEngine
from polaris_cli.events import Chunk, Finish, text_of
from polaris_cli.models.reference import on_server
from polaris_cli.models.servers import probe
from polaris_cli.request.prompts import Message
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling
from tests.servers import byte_tokens, llama_cpp_replies
from tests.servers.faulty import Faulty
from tests.servers.replies import Request, Script, said
from tests.servers.vllm_replay import VllmReplay

ASK = (Message("user", "Write of a fox."),)
REQUEST = GenerationRequest(ASK, Sampling(temperature=0), 200)


def on(server: VllmReplay) -> TokenEngine:
    engine = connected(on_server("auto", probe(ServerAddress(server.url))))
    assert isinstance(engine, TokenEngine)
    return engine


@pytest.fixture
def server() -> Iterator[VllmReplay]:
    with VllmReplay("A plan.</think>\n\nOnce there was a fox.") as server:
        yield server


def is_idle(server: VllmReplay) -> bool:
    """Whether the server stops its work within half a second."""
    deadline = time.monotonic() + 0.5
    while server.running and time.monotonic() < deadline:
        time.sleep(0.01)
    return server.running == 0


def texts(engine: TokenEngine, request: GenerationRequest) -> tuple[str, str, Finish]:
    *chunks, finish = engine.stream(request)
    assert isinstance(finish, Finish)
    thinking = "".join(text_of(chunk, "thinking") for chunk in chunks)
    return thinking, "".join(map(text_of, chunks)), finish


def test_thinking_is_told_from_the_story(server: VllmReplay) -> None:
    thinking, story, finish = texts(on(server), REQUEST)
    assert (thinking, story, finish.reason) == ("A plan.", "Once there was a fox.", "stop")


def test_thinking_beyond_its_budget_is_closed(server: VllmReplay) -> None:
    request = replace(REQUEST, sampling=Sampling(thinking_budget=3))
    thinking, story, _ = texts(on(server), request)
    assert thinking == "A p" and story.startswith("A plan.")
    closed = server.requests[-1]["prompt"]
    assert byte_tokens.decode(closed).endswith("A p\n</think>\n\n")
    assert is_idle(server)


def test_an_answer_that_ends_inside_its_thinking_goes_on_with_the_story() -> None:
    with VllmReplay("A plan.", "Once.") as server:
        assert texts(on(server), REQUEST)[:2] == ("A plan.", "Once.")


OPENED, CLOSED = 300, 301  # the ids of tags that are a token each


def own_tags(request: Request) -> Script:
    """The ids of a text for a model whose tags around the thinking are [THINK] and [/THINK]."""
    parts = re.split(r"(\[/?THINK\])", request.json["content"])
    known = {"[THINK]": [OPENED], "[/THINK]": [CLOSED]}
    return said({"tokens": [id_ for part in parts for id_ in known.get(part, part.encode())]})


def test_thinking_in_tags_that_are_control_tokens() -> None:
    answer = llama_cpp_replies.answering(["[THINK]", "A plan.", "[/THINK]", "Once."])
    with Faulty(answer, kind="llama.cpp", routes={"/tokenize": own_tags}) as server:
        engine = connected(on_server("auto", probe(ServerAddress(server.url))))
        assert isinstance(engine, TokenEngine)
        assert texts(engine, REQUEST)[:2] == ("A plan.", "Once.")
        few = replace(REQUEST, sampling=Sampling(thinking_budget=3), max_new_tokens=20)
        assert texts(engine, few)[0] == "A p"
        asked = [each.json for each in server.requests if each.path.endswith("/completion")]
    assert {"[THINK]", "[/THINK]"} <= set(asked[0]["preserved_tokens"])
    assert asked[-1]["prompt"][-4:] == [*b"\n", CLOSED, *b"\n\n"]


def test_only_a_conversation_with_an_answer_starts_from_the_cache() -> None:
    system, ask = Message("system", "You write stories."), ASK[0]
    answered = (system, ask, Message("assistant", "Once."), ask)
    with Faulty(llama_cpp_replies.answering(["Once."]), kind="llama.cpp") as server:
        engine = connected(on_server("auto", probe(ServerAddress(server.url))))
        for messages in ((ask,), (system, ask), answered):
            [*engine.stream(replace(REQUEST, messages=messages))]
        asked = [each.json for each in server.requests if each.path.endswith("/completion")]
    assert [each["cache_prompt"] for each in asked] == [False, False, True]


def test_an_answer_that_must_not_end_goes_on(server: VllmReplay) -> None:
    sampling, after = Sampling(thinking=False), tuple(byte_tokens.encode("Once"))
    request = replace(
        REQUEST, sampling=sampling, after=after, min_new_tokens=60, max_new_tokens=500
    )
    told = sum(event.tokens for event in on(server).stream(request) if isinstance(event, Chunk))
    first, second = server.requests
    assert told >= len(after) + 60 and first["min_tokens"] == first["max_tokens"] == 60
    assert second["min_tokens"] == 0 and first["seed"] != second["seed"]


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_the_limit_counts_what_is_new(server: VllmReplay, limit: int) -> None:
    after = tuple(byte_tokens.encode("A plan.</think>\n\nOnce"))
    engine = on(server)
    *chunks, finish = engine.stream(replace(REQUEST, after=after, max_new_tokens=limit))
    assert isinstance(finish, Finish) and finish.reason == "length"
    ids = [id_ for chunk in chunks if isinstance(chunk, Chunk) for id_ in chunk.ids]
    assert len(ids) == len(after) + limit and ids[: len(after)] == list(after)


def test_a_connection_that_breaks_off_keeps_the_text() -> None:
    with VllmReplay("A plan.</think>\n\nOnce there was.", delay=0.01) as server:
        events = on(server).stream(REQUEST)
        first = [next(events) for _ in range(20)]
    rest = [*events]
    finish = rest[-1]
    assert isinstance(finish, Finish) and finish.reason == "error"
    assert finish.error and "broke off" in finish.error.message and "later" in finish.error.hint
    assert "".join(map(text_of, [*first, *rest])).startswith("Onc")


def test_closing_stops_the_server(server: VllmReplay) -> None:
    events = on(server).stream(REQUEST)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert is_idle(server)


def test_settings_that_vllm_does_not_have_are_named(server: VllmReplay) -> None:
    odd = Sampling(dry_multiplier=1, repetition_window=9, temperature=3)
    told = {one.setting: one.ignored for one in on(server).deviations(odd)}
    assert told == {"dry_multiplier": True, "repetition_window": True, "temperature": False}
    assert on(server).deviations(Sampling()) == ()
