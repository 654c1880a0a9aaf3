"""The server misbehaves exactly as told, records what it was asked, and always stops."""

import http.client
import json
import time
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.faulty import Faulty
from tests.servers.llama_cpp_replies import END_ID, completion
from tests.servers.replies import (
    CLOSE,
    DELTAS,
    GZIP,
    HTML,
    REFUSALS,
    RESET,
    STALL,
    USAGE,
    Answer,
    Script,
    Sleep,
    bytewise,
    chat,
    chunk,
    crlf,
    cut_inside,
    delta,
    ended,
    error,
    event,
    gzipped,
    http_date,
    redirected,
    refused,
    refusing,
    sized,
    streamed,
    talking,
    until_closed,
)

CHAT = "/v1/chat/completions"


def post(server: Faulty, body: Any, path: str = CHAT) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    connection.request("POST", path, json.dumps(body), {"Authorization": "Bearer key"})
    return connection.getresponse()


def get(server: Faulty, path: str) -> Any:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
    connection.request("GET", path)
    return json.load(connection.getresponse())


def body_of(answer: Answer | Script) -> bytes:
    with Faulty(answer) as server:
        return post(server, {"stream": True}).read()


def text_in(body: bytes) -> str:
    lines = [line for line in body.splitlines() if line.startswith(b"data: {")]
    choices = [json.loads(line[6:])["choices"] for line in lines]
    return "".join(c[0]["delta"].get("content") or "" for c in choices if c)


def test_a_good_answer_and_its_request() -> None:
    with Faulty(models=["a", "b"]) as server:
        answer = post(server, {"stream": True, "model": "a"})
        assert (answer.status, answer.getheader("Content-Type")) == (200, "text/event-stream")
        body = answer.read()
        whole = json.load(post(server, {"model": "a"}))
        listed = [model["id"] for model in get(server, "/v1/models")["data"]]
    assert text_in(body) == "Once upon a time"
    assert body.endswith(b"data: [DONE]\n\n")
    assert whole["choices"][0]["message"]["content"] == "Once upon a time"
    assert listed == ["a", "b"]
    first = server.requests[0]
    assert (first.method, first.path, first.json) == ("POST", CHAT, {"stream": True, "model": "a"})
    assert first.headers["authorization"] == "Bearer key"


def test_answers_come_in_turn_and_the_last_stays() -> None:
    with Faulty(refused(503), refused(429, headers={"Retry-After": "7"}), talking()) as server:
        statuses = [post(server, {}).status for _ in range(4)]
    assert statuses == [503, 429, 200, 200]


@pytest.mark.parametrize(
    "answer",
    [
        bytewise(streamed(chat())),
        streamed(crlf(chat())),
        until_closed(chat()),
        streamed([part for one in chat() for part in (b": ping\n\n", one)]),
        streamed(chat(end=b"", usage=b"", done=b"")),
        streamed(chat([DELTAS[0], {"content": None}, {"reasoning": "hm"}, *DELTAS[1:]])),
        streamed([*chat()[:2], Sleep(0.01), *chat()[2:]]),
    ],
    ids=["bytes", "crlf", "1.0", "pings", "bare", "fields", "slow"],
)
def test_odd_answers_carry_the_whole_text(answer: Script) -> None:
    assert text_in(body_of(answer)) == "Once upon a time"


def test_bare_answers_say_nothing_at_the_end() -> None:
    body = body_of(streamed(chat(end=b"", usage=b"", done=b"")))
    assert b"[DONE]" not in body and b"usage" not in body and b'"stop"' not in body


def test_the_end_can_be_another() -> None:
    body = body_of(streamed(chat(end=ended("odd", usage=USAGE), usage=b"")))
    assert b'"finish_reason": "odd"' in body and body.count(b"usage") == 1
    two = json.loads(chunk({"delta": {"content": "a"}}, {"delta": {"content": "b"}})[6:])
    assert [choice["index"] for choice in two["choices"]] == [0, 1]


def test_gzip_is_readable_event_by_event() -> None:
    with Faulty(streamed(gzipped(chat()), GZIP)) as server:
        answer = post(server, {})
        assert answer.getheader("Content-Encoding") == "gzip"
        assert text_in(zlib.decompress(answer.read(), 31)) == "Once upon a time"
    first = next(gzipped(chat()))
    assert b"assistant" in zlib.decompressobj(31).decompress(first)


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_connection_that_ends_after_two_deltas(end: Any) -> None:
    with Faulty(streamed([*chat()[:3], Sleep(0.05), end])) as server:
        answer = post(server, {})
        got = b""
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            while True:
                got += answer.read1() or answer.read()
    assert text_in(got) == "Once upon"


def test_the_end_comes_inside_a_character() -> None:
    script = cut_inside(until_closed(chat(["a fée"])), "é")
    with pytest.raises(UnicodeDecodeError):
        body_of(script).decode()
    with pytest.raises(ValueError, match="has no ß"):
        cut_inside(streamed(chat(["a"])), "ß")


@pytest.mark.parametrize("script", [[CLOSE], [RESET]])
def test_no_first_byte(script: Script) -> None:
    with Faulty(script) as server, pytest.raises(ConnectionError):  # RemoteDisconnected is one
        post(server, {})


@pytest.mark.parametrize(
    "script",
    [[STALL], [streamed([])[0], STALL], streamed([*chat()[:3], STALL]), [Sleep(60)]],
    ids=["headers", "body", "deltas", "sleep"],
)
def test_a_stalled_server_stops_at_once(script: Script) -> None:
    with Faulty(script) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=0.1)
        connection.request("POST", CHAT, "{}")
        with pytest.raises(TimeoutError):
            connection.getresponse().read()
        started = time.monotonic()
    assert time.monotonic() - started < 2
    connection.close()


def test_it_stops_though_nobody_reads() -> None:
    with Faulty(streamed([b"x" * 10_000_000] * 5)) as server:
        post(server, {})
        started = time.monotonic()
    assert time.monotonic() - started < 2


def test_it_knows_that_the_client_has_left() -> None:
    with Faulty(streamed([*chat()[:3], STALL])) as server:
        answer = post(server, {})
        while b" upon" not in answer.readline():
            pass
        assert not server.requests[0].left.is_set()
        answer.close()
        assert server.requests[0].left.wait(2)


def test_it_knows_that_the_client_has_left_much_unread() -> None:
    with Faulty(streamed([b"x" * 10_000_000, STALL])) as server:
        post(server, {}).close()
        assert server.requests[0].left.wait(2)


def test_connections_are_kept_between_requests() -> None:
    with Faulty() as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
        for _ in range(2):
            connection.request("POST", CHAT, '{"stream": true}')
            taken = connection.sock
            assert text_in(connection.getresponse().read()) == "Once upon a time"
        assert connection.sock is taken
        connection.close()


def test_a_line_of_ten_megabytes() -> None:
    assert len(text_in(body_of(streamed(chat(["x" * 10_000_000]))))) == 10_000_000


def test_a_length_that_lies() -> None:
    with pytest.raises(http.client.IncompleteRead):
        body_of(sized(b"{}", length=99))
    assert body_of(sized(b"{}  ", length=2)) == b"{}"


def test_errors_and_pages() -> None:
    with Faulty(sized(HTML, {"Content-Type": "text/html"}, 502), refused(200, "full")) as server:
        page = post(server, {})
        assert (page.status, page.read()) == (502, HTML)
        assert json.load(post(server, {}))["error"]["message"] == "full"
        assert get(server, "/props")["error"]["message"] == "File Not Found"
    assert b'data: {"error": {"message": "full"' in body_of(streamed([event(error("full"))]))
    assert http_date(2).endswith("GMT")


def test_redirected_to_another_path_and_another_server() -> None:
    with Faulty() as other, Faulty(redirected(307, other.url + CHAT)) as server:
        assert post(server, {}).getheader("Location") == other.url + CHAT
        assert post(server, {}, "/v2/chat/completions").status == 307
        assert post(other, {}, "/v2/chat/completions").status == 200


@pytest.mark.parametrize("shape", REFUSALS)
def test_fields_are_refused_until_they_are_left_out(shape: str) -> None:
    with Faulty(refusing(["top_k", "min_p"], shape)) as server:
        answer = post(server, {"top_k": 1, "temperature": 1})
        assert answer.status == (422 if shape in ("fastapi", "transformers") else 400)
        said = answer.read()
        assert b"top_k" in said and b"min_p" not in said and b"temperature" not in said
        assert post(server, {"temperature": 1}).status == 200


def test_llama_cpp_is_probed() -> None:
    with Faulty(kind="llama.cpp") as server:
        assert get(server, "/health") == {"status": "ok"}
        assert get(server, "/props")["default_generation_settings"]["n_ctx"] == 4096
        messages = [{"role": "user", "content": "Hé"}]
        prompt = json.load(post(server, {"messages": messages}, "/apply-template"))["prompt"]
        ids = json.load(post(server, {"content": prompt}, "/tokenize"))["tokens"]
        body = post(server, {"prompt": ids}, "/completion").read()
        assert text_in(post(server, {"stream": True}).read()) == "Once upon a time"
    assert prompt == "user: Hé<|end|>assistant: "
    assert ids == [*"user: Hé".encode(), END_ID, *b"assistant: "]
    last = json.loads(body.splitlines()[-2][6:])
    assert (last["stop_type"], last["tokens_evaluated"]) == ("eos", len(ids))


def steps(events: Sequence[bytes]) -> list[dict[str, Any]]:
    return [json.loads(one[6:]) for one in events]


@given(st.text(max_size=20), st.integers(-1, 30))
def test_completions_count_every_token(text: str, limit: int) -> None:
    *tokens, last = steps(completion([text], limit=limit))
    ids = len(text.encode()) + 1
    assert last["tokens_predicted"] == (ids if limit < 0 else min(ids, limit))
    assert last["stop_type"] == ("eos" if limit < 0 or limit >= ids else "limit")
    written = "".join(token["content"] for token in tokens)
    assert text.startswith(written) and (written == text or last["stop_type"] == "limit")


def test_a_character_of_several_tokens_keeps_the_last_id() -> None:
    first, second, end, last = steps(completion(["é!"]))
    assert (first["content"], first["tokens"], first["tokens_predicted"]) == ("é", [0xA9], 2)
    assert (second["content"], second["tokens"], second["tokens_predicted"]) == ("!", [33], 3)
    assert (end["content"], end["tokens"], end["stop"]) == ("", [END_ID], False)
    assert (last["tokens"], last["stop"]) == ([], True)


def test_a_delta_is_an_event() -> None:
    assert json.loads(delta({"content": None})[6:])["choices"][0]["delta"] == {"content": None}
