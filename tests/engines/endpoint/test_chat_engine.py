"""Chat completions from servers that behave and from others: no text is lost, none leaks."""

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from polaris_cli.engines.base import GenerationRequest
from polaris_cli.engines.endpoint.chat_engine import REFUSED, ChatEngine
from polaris_cli.engines.endpoint.opening import connected
from polaris_cli.events import AnswerEvent, Chunk, Finish, Reason, text_of
from polaris_cli.models import connection
from polaris_cli.models.reference import on_server
from polaris_cli.models.servers import probe
from polaris_cli.request.prompts import Message
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling
from tests.servers.faulty import Faulty
from tests.servers.replies import (
    CLOSE,
    DELTAS,
    GZIP,
    HTML,
    OLLAMA,
    REFUSALS,
    RESET,
    STALL,
    YES,
    Action,
    Request,
    Script,
    Sleep,
    bytewise,
    chat,
    chunk,
    crlf,
    cut_inside,
    ended,
    error,
    event,
    gzipped,
    redirected,
    refused,
    refusing,
    said,
    sized,
    streamed,
    talking,
    until_closed,
)

ASK = (Message("system", "You write."), Message("user", "A fox."))
PLAIN = Sampling(thinking=False)
STORY = "".join(DELTAS)
TEN_MEGABYTES = "x" * 10_000_000


def on(server: Faulty, stall: float = 5.0) -> ChatEngine:
    address = ServerAddress(server.url, stall_timeout=stall)
    engine = connected(on_server("auto", probe(address)))
    assert isinstance(engine, ChatEngine)
    return engine


def tried(server: Faulty, stall: float = 5.0) -> ChatEngine:
    """An engine whose server has answered the trial."""
    engine = on(server, stall)
    engine.try_out(PLAIN)
    return engine


def ask(
    server: Faulty, sampling: Sampling = PLAIN, stall: float = 5.0
) -> tuple[str, str, Finish, list[AnswerEvent]]:
    events = [*on(server, stall).stream(GenerationRequest(ASK, sampling, 50))]
    finish = events[-1]
    assert isinstance(finish, Finish)
    thinking = "".join(text_of(event, "thinking") for event in events)
    return thinking, "".join(map(text_of, events)), finish, events


WHOLE: dict[str, Any] = {
    "choices": [{"message": {"content": STORY}, "finish_reason": "stop"}],
    "usage": None,
}


def in_lines(event: bytes) -> bytes:
    """The event with its JSON in several lines of data."""
    return event.replace(b', "', b',\ndata: "')


GOOD: dict[str, Script] = {
    "plain": streamed(chat(DELTAS)),
    "a byte at a time": bytewise(streamed(chat(DELTAS))),
    "CR LF": streamed(crlf(chat(DELTAS))),
    "gzip": streamed(gzipped(chat(DELTAS)), GZIP),
    "HTTP/1.0": until_closed(chat(DELTAS)),
    "comments": streamed([b": ping\n\n", *chat(DELTAS)[:2], b": ping\n\n", *chat(DELTAS)[2:]]),
    "a byte-order mark": streamed([b"\xef\xbb\xbf", *chat(DELTAS)]),
    "no data": streamed(
        [b"data:\n\n", *chat(DELTAS)[:2], b"data: \n\ndata\n\n", *chat(DELTAS)[2:]]
    ),
    "no [DONE]": streamed(chat(DELTAS, done=b"")),
    "no usage": streamed(chat(DELTAS, usage=b"")),
    "no finish reason": streamed(chat(DELTAS, end=b"")),
    "null reason": streamed(chat(DELTAS, end=ended(None))),
    "a second choice": streamed(
        [chunk({"delta": {"content": STORY}}, {"delta": {"content": "no"}}), *chat([])]
    ),
    "several lines of data": streamed(map(in_lines, chat(DELTAS))),
    "lines without an empty one between": streamed(
        [part.replace(b"\n\n", b"\n") for part in chat(DELTAS)]
    ),
    "not streamed": said(WHOLE),
    "not streamed and indented": sized(json.dumps(WHOLE, indent=2).encode()),
    "the whole text again at its end": streamed(
        chat(
            DELTAS, end=chunk({"delta": {}, "message": {"content": STORY}, "finish_reason": "stop"})
        )
    ),
    "a usage of another shape": streamed(chat(DELTAS, usage=chunk(usage={"prompt_tokens": 12.5}))),
    "usage that is no object": streamed(chat(DELTAS, usage=chunk(usage="many"))),
    "content null": streamed(chat([{"content": None}, *DELTAS])),
}


@pytest.mark.parametrize("script", GOOD.values(), ids=GOOD)
def test_an_answer_is_read_whatever_its_form(script: Script) -> None:
    with Faulty(script) as server:
        thinking, story, finish, _ = ask(server)
    assert (thinking, story, finish.reason) == ("", STORY, "stop")


def test_a_stream_is_utf_8_whatever_its_header_says() -> None:
    latin = {"Content-Type": "text/event-stream; charset=iso-8859-1"}
    with Faulty(streamed(chat(["a fée"]), latin)) as server:
        assert ask(server)[1] == "a fée"


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\u2029"])
def test_a_line_of_the_story_is_no_line_of_the_stream(end: str) -> None:
    with Faulty(streamed(chat(["Once", f" upon{end}a", " time"]))) as server:
        _, story, finish, _ = ask(server)
    assert (story, finish.reason) == (f"Once upon{end}a time", "stop")


def test_the_request_is_what_the_server_gets() -> None:
    with Faulty() as server:
        ask(server, Sampling(temperature=0.5, top_k=20, seed=7, thinking=False))
        body = server.requests[-1].json
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert (body["model"], body["max_tokens"], body["stream"]) == ("test-model", 50, True)
    assert (body["temperature"], body["top_k"], body["seed"]) == (0.5, 20, 7)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "min_p" not in body and "presence_penalty" not in body


@pytest.mark.parametrize("text", ["A fox. " * 200, "狐" * 400, "🦊" * 300])
def test_prompt_and_limit_fit_the_context(text: str) -> None:
    messages = (Message("user", text),)
    with Faulty() as server:
        engine = on(server)
        engine.context = 1_000
        counted = engine.count_tokens(messages, PLAIN)
        [*_] = engine.stream(GenerationRequest(messages, PLAIN, 900))
        sent = server.requests[-1].json["max_tokens"]
    assert counted >= len(text.encode()) // 3 + 16
    assert sent == 1_000 - counted - 1


def test_a_prompt_that_fills_the_context_leaves_one_token() -> None:
    with Faulty() as server:
        engine = on(server)
        engine.context = 10
        [*_] = engine.stream(GenerationRequest(ASK, PLAIN, 900))
        assert server.requests[-1].json["max_tokens"] == 1


NAMED_LIMITS = {
    "another name": "'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
    "both": "'max_tokens' or 'max_completion_tokens' is too large.",
}


@pytest.mark.parametrize("refusal", NAMED_LIMITS.values(), ids=NAMED_LIMITS)
def test_a_limit_that_is_refused_is_sent_by_its_other_name(refusal: str) -> None:
    with Faulty(refused(400, refusal), talking()) as server:
        assert ask(server)[1] == STORY
        body = server.requests[-1].json
    assert body["max_completion_tokens"] == 50 and "max_tokens" not in body


def test_a_field_that_a_long_refusal_names_late_is_left_out() -> None:
    refusal = f"{'The request is not valid. ' * 20}Unknown field: top_k"
    with Faulty(refused(400, refusal), talking()) as server:
        assert ask(server, replace(PLAIN, top_k=20))[1] == STORY
        assert "top_k" not in server.requests[-1].json


RAW = {
    "JSON": '{"error": {"message": "top_k is not supported"}}',
    "text": "top_k is not supported",
    "an object": {"message": "top_k is not supported"},
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_what_a_provider_behind_the_server_says_is_read(raw: object) -> None:
    told = error("Provider returned error", metadata={"raw": raw, "provider_name": "X"})
    with Faulty(said(told, 400), talking()) as server:
        assert ask(server, replace(PLAIN, top_k=20))[1] == STORY
        assert "top_k" not in server.requests[-1].json
    with Faulty(said(told, 400)) as server:
        finish = ask(server)[2]
    assert finish.error
    assert "Provider returned error: top_k is not supported." in finish.error.message


def test_no_request_goes_without_a_limit() -> None:
    with Faulty(refused(400, NAMED_LIMITS["both"])) as server:
        engine = on(server)
        *_, finish = engine.stream(GenerationRequest(ASK, PLAIN, 50, schema={"type": "object"}))
        bodies = [r.json for r in server.requests if r.path.endswith("completions")]
    assert isinstance(finish, Finish) and finish.error and "too large" in finish.error.message
    assert [("max_tokens" in body, "max_completion_tokens" in body) for body in bodies] == [
        (True, False),
        (False, True),
    ]


LARGEST = {
    "OpenAI": "max_tokens is too large: 50. This model supports at most 40 completion tokens, "
    "whereas you provided 50.",
    "SGLang": "max_completion_tokens is too large: 50. This model supports at most 40 completion "
    "tokens.",
    "Doubao": "The parameter `max_tokens` specified in the request are not valid: integer above "
    "maximum value, expected a value <= 40, but got 50 instead.",
    "Groq": "`max_tokens` must be less than or equal to `40`, the maximum value for `max_tokens`",
    "Anthropic": "max_tokens: 50 > 40, which is the maximum allowed number of output tokens",
    "DeepSeek": "Invalid max_tokens value, the valid range of max_tokens is [1, 40]",
}


@pytest.mark.parametrize("refusal", LARGEST.values(), ids=LARGEST)
def test_the_largest_limit_that_a_server_names_is_used(refusal: str) -> None:
    with Faulty(refused(400, refusal), talking()) as server:
        engine = on(server)
        *_, finish = engine.stream(GenerationRequest(ASK, PLAIN, 50))
        assert isinstance(finish, Finish) and finish.reason == "stop"
        assert server.requests[-1].json["max_tokens"] == 40
        told = {one.setting: one.text for one in engine.deviations(PLAIN)}
    assert told["max_new_tokens"] == "the server allows at most 40"


CONTEXTS = {
    "vLLM": "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum "
    "context length is 4096 tokens and your request has 30 input tokens (9000 > 4096 - 30).",
    "OpenAI": "This model's maximum context length is 4096 tokens. However, you requested 9030 "
    "tokens (30 in the messages, 9000 in the completion). Please reduce the length.",
    "OpenRouter": "This endpoint's maximum context length is 4,096 tokens. However, you requested "
    "about 9030 tokens (30 of text input, 9000 in the output).",
    "llama.cpp": "request (9030 tokens) exceeds the available context size (4096 tokens)",
}


@pytest.mark.parametrize("refusal", CONTEXTS.values(), ids=CONTEXTS)
def test_the_context_that_a_refusal_states_is_kept_to(refusal: str) -> None:
    with Faulty(refused(400, refusal), talking()) as server:
        engine = on(server)
        *_, finish = engine.stream(GenerationRequest(ASK, PLAIN, 9000))
        assert isinstance(finish, Finish) and finish.reason == "stop"
        sent = server.requests[-1].json["max_tokens"]
    assert engine.context == 4096 and 4000 < sent <= 4096 - 30
    assert not engine.deviations(PLAIN)


@pytest.mark.parametrize("name", ["vLLM", "OpenAI", "OpenRouter"])
def test_what_a_prompt_leaves_of_the_context_is_the_largest_limit(name: str) -> None:
    """Where the estimate of the prompt's length is too small."""
    refusal = CONTEXTS[name].replace(" 30)", " 90)").replace("(30 ", "(90 ")
    with Faulty(refused(400, refusal), talking()) as server:
        engine = on(server)
        engine.context = 4096
        [*_] = engine.stream(GenerationRequest(ASK, PLAIN, 9000))
        assert server.requests[-1].json["max_tokens"] == 4006


@pytest.mark.parametrize("refusal", ["Context window exceeded", "max_tokens is too large"])
def test_a_refusal_of_the_length_names_the_option(refusal: str) -> None:
    with Faulty(refused(400, refusal)) as server:
        finish = ask(server)[2]
    assert finish.error and "--max-new-tokens" in finish.error.hint


OTHERWISE_NAMED = {
    "camelCase": error("Model grok-4 does not support parameter topK."),
    "param": error("Unsupported parameter.", param="top_k"),
}


@pytest.mark.parametrize("told", OTHERWISE_NAMED.values(), ids=OTHERWISE_NAMED)
def test_a_field_that_is_named_in_another_way_is_left_out(told: object) -> None:
    with Faulty(said(told, 400), talking()) as server:
        assert ask(server, replace(PLAIN, top_k=20))[1] == STORY
        assert "top_k" not in server.requests[-1].json
        assert server.requests[-1].json["messages"][0]["role"] == "system"


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_system_messages_gets_their_text_from_the_user(status: int) -> None:
    def answer(request: Request) -> Script:
        if request.json["messages"][0]["role"] == "system":
            return refused(status, "Developer instruction is not enabled for models/gemma")
        return talking()(request)

    with Faulty(answer) as server:
        engine = on(server)
        for _ in range(2):
            events = [*engine.stream(GenerationRequest(ASK, PLAIN, 50))]
            assert "".join(map(text_of, events)) == STORY
        asked = [r.json["messages"] for r in server.requests if r.path.endswith("completions")]
    assert len(asked) == 3
    assert asked[-1] == [{"role": "user", "content": "You write.\n\nA fox."}]


def test_tokens_are_those_of_the_usage() -> None:
    usage = chunk(usage={"prompt_tokens": 5, "completion_tokens": 11})
    with Faulty(streamed(chat(DELTAS, usage=usage))) as server:
        _, _, finish, events = ask(server)
    assert sum(event.tokens for event in events if isinstance(event, Chunk)) == 11
    assert finish.prompt_tokens == 5


@pytest.mark.parametrize(("written", "story"), [(5, 3), (1, 0)])
def test_a_usage_may_be_smaller_than_what_came(written: int, story: int) -> None:
    usage = chunk(usage={"prompt_tokens": 5, "completion_tokens": written})
    deltas: list[Any] = [{"reasoning": "A "}, {"reasoning": "plan."}, *DELTAS]
    with Faulty(streamed(chat(deltas, usage=usage))) as server:
        events = ask(server, Sampling())[3]
    counted = {"thinking": 0, "story": 0}
    for one in events:
        if isinstance(one, Chunk):
            counted[one.kind] += one.tokens
    assert counted == {"thinking": 2, "story": story}


def in_ascii(delta: str) -> bytes:
    """An event with half a character, which JSON may escape, and UTF-8 cannot have."""
    return f"data: {json.dumps({'choices': [{'delta': {'content': delta}}]})}\n\n".encode()


HALVES = {
    "in two deltas": (["smile \ud83d", "\ude00 end"], "smile 😀 end"),
    "apart": (["\ud83d", "", "\ude00"], "😀"),
    "alone": (["a \ud83d b", " \ude00 c"], "a \ufffd b \ufffd c"),
    "at the end": (["Once \ud83d"], "Once "),
}


@pytest.mark.parametrize(("deltas", "story"), HALVES.values(), ids=HALVES)
def test_characters_are_whole(deltas: list[str], story: str) -> None:
    with Faulty(streamed([*map(in_ascii, deltas), ended("stop")])) as server:
        assert ask(server)[1] == story


REASONS: dict[str, Reason] = {
    "stop": "stop", "STOP": "stop", "eos": "stop", "end_turn": "stop", "COMPLETE": "stop",
    "length": "length", "max_tokens": "length", "MAX_TOKENS": "length", "model_length": "length",
    "max_output_tokens": "length", "model_context_window_exceeded": "length",
    "tool_calls": "stop", "function_call": "stop", "because": "length",
    "content_filter": "error", "sensitive": "error", "refusal": "error", "SAFETY": "error",
    "RECITATION": "error", "abort": "error", "ERROR": "error",
}  # fmt: skip


@pytest.mark.parametrize(("told", "reason"), REASONS.items())
def test_only_a_reason_that_says_so_is_a_natural_end(told: str, reason: Reason) -> None:
    with Faulty(streamed(chat(DELTAS, end=ended(told)))) as server:
        _, story, finish, _ = ask(server)
    assert (story, finish.reason) == (STORY, reason)
    assert bool(finish.error and finish.error.hint) == (reason == "error")


THINKING: dict[str, Sequence[Any]] = {
    "reasoning_content": [{"reasoning_content": "A "}, {"reasoning_content": "plan."}, *DELTAS],
    "reasoning": [{"reasoning": "A plan."}, *DELTAS],
    "both in one": [{"reasoning_content": "A plan.", "content": STORY}],
    "tags": ["<think>", "A plan.</th", "ink>\n\n", *DELTAS],
    "parts": [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "A plan."}]}]},
        {"content": [{"type": "text", "text": DELTAS[0]}]},
        *DELTAS[1:],
    ],
    "orphan": ["A plan.", "</think>\n\n", *DELTAS],
}


@pytest.mark.parametrize("deltas", THINKING.values(), ids=THINKING)
def test_thinking_is_never_in_the_story(deltas: Sequence[Any]) -> None:
    with Faulty(streamed(chat(deltas))) as server:
        thinking, story, finish, _ = ask(server, Sampling())
    assert (thinking, story, finish.reason) == ("A plan.", STORY, "stop")


def test_a_story_without_thinking_streams_at_once() -> None:
    with Faulty(YES, streamed([*chat(DELTAS)[:3], STALL])) as server:
        events = tried(server).stream(GenerationRequest(ASK, PLAIN, 50))
        assert text_of(next(events)) == DELTAS[0]
        events.close()  # type: ignore[attr-defined]


def first_text(engine: ChatEngine, sampling: Sampling) -> str:
    """The first text of an answer, which is closed then."""
    events = engine.stream(GenerationRequest(ASK, sampling, 50))
    first = text_of(next(events))
    events.close()  # type: ignore[attr-defined]
    return first


def test_text_is_not_held_once_an_answer_has_come_without_a_mark_of_thinking() -> None:
    with Faulty(streamed(chat(DELTAS)), streamed([*chat(DELTAS)[:3], STALL])) as server:
        engine = on(server)
        [*_] = engine.stream(GenerationRequest(ASK, Sampling(), 50))
        assert first_text(engine, Sampling()) == DELTAS[0]


UNMARKED = [*chat(["Okay, a story. I plan.", "</think>\n\n", *DELTAS])]


@pytest.mark.parametrize("thinking", [True, False])
def test_thinking_that_only_a_closing_tag_ends_is_in_no_story(thinking: bool) -> None:
    """Also of a server that ignores the wish for none."""
    sampling = Sampling(thinking=thinking)
    for trial in (streamed(UNMARKED), streamed([*chat(["hm " * 200])[:2], STALL]), refused(403)):
        with Faulty(trial, streamed(UNMARKED)) as server:
            engine = on(server, stall=0.5)
            engine.try_out(sampling)
            events = [*engine.stream(GenerationRequest(ASK, sampling, 50))]
        assert "".join(map(text_of, events)) == STORY
        told = [one.setting for one in engine.deviations(sampling)]
        assert ("thinking" in told) == (not thinking)


UNFINISHED = {
    "thinking in tags": chat(["A plan.", "</think>\n\n", *DELTAS]),
    "thinking in a field": chat([{"reasoning_content": "A plan."}, *DELTAS]),
    "cut off": chat(DELTAS, end=ended("length")),
}


@pytest.mark.parametrize("first", UNFINISHED.values(), ids=UNFINISHED)
def test_text_is_held_while_it_may_still_be_thinking(first: list[bytes]) -> None:
    orphan = streamed(chat(["A plan.", "</think>\n\n", *DELTAS]))
    with Faulty(streamed(first), orphan) as server:
        engine = on(server)
        [*_] = engine.stream(GenerationRequest(ASK, Sampling(), 50))
        events = [*engine.stream(GenerationRequest(ASK, Sampling(), 50))]
    assert "".join(map(text_of, events)) == STORY


CUT: dict[str, Script] = {
    "closed": streamed([*chat(DELTAS)[:3], CLOSE]),
    "reset": streamed([*chat(DELTAS)[:3], RESET]),
    "in a character": cut_inside(streamed(chat(["Once", " upon", " a fée"])), "é"),
    "stalled": streamed([*chat(DELTAS)[:3], STALL]),
    "no JSON": streamed([*chat(DELTAS)[:3], b"data: {oops\n\n"]),
    "not UTF-8": streamed([*chat(DELTAS)[:3], b"data: \xff\xfe\n\n"]),
    "an error": streamed([*chat(DELTAS)[:3], event(error("full"))]),
    "given up": streamed(chat(DELTAS[:2], end=ended("insufficient_system_resource"))),
    "HTTP/1.0": until_closed(chat(DELTAS)[:3]),
    "a list": streamed([*chat(DELTAS)[:3], event([1])]),
}


@pytest.mark.parametrize("script", CUT.values(), ids=CUT)
def test_an_answer_that_breaks_off_keeps_its_text(script: Script) -> None:
    with Faulty(script) as server:
        _, story, finish, _ = ask(server, stall=0.5)
    assert story == "Once upon" and finish.reason == "error"
    assert finish.error and finish.error.exit_code == 3 and finish.error.hint
    assert finish.error.message.endswith((".", "…"))


AFTER_THE_END: dict[str, list[Action]] = {
    "closed": [CLOSE],
    "reset": [RESET],
    "silent": [STALL],
    "comments": [b": keep-alive\n\n", Sleep(0.1)] * 50,
    "an error": [event(error("full"))],
}


@pytest.mark.parametrize("told_reason", ["stop", "length", "max_tokens"])
@pytest.mark.parametrize("after", AFTER_THE_END.values(), ids=AFTER_THE_END)
def test_an_answer_is_complete_with_its_finish_reason(
    after: list[Action], told_reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LAST", 0.2)
    told = [*chat(DELTAS, end=ended(told_reason), done=b""), *after]
    with Faulty(streamed(told)) as server:
        start = time.monotonic()
        _, story, finish, _ = ask(server)
    assert (story, finish.reason, finish.error) == (STORY, REASONS[told_reason], None)
    assert finish.prompt_tokens == 5 and time.monotonic() - start < 2


def test_a_finish_reason_in_each_event_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LAST", 0.2)
    parts = [chunk({"delta": {"content": text}, "finish_reason": "stop"}) for text in DELTAS * 9]
    paused: list[Action] = [action for part in parts for action in (part, Sleep(0.02))]
    with Faulty(streamed([*paused, *chat([])])) as server:
        _, story, finish, _ = ask(server)
    assert (story, finish.reason) == (STORY * 9, "stop")


ERRORS = {
    "an error": error("the disk is full"),
    "a text": {"error": "the disk is full"},
    "an error object": {"object": "error", "message": "the disk is full", "code": 500},
}


@pytest.mark.parametrize("told", ERRORS.values(), ids=ERRORS)
def test_an_error_in_the_stream_is_quoted(told: object) -> None:
    with Faulty(streamed([*chat(DELTAS)[:3], event(told)])) as server:
        _, story, finish, _ = ask(server)
    assert story == "Once upon" and finish.error
    assert finish.error.message == "The server stopped with an error: the disk is full."


NOTHING: dict[str, Script] = {
    "HTML": sized(HTML, {"Content-Type": "text/html"}),
    "an error with 200": sized(json.dumps(error("no")).encode()),
    "empty": sized(b""),
    "another JSON": sized(b'{"a": 1}'),
}


@pytest.mark.parametrize("script", NOTHING.values(), ids=NOTHING)
def test_what_is_no_answer_is_an_error(script: Script) -> None:
    with Faulty(script) as server:
        _, story, finish, _ = ask(server)
    assert story == "" and finish.reason == "error" and finish.error and finish.error.hint


def test_a_long_line_is_read() -> None:
    with Faulty(streamed(chat([TEN_MEGABYTES]))) as server:
        start = time.monotonic()
        assert ask(server)[1] == TEN_MEGABYTES
    assert time.monotonic() - start < 20


@pytest.mark.slow
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_refusal_that_may_pass_is_tried_again(status: int) -> None:
    busy = refused(status, headers={"Retry-After": "0.1"})
    with Faulty(busy, busy, talking()) as server:
        assert ask(server)[1] == STORY
        asked = [request for request in server.requests if request.path.endswith("completions")]
    assert len(asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_that_stays_is_worded(status: int) -> None:
    with Faulty(refused(status)) as server:
        finish = ask(server)[2]
        asked = [request for request in server.requests if request.path.endswith("completions")]
    assert finish.error and str(status) in finish.error.message and finish.error.hint
    assert len(asked) == (2 if status in REFUSED else 1)  # the system message may be the reason


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_or_its_address_told(status: int) -> None:
    with Faulty() as other:
        moved = redirected(status, f"{other.url}/v1/chat/completions")
        with Faulty(moved) as server:
            _, story, finish, _ = ask(server)
    if status > 303:
        assert story == STORY
    else:
        assert finish.error and f"--base-url {other.url}/v1" in finish.error.hint


@pytest.mark.slow
@pytest.mark.parametrize("script", [[CLOSE], [RESET]], ids=["closed", "reset"])
def test_a_connection_lost_before_the_answer_is_tried_again(script: Script) -> None:
    with Faulty(script, talking()) as server:
        assert ask(server)[1] == STORY


def test_nothing_is_asked_again_once_there_was_text() -> None:
    with Faulty(streamed([*chat(DELTAS)[:3], RESET])) as server:
        ask(server)
        asked = [request for request in server.requests if request.path.endswith("completions")]
    assert len(asked) == 1


@pytest.mark.slow
def test_silence_is_given_up_and_not_repeated() -> None:
    with Faulty([STALL]) as server:
        start = time.monotonic()
        finish = ask(server, stall=0.5)[2]
        asked = [request for request in server.requests if request.path.endswith("completions")]
    assert time.monotonic() - start < 3 and len(asked) == 1
    assert finish.error and "has sent nothing for 0.5 s" in finish.error.message
    assert "--stall-timeout" in finish.error.hint


@pytest.mark.parametrize("shape", REFUSALS)
def test_a_setting_that_is_refused_is_left_out_and_named(shape: Any) -> None:
    sampling = Sampling(top_k=20, min_p=0.1, repetition_penalty=1.2, seed=3, thinking=False)
    with Faulty(refusing(("top_k", "min_p"), shape)) as server:
        engine = on(server)
        events = [*engine.stream(GenerationRequest(ASK, sampling, 50))]
        assert "".join(map(text_of, events)) == STORY
        told = {one.setting: one.ignored for one in engine.deviations(sampling)}
        body = server.requests[-1].json
    assert told == {"top_k": True, "min_p": True}
    assert body["repetition_penalty"] == 1.2 and "top_k" not in body


def test_what_ollama_ignores_is_named() -> None:
    with Faulty(routes=OLLAMA) as server:
        told = on(server).deviations(Sampling(min_p=0.1, thinking=False))
    assert {one.setting for one in told} == {"top_k", "min_p", "repetition_penalty"}
    assert all(one.ignored and "Ollama 0.9 ignores it" in one.text for one in told)


def test_ollama_gets_its_own_field_that_turns_the_thinking_off() -> None:
    with Faulty(routes=OLLAMA) as server:
        ask(server)
        ask(server, Sampling())
        off, on_ = (r.json for r in server.requests if r.path.endswith("completions"))
    assert off["reasoning_effort"] == "none" and "reasoning_effort" not in on_
    with Faulty() as server:
        ask(server)
        assert "reasoning_effort" not in server.requests[-1].json


ALWAYS_THINKING = {
    "by value": "invalid reasoning value: 'none' (must be high, medium, or low)",
    "by name": "reasoning_effort is not supported",
}


@pytest.mark.parametrize("refusal", ALWAYS_THINKING.values(), ids=ALWAYS_THINKING)
def test_thinking_that_ollama_cannot_turn_off_is_reported(refusal: str) -> None:
    thinking = streamed(chat([{"reasoning": "A plan."}, *DELTAS]))
    with Faulty(refused(400, refusal), thinking, routes=OLLAMA) as server:
        engine = on(server)
        events = [*engine.stream(GenerationRequest(ASK, PLAIN, 50))]
        assert "".join(map(text_of, events)) == STORY
        assert "reasoning_effort" not in server.requests[-1].json
        named = {one.setting: one.text for one in engine.deviations(PLAIN)}
    assert named["thinking"] == "the server cannot turn it off"


REFUSES_TEMPLATES = refused(400, "Unrecognized request argument supplied: chat_template_kwargs")
STILL_THINKING: dict[str, Sequence[Any]] = {
    "in a field": [{"reasoning_content": "A plan."}, *DELTAS],
    "in the text": ["A plan.", "</think>\n\n", *DELTAS],
}


@pytest.mark.parametrize("deltas", STILL_THINKING.values(), ids=STILL_THINKING)
def test_thinking_that_cannot_be_turned_off_is_reported_and_no_story(deltas: Sequence[Any]) -> None:
    with Faulty(REFUSES_TEMPLATES, streamed(chat(deltas))) as server:
        engine = on(server)
        events = [*engine.stream(GenerationRequest(ASK, PLAIN, 50))]
        named = {one.setting: one.text for one in engine.deviations(PLAIN)}
    assert "".join(map(text_of, events)) == STORY
    assert named["thinking"] == "the server cannot turn it off"


def test_a_server_without_thinking_need_not_turn_it_off() -> None:
    then = streamed([*chat(DELTAS)[:3], STALL])
    with Faulty(REFUSES_TEMPLATES, streamed(chat(DELTAS)), then) as server:
        engine = on(server)
        [*_] = engine.stream(GenerationRequest(ASK, PLAIN, 50))
        assert not engine.deviations(PLAIN)
        assert first_text(engine, PLAIN) == DELTAS[0]


def test_settings_that_no_chat_server_has_are_named() -> None:
    with Faulty() as server:
        told = on(server).deviations(Sampling(dry_multiplier=1.0, repetition_window=9))
    assert {one.setting for one in told} == {
        "dry_multiplier", "repetition_window", "thinking_budget",
    }  # fmt: skip
    assert all(one.ignored for one in told)


@pytest.mark.slow
@pytest.mark.parametrize("alive", [b": keep-alive\n\n", b"data:\n\n"])
def test_comments_are_a_silence_too(alive: bytes) -> None:
    comments: list[Action] = [alive, Sleep(0.1)] * 40
    with Faulty(streamed([*chat(DELTAS)[:3], *comments])) as server:
        start = time.monotonic()
        _, story, finish, _ = ask(server, stall=0.5)
    assert story == "Once upon" and time.monotonic() - start < 3
    assert finish.error and "has sent no text for 0.5 s" in finish.error.message


def test_an_interrupt_ends_a_silence() -> None:
    with Faulty(YES, streamed([*chat(DELTAS)[:3], STALL])) as server:
        events = tried(server, stall=60).stream(GenerationRequest(ASK, PLAIN, 50))
        next(events), next(events)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        start = time.monotonic()
        try:
            with pytest.raises(KeyboardInterrupt):
                next(events)
        finally:
            signal.signal(signal.SIGALRM, before)
        assert time.monotonic() - start < 0.7
        generating = [r for r in server.requests if r.path.endswith("completions")]
        assert generating[-1].left.wait(0.5)
