"""The replaying server: the shape of its answers is that of a real vLLM, their text is given."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers import byte_tokens
from tests.servers.vllm_recording import (
    CHAT,
    COMPLETIONS,
    ERRORS,
    KEY,
    PLAIN,
    REQUESTS,
    STREAM,
    TURN,
    Answer,
    Request,
    ask,
    events,
    ids_of,
    recorded,
)
from tests.servers.vllm_replay import VllmReplay

STORY = "Once upon a time 🦊."


@pytest.fixture(scope="module")
def thinking() -> Iterator[VllmReplay]:
    """What the random Qwen does: it thinks for six tokens and is cut off."""
    with VllmReplay("a plan</think>" + STORY, model="qwen", key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[VllmReplay]:
    """What SmolLM2 does: it ends behind this sentence."""
    with VllmReplay("The color is red.", model="smollm2", key=KEY) as server:
        yield server


def shape_of(value: Any) -> Any:
    """The keys and types of a JSON value; of a list those of its items, each kind once in a row."""
    if isinstance(value, dict):
        return {k: shape_of([*v[0].values()] if k == "top_logprobs" and v else v)
                for k, v in value.items()}  # fmt: skip
    if isinstance(value, list):
        return [shape for shape, _ in groupby(map(shape_of, value))]
    return float if isinstance(value, int | float) else type(value)


def same_shape(answer: Answer, real: Answer) -> None:
    assert (answer.status, answer.content_type) == (real.status, real.content_type)
    assert shape_of([*events(answer)]) == shape_of([*events(real)])


# Stop strings are not replayed. A random model does not end by itself, and the first request to it
# was answered with several tokens in an event.
UNLIKE_QWEN = {"completion, stop text", "completion, end by itself", "completion"}
LIKE_QWEN = REQUESTS.keys() - UNLIKE_QWEN
LIKE_SMOLLM2 = (PLAIN.keys() | COMPLETIONS.keys()) - {"completion, stop text"}


@pytest.mark.parametrize("name", sorted(LIKE_QWEN))
def test_an_answer_has_the_shape_of_the_thinking_models(name: str, thinking: VllmReplay) -> None:
    same_shape(ask(thinking.url, REQUESTS[name]), recorded("qwen")[name])


@pytest.mark.parametrize("name", sorted(LIKE_SMOLLM2))
def test_an_answer_has_the_shape_of_the_plain_models(name: str, plain: VllmReplay) -> None:
    same_shape(ask(plain.url, REQUESTS[name]), recorded("smollm2")[name])


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_an_error_has_the_kind_and_the_field_of_the_real_one(
    name: str, thinking: VllmReplay
) -> None:
    def said(answer: Answer) -> Any:
        error = next(events(answer)).get("error")
        return {k: error[k] for k in ("type", "param", "code")} if type(error) is dict else error

    answer = ask(thinking.url, REQUESTS[f"error, {name}"])
    assert said(answer) == said(recorded("qwen")[f"error, {name}"])


def completed(server: VllmReplay, prompt: str | list[int], **body: Any) -> list[Any]:
    """The events of a streamed completion, with ids, that may have a hundred tokens."""
    asked = {"prompt": prompt, "max_tokens": 100, "return_token_ids": True, **STREAM, **body}
    return [*events(ask(server.url, Request("/v1/completions", asked)))]


def ids_in(streamed: list[Any]) -> list[int]:
    return [id_ for event in streamed[:-2] for id_ in event["choices"][0]["token_ids"]]


def text_in(streamed: list[Any]) -> str:
    return "".join(event["choices"][0]["text"] for event in streamed[:-2])


def finish_in(streamed: list[Any]) -> str:
    finish: str = streamed[-3]["choices"][0]["finish_reason"]
    return finish


def test_an_answer_ends_with_the_end_token() -> None:
    with VllmReplay(STORY) as server:
        streamed = completed(server, TURN)
        assert text_in(streamed) == STORY
        assert ids_in(streamed) == [*STORY.encode(), byte_tokens.END]
        assert finish_in(streamed) == "stop"
        assert streamed[-2]["usage"]["completion_tokens"] == len(STORY.encode()) + 1


def test_going_on_from_token_ids_gives_the_rest() -> None:
    with VllmReplay("one", STORY) as server:
        completed(server, TURN)
        prompt = ids_of(server.url, TURN)
        begun = ids_in(completed(server, prompt, max_tokens=19))  # ends within the fox
        rest = ids_in(completed(server, prompt + begun))
        assert begun + rest == [*STORY.encode(), byte_tokens.END]
        assert text_in(completed(server, f"{TURN}o")) == "ne"


def test_going_on_behind_the_opening_of_thinking() -> None:
    with VllmReplay("plan</think>story") as server:
        asked = Request("/tokenize", {"messages": CHAT})
        prompt = json.loads(ask(server.url, asked).text)["tokens"]
        assert text_in(completed(server, prompt)) == "plan</think>story"
        assert text_in(completed(server, [*prompt, *b"pl"])) == "an</think>story"


def test_each_request_has_the_next_answer_and_the_last_is_repeated() -> None:
    with VllmReplay("one", "two") as server:
        assert [text_in(completed(server, TURN)) for _ in range(3)] == ["one", "two", "two"]
        assert len(server.requests) == 3


BIASED = {"logit_bias": {"<|im_end|>": -100}}
FORCED = {"logit_bias": {"<|im_end|>": 100}}


@pytest.mark.parametrize(
    ("body", "text", "finish"),
    [
        ({"max_tokens": 2}, "on", "length"),
        ({"max_tokens": 5, "ignore_eos": True}, "oneo", "length"),
        (
            {"max_tokens": 5, "ignore_eos": True, "skip_special_tokens": False},
            "one<|im_end|>o",
            "length",
        ),
        ({"min_tokens": 3}, "one", "stop"),
        ({"min_tokens": 4}, "oneone", "stop"),
        ({"max_tokens": 7, **BIASED}, "oneoneo", "length"),
        (FORCED, "", "stop"),
        ({"min_tokens": 2, **FORCED}, "on", "stop"),
    ],
)
def test_where_an_answer_ends(body: dict[str, Any], text: str, finish: str) -> None:
    with VllmReplay("one") as server:
        streamed = completed(server, TURN, **body)
        assert (text_in(streamed), finish_in(streamed)) == (text, finish)


def test_an_answer_ends_at_the_context() -> None:
    with VllmReplay(STORY, context=len(ids_of_turn()) + 4) as server:
        streamed = completed(server, TURN, max_tokens=10)
        assert (text_in(streamed), finish_in(streamed)) == ("Once", "length")


def ids_of_turn() -> list[int]:
    return byte_tokens.encode(TURN)


def test_an_empty_answer_that_must_not_end_is_still_an_answer() -> None:
    with VllmReplay() as server:
        assert ids_in(completed(server, TURN)) == [byte_tokens.END]
        assert text_in(completed(server, TURN, max_tokens=3, **BIASED)) == "   "


def test_a_character_comes_with_its_last_token() -> None:
    with VllmReplay("é!") as server:
        streamed = completed(server, TURN)
        assert [event["choices"][0]["text"] for event in streamed[:-2]] == ["", "é", "!", ""]
        cut = completed(server, TURN, max_tokens=1)
        assert (text_in(cut), ids_in(cut)) == ("", ["é".encode()[0]])


@pytest.mark.parametrize("per_event", [1, 2, 5, 100])
def test_several_tokens_in_an_event(per_event: int) -> None:
    with VllmReplay("a plan</think>" + STORY, per_event=per_event) as server:
        streamed = completed(server, TURN)
        assert text_in(streamed) == "a plan</think>" + STORY
        sizes = [len(event["choices"][0]["token_ids"]) for event in streamed[:-2]]
        assert set(sizes[:-1]) <= {per_event}
        reasoning, content = chatted(server, max_tokens=100)
        assert (reasoning, content) == ("a plan", STORY)


def chatted(server: VllmReplay, **body: Any) -> tuple[str, str]:
    asked = Request("/v1/chat/completions", {"messages": CHAT, **STREAM, **body})
    deltas = [e["choices"][0]["delta"] for e in [*events(ask(server.url, asked))][:-2]]
    reasoning = "".join(delta.get("reasoning", "") for delta in deltas)
    return reasoning, "".join(delta.get("content", "") for delta in deltas)


def waits_for(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_its_request(stream: bool) -> None:
    with VllmReplay("long " * 1000, delay=0.01) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        body = {"prompt": ids_of_turn(), "max_tokens": 3000, "stream": stream}
        connection.request("POST", "/v1/completions", json.dumps(body))
        if stream:
            connection.getresponse().readline()
        assert waits_for(lambda: server.running == 1)
        connection.sock.shutdown(socket.SHUT_RDWR)
        assert waits_for(lambda: server.running == 0)


def test_leaving_the_context_cuts_a_stream_off() -> None:
    cut = threading.Event()

    def read(url: str) -> None:
        body = {"prompt": TURN, "max_tokens": 3000, "stream": True}
        try:
            ask(url, Request("/v1/completions", body))
        except (http.client.IncompleteRead, ConnectionError):
            cut.set()

    with VllmReplay("long " * 1000, delay=0.01) as server:
        reader = threading.Thread(target=read, args=(server.url,))
        reader.start()
        assert waits_for(lambda: server.running == 1)
    reader.join(5)
    assert cut.is_set()


@given(st.text())
def test_text_survives_its_tokens(text: str) -> None:
    ids = byte_tokens.encode(text.encode(errors="replace").decode())
    assert byte_tokens.encode(byte_tokens.decode(ids)) == ids
