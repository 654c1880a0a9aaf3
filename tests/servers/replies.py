"""What a server can say: whole HTTP answers, good and bad, made of small parts.

A script is a list of actions that the server carries out on the connection: bytes to send, or a
pause, a stall, an end. A misbehaving server is a good script cut short or changed:

    streamed(chat(["Once", " upon"]))                     a good answer
    streamed([*chat(DELTAS)[:3], CLOSE])                  gone after two deltas (the role is first)
    streamed([*chat(DELTAS)[:3], STALL])                  silent after two deltas
    [CLOSE], [STALL]                                      gone or silent before the first byte
    cut_inside(streamed(chat(["a fée"])), "é")            gone in the middle of a character
    bytewise(streamed(chat(DELTAS)), pause=0.01)          a byte at a time
    streamed(crlf(chat(DELTAS)))                          lines that end with CR LF
    streamed(gzipped(chat(DELTAS)), GZIP)                 compressed
    streamed([*chat(DELTAS)[:2], b": ping\\n\\n", ...])     a comment between events
    streamed([*chat(DELTAS)[:2], b"data: {oops\\n\\n"])     no JSON
    streamed([*chat(DELTAS)[:2], event(error("full"))])   an error in the stream
    streamed(chat(DELTAS, end=b"", usage=b"", done=b""))  no finish_reason, no usage, no [DONE]
    streamed(chat(DELTAS, end=ended("length")))           another finish_reason, or None
    streamed(chat([{"reasoning_content": "hm"}, "Once"])) deltas with other fields than content
    until_closed(chat(DELTAS))                            HTTP/1.0: no chunks, no length
    sized(b"{}", length=99)                               a Content-Length that lies
    refused(429, headers={"Retry-After": http_date(2)})   a status with an error object
    sized(HTML, {"Content-Type": "text/html"}, 502)       a page of HTML
    redirected(307, "/v2/chat/completions")               another address

Knows no sockets (`faulty` has them), and of llama.cpp nothing (`llama_cpp_replies`).
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum, auto
from http import HTTPStatus
from threading import Event
from time import time
from typing import Any


@dataclass(frozen=True, slots=True)
class Sleep:
    """A pause of some seconds."""

    seconds: float


class Turn(Enum):
    """STALL: nothing more until the client leaves or the server stops. CLOSE: the connection ends
    as it should. RESET: it ends with an error, as when a process dies."""

    STALL = auto()
    CLOSE = auto()
    RESET = auto()


STALL, CLOSE, RESET = Turn.STALL, Turn.CLOSE, Turn.RESET
Action = bytes | Sleep | Turn
Script = Sequence[Action]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: header names in lower case, `json` None where the body is no JSON.

    `left` is set once the client has gone before the answer's end.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    json: Any
    left: Event = field(default_factory=Event)


Answer = Callable[[Request], Script]

DELTAS = ("Once", " upon", " a", " time")
USAGE = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
DONE = b"data: [DONE]\n\n"
HTML = b"<!DOCTYPE html><title>502</title><h1>Bad Gateway</h1>"
GZIP = {"Content-Encoding": "gzip"}


# The answer around a body.


def head(status: int, headers: Mapping[str, str], version: str = "1.1") -> bytes:
    """The status line and the headers."""
    lines = [f"HTTP/{version} {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def streamed(
    body: Iterable[Action], headers: Mapping[str, str] | None = None, status: int = 200
) -> list[Action]:
    """A stream of events in chunks, one for each bytes in `body`."""
    shown = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"} | dict(
        headers or {}
    )
    chunks = (b"%x\r\n%b\r\n" % (len(a), a) if isinstance(a, bytes) else a for a in body)
    return [head(status, shown), *chunks, b"0\r\n\r\n"]


def until_closed(body: Iterable[Action]) -> list[Action]:
    """A stream of events as HTTP/1.0 sends it: the end of the connection is the end of the body."""
    return [head(200, {"Content-Type": "text/event-stream"}, "1.0"), *body, CLOSE]


def sized(
    body: bytes,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    length: int | None = None,
) -> list[Action]:
    """A body with its Content-Length; `length` claims another, and the connection ends there."""
    claimed = len(body) if length is None else length
    shown = {"Content-Type": "application/json", "Content-Length": str(claimed)} | dict(
        headers or {}
    )
    return [head(status, shown), body, *([] if length is None else [CLOSE])]


def said(value: object, status: int = 200) -> list[Action]:
    """`value` as JSON."""
    return sized(json.dumps(value, ensure_ascii=False).encode(), status=status)


def redirected(status: int, address: str) -> list[Action]:
    """To another path of this server, or another server's address."""
    return sized(b"", {"Location": address}, status)


def http_date(seconds: float) -> str:
    """The time in that many seconds, as the header Retry-After has it."""
    return formatdate(time() + seconds, usegmt=True)


OLLAMA = {
    "/api/version": said({"version": "0.9"}),
    "/": sized(b"Ollama is running", {"Content-Type": "text/plain"}),
}
"""The routes by which Ollama is found."""


# Scripts and bodies changed.


def bytewise(script: Script, pause: float = 0.0) -> list[Action]:
    """Every byte sent on its own, with a pause after each."""
    changed: list[Action] = []
    for action in script:
        if isinstance(action, bytes):
            for byte in action:
                changed += [bytes([byte]), *([Sleep(pause)] if pause else [])]
        else:
            changed.append(action)
    return changed


def cut_inside(script: Script, character: str) -> list[Action]:
    """The connection ends after the first byte of the first `character`."""
    start = character.encode()
    for place, action in enumerate(script):
        if isinstance(action, bytes) and start in action:
            return [*script[:place], action[: action.index(start) + 1], CLOSE]
    raise ValueError(f"the script has no {character}")


def crlf(events: Iterable[bytes]) -> list[bytes]:
    """Events whose lines end with CR LF."""
    return [event.replace(b"\n", b"\r\n") for event in events]


def gzipped(body: Iterable[bytes]) -> Iterator[bytes]:
    """The body compressed, each part flushed so that it can be read at once; see GZIP."""
    packer = zlib.compressobj(wbits=31)
    for part in body:
        yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


# OpenAI's chat.


def event(value: object) -> bytes:
    """A server-sent event; characters beyond ASCII stand as they are."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def chunk(*choices: Mapping[str, Any], **others: Any) -> bytes:
    """An event of a chat answer; `others` are fields beside the choices, such as usage."""
    numbered = [{"index": index, **choice} for index, choice in enumerate(choices)]
    return event({"object": "chat.completion.chunk", "choices": numbered, **others})


def delta(fields: str | Mapping[str, Any]) -> bytes:
    """An event with a delta: its content, or its fields by name."""
    given = {"content": fields} if isinstance(fields, str) else fields
    return chunk({"delta": given, "finish_reason": None})


def ended(reason: str | None, **others: Any) -> bytes:
    """The event that carries the finish reason."""
    return chunk({"delta": {}, "finish_reason": reason}, **others)


def chat(
    deltas: Iterable[str | Mapping[str, Any]] = DELTAS,
    end: bytes | None = None,
    usage: bytes | None = None,
    done: bytes = DONE,
) -> list[bytes]:
    """The events of an answer: role, deltas, finish reason, usage with no choices, [DONE].

    The last three can be others; one that is empty is left out.
    """
    end = ended("stop") if end is None else end
    usage = chunk(usage=USAGE) if usage is None else usage
    first = delta({"role": "assistant", "content": ""})
    return [part for part in (first, *map(delta, deltas), end, usage, done) if part]


YES = streamed(chat(["Yes."]))
"""An answer to the trial (`thinking_marks`), after which an engine streams text at once."""


def talking(deltas: Sequence[str] = DELTAS) -> Answer:
    """A good answer, streamed or whole as the request asks."""

    def answer(request: Request) -> Script:
        if (request.json or {}).get("stream"):
            return streamed(chat(deltas))
        message = {"role": "assistant", "content": "".join(deltas)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return said({"object": "chat.completion", "choices": [choice], "usage": USAGE})

    return answer


# Errors.


def error(message: str, **fields: Any) -> dict[str, Any]:
    """OpenAI's error object."""
    return {
        "error": {"message": message, "type": "server_error", "param": None, "code": None} | fields
    }


def refused(
    status: int, message: str = "no", headers: Mapping[str, str] | None = None
) -> list[Action]:
    """An error object with a status (200 too)."""
    return sized(json.dumps(error(message)).encode(), headers, status)


def _openai(names: Sequence[str]) -> list[Action]:
    fields = {"type": "invalid_request_error", "param": names[0], "code": "unknown_parameter"}
    return said(error(f"Unknown parameter: '{names[0]}'.", **fields), 400)


def _forbidden(name: str) -> dict[str, Any]:
    """What pydantic finds about a field that it does not know."""
    told = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}
    return told | {"loc": ("body", name)}


def _vllm(names: Sequence[str]) -> list[Action]:
    found = str([_forbidden(name) for name in names])
    return said(error(found, type="Bad Request", code=400), 400)


def _fastapi(names: Sequence[str]) -> list[Action]:
    return said({"detail": [_forbidden(name) for name in names]}, 422)


def _transformers(names: Sequence[str]) -> list[Action]:
    listed = ", ".join(map(repr, names))
    return said({"detail": f"Unexpected fields in the request: {{{listed}}}"}, 422)


REFUSALS = {
    "openai": _openai,  # names one field at a time
    "vllm": _vllm,  # pydantic's list, as text in the message
    "fastapi": _fastapi,
    "transformers": _transformers,
}


def refusing(fields: Iterable[str], shape: str, then: Answer | None = None) -> Answer:
    """Refuses requests that have any of `fields`, in a shape of REFUSALS; `then` answers others."""
    unknown, otherwise = tuple(fields), then or talking()

    def answer(request: Request) -> Script:
        found = [name for name in unknown if name in (request.json or {})]
        return REFUSALS[shape](found) if found else otherwise(request)

    return answer
