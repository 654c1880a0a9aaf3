"""Servers whose events have other JSON than they should: text or an EndpointError, nothing else."""

import json
from dataclasses import replace
from typing import Any

import pytest
from httpx2 import Response
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.engines.base import Engine, GenerationRequest, ModelInfo
from polaris_cli.engines.endpoint.chat_engine import ChatEngine
from polaris_cli.engines.endpoint.llama_cpp import LlamaCpp
from polaris_cli.engines.endpoint.token_engine import TokenEngine
from polaris_cli.engines.endpoint.vllm import Vllm
from polaris_cli.errors import EndpointError
from polaris_cli.events import Chunk, Finish, text_of
from polaris_cli.models.connection import Connection
from polaris_cli.models.servers import Server
from polaris_cli.request.prompts import Message
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling
from tests.damaged import changed

ADDRESS = ServerAddress("http://127.0.0.1:1")
INFO = ModelInfo("model", "model")
REQUEST = GenerationRequest((Message("user", "A fox."),), Sampling(thinking=False), 50)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)

EVENTS: dict[str, Any] = {
    "chat": {
        "choices": [{"index": 0, "delta": {"content": "A", "reasoning": "B"}, "finish_reason": ""}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        "error": None,
    },
    "vLLM": {
        "choices": [{
            "text": "A", "token_ids": [65], "logprobs": {"token_logprobs": [-0.5]},
            "finish_reason": None, "stop_reason": None,
        }],
        "error": {"message": "no", "loc": ["a"]},
    },
    "llama.cpp": {
        "content": "A", "tokens": [65], "tokens_predicted": 1, "stop": False, "stop_type": "none",
        "completion_probabilities": [{"logprob": -0.5}], "error": [{"msg": "no", "loc": ["a"]}],
    },
}  # fmt: skip
GOOD = {kind: {**event, "error": None} for kind, event in EVENTS.items()}


class Saying(Connection):
    """A connection to a server that answers every request for text with these events."""

    def __init__(self, *events: object) -> None:
        super().__init__(ADDRESS)
        self.lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events)

    def _sent(self, method: str, path: str, body: Any) -> Response:
        if body.get("stream"):
            return Response(200, text=self.lines)
        return Response(200, json={"prompt": "x", "content": "x", "tokens": [65]})


def engine_on(kind: str, *events: object) -> Engine:
    connection = Saying(*events)
    if kind == "chat":
        return ChatEngine(connection, Server(ADDRESS), INFO, 100)
    there = Vllm(connection, "model") if kind == "vLLM" else LlamaCpp(connection, "model")
    return TokenEngine(there, INFO, 100)


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVENTS)
@given(other=ANY)
def test_any_json_in_any_field_gives_text_or_an_endpoint_error(kind: str, other: object) -> None:
    for event in changed(EVENTS[kind], other):
        *chunks, finish = engine_on(kind, GOOD[kind], event).stream(REQUEST)
        assert "".join(map(text_of, chunks)).startswith("A")
        assert all(isinstance(chunk, Chunk) for chunk in chunks) and isinstance(finish, Finish)
        assert finish.error is None or type(finish.error) is EndpointError


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "choices": ("chat", {"choices": 5}),
    "delta": ("chat", {"choices": [{"delta": "A"}]}),
    "a reason": ("vLLM", {"choices": [{"finish_reason": ["stop"]}]}),
    "ids": ("vLLM", {"choices": [{"token_ids": "65"}]}),
    "log-probabilities": ("vLLM", {"choices": [{"logprobs": [-0.5]}]}),
    "a number": ("llama.cpp", {"content": "A", "tokens_predicted": "1"}),
}


@pytest.mark.parametrize(("kind", "event"), WRONG.values(), ids=WRONG)
def test_an_event_of_another_shape_ends_the_answer_in_one_sentence(
    kind: str, event: dict[str, Any]
) -> None:
    *chunks, finish = engine_on(kind, GOOD[kind], event).stream(REQUEST)
    assert "".join(map(text_of, chunks)) == "A" and isinstance(finish, Finish)
    assert finish.error and "does not answer as an OpenAI-compatible" in finish.error.message


@pytest.mark.parametrize("answer", ["", " \n"])
def test_an_empty_answer_is_called_so(answer: str) -> None:
    error = Saying().unreadable(answer)
    assert error.message.endswith("as an OpenAI-compatible server does: the answer is empty.")


@pytest.mark.parametrize("reason", ["length", "stop"])
def test_a_server_that_adds_nothing_ends_an_answer_that_must_not_end(reason: str) -> None:
    event = {"choices": [{"text": "", "token_ids": [], "finish_reason": reason}]}
    *_, finish = engine_on("vLLM", event).stream(replace(REQUEST, min_new_tokens=9))
    assert isinstance(finish, Finish) and finish.reason == reason


def test_json_that_is_nested_too_deeply_is_no_answer() -> None:
    engine = engine_on("chat")
    assert isinstance(engine, ChatEngine)
    engine._connection.lines = f"data: {'[' * 99_999}\n\n"  # type: ignore[attr-defined]
    *_, finish = engine.stream(REQUEST)
    assert isinstance(finish, Finish) and type(finish.error) is EndpointError
