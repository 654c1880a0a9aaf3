"""A server on this machine that answers as vLLM 0.32.0 does, from given text: for tests.

    with VllmReplay("plan</think>story") as server:
        server.url  # http://127.0.0.1:port

One answer per request; the last is repeated. A prompt that holds the beginning of an answer
already, behind the opening of a chat's answer, is answered with the rest. An answer that must not
end begins again. The tokens are those of `byte_tokens`; log-probabilities are made up. Loads no
model and does not sample: seeds and penalties change nothing.

What a real vLLM 0.32.0 does, that a client should know:

- An event of a stream has one token as a rule, but several when the server is busy. With
  `return_token_ids` their ids are in `choices[0].token_ids`; the ids of the prompt are in the first
  event alone. Without it both fields are null.
- A character of several tokens comes whole, with its last token; the events before have the text
  "" but their ids and log-probabilities, whose `tokens` are "" too. A character that is unfinished
  at the token limit is dropped from the text, not from the ids.
- The end token is in `token_ids` and in `logprobs` and counts in the usage; its text is "" whatever
  `skip_special_tokens` says. `finish_reason` is "stop" and `stop_reason` null; a stop string or one
  of `stop_token_ids` is in `stop_reason`. The text is cut at a stop string, the ids are not.
- With `ignore_eos`, end tokens are tokens like others, and their text appears unless special tokens
  are skipped. `min_tokens` and a bias of -100 forbid them; a bias of 100 forces one.
- Log-probabilities are the model's own, before temperature, penalties, bias and `top_k`
  (`--logprobs-mode` changes that). `logprobs: 1` gives the most likely token besides the chosen one
  if they differ, `logprobs: 0` the chosen one alone; at most 20.
- The usage comes in an event of its own, without choices, behind the one with `finish_reason`; then
  `data: [DONE]`. `stream_options` without `stream` is an error.
- `max_tokens` above the context is an error; if it only exceeds what the prompt leaves, the answer
  ends at the context with "length". Without `max_tokens` a completion has 16 tokens.
- Errors have the field `error`, an object, but a wrong API key the string "Unauthorized", and an
  unknown path or method only `detail`. Errors that are found late (an id out of the vocabulary, a
  fault of the engine) come as an event of a stream with status 200, followed by [DONE].
- The API key is asked for by /v1 only, not by /tokenize, /version, /health and /metrics.
- Unknown fields are ignored. The model's name may be left out. Temperatures above 2 are refused.
- /tokenize with messages adds the opening of the answer unless told otherwise. Templates may add a
  system message.
- A chat's thinking is in `reasoning`. The token `</think>` has no event, or with `return_token_ids`
  one with an empty delta; it counts in the usage, but not in `reasoning_tokens`.
- The same seed gives the same text, also beside other requests. It does not continue an answer: the
  same seed behind the first half of an answer gives another second half. Greedy decoding does.
- When a client closes the connection, generation stops within a tenth of a second, streaming or
  not: vllm:num_requests_running in /metrics falls to 0, vllm:generation_tokens_total stands still.
"""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.servers import byte_tokens, vllm_checks, vllm_json
from tests.servers.vllm_json import Json, Refused, Token

Routes = dict[str, Callable[["_Handler", Json], None]]
FORCES, FORBIDS = 100, -100  # biases of the end token


class VllmReplay:
    """Answers requests with `answers`, in threads, inside a `with` block.

    `key` is the API key it asks for, if any; `context` the maximum length of prompt and answer
    together, in tokens; `delay` the seconds before each event; `per_event` the tokens of an event.
    `requests` are the bodies of the completions and chats so far, `running` is the number of those
    not yet ended. The end of the block cuts running streams off.
    """

    def __init__(
        self,
        *answers: str,
        model: str = "replay",
        key: str = "",
        context: int = 4096,
        delay: float = 0.0,
        per_event: int = 1,
    ) -> None:
        self.model, self.key, self.context = model, key, context
        self.delay, self.per_event = delay, per_event
        self.requests: list[Json] = []
        self.running = 0
        self.closing = False
        self._lock = threading.Lock()
        self._answers = [byte_tokens.encode(answer) for answer in answers or ("",)]
        self._next = 0
        handler = type("Handler", (_Handler,), {"replay": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing = True
        self._server.shutdown()
        self._server.server_close()

    def count(self, change: int) -> None:
        """Add to the number of running requests."""
        with self._lock:
            self.running += change

    def begin(self, body: Json, prompt: Sequence[int]) -> Iterator[list[Token]]:
        """The tokens of the answer to a request, an event at a time."""
        with self._lock:
            self.requests.append(body)
            answer, start = self._answer(prompt)
        most = min(body.get("max_tokens", 16), self.context - len(prompt))
        tokens = _named(_generated(answer, start, body, most), body, most)
        return self._events(tokens)

    def _events(self, tokens: Iterator[Token]) -> Iterator[list[Token]]:
        event: list[Token] = []
        for token in tokens:
            event.append(token)
            if len(event) == self.per_event or token.finish:
                time.sleep(self.delay)
                yield event
                event = []

    def _answer(self, prompt: Sequence[int]) -> tuple[list[int], int]:
        """The answer to a prompt, and how many of its tokens the prompt holds already."""
        written = byte_tokens.answer_so_far(prompt)
        following = min(self._next, len(self._answers) - 1)
        for answer in self._answers[: following + 1] if written else ():
            if answer[: len(written)] == written:
                return answer, len(written)
        self._next += 1
        return self._answers[following], 0


def _generated(answer: list[int], start: int, body: Json, most: int) -> Iterator[int]:
    """The token ids of an answer from its place `start` on, up to `most`."""
    bias = (body.get("logit_bias") or {}).get(str(byte_tokens.END), 0)
    text = answer or [ord(" ")]
    cycle, place = [*text, byte_tokens.END], start if answer else 1
    for number in range(most):
        may_end = bias > FORBIDS and number >= body.get("min_tokens", 0)
        if bias >= FORCES and may_end:
            token = byte_tokens.END
        else:
            place += cycle[place % len(cycle)] == byte_tokens.END and not may_end
            token = cycle[place % len(cycle)]
            place += 1
        yield token
        if token == byte_tokens.END and not body.get("ignore_eos"):
            return


def _named(ids: Iterator[int], body: Json, most: int) -> Iterator[Token]:
    """The tokens with their text, and with the finish reason at the last."""
    decoder = byte_tokens.Decoder()
    skipped = byte_tokens.SPECIAL if body.get("skip_special_tokens", True) else set()
    for number, token in enumerate(ids, start=1):
        name = decoder.text(token)
        ends = token == byte_tokens.END and not body.get("ignore_eos")
        text = "" if ends or token in skipped else name
        finish = "stop" if ends else "length" if number == most else None
        yield Token(token, text, name, -(token % 7 + 1) / 8, finish)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request after another of a connection."""

    replay: VllmReplay
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._respond(GET, POST)

    def do_POST(self) -> None:
        self._respond(POST, GET)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _respond(self, routes: Routes, others: Routes) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body: Json = json.loads(content) if content else {}
        try:
            self._check_key()
            if self.path not in routes:
                known = self.path in others
                detail = "Method Not Allowed" if known else "Not Found"
                raise Refused(405 if known else 404, {"detail": detail})
            routes[self.path](self, body)
        except Refused as refused:
            if refused.late and body.get("stream"):
                self._send_events([refused.answer])
            else:
                self._send(refused.answer, refused.status)
        except OSError:  # the client is gone
            self.close_connection = True

    def _check_key(self) -> None:
        expected = f"Bearer {self.replay.key}"
        given = self.headers.get("Authorization")
        if self.replay.key and self.path.startswith("/v1/") and given != expected:
            raise Refused(401, {"error": "Unauthorized"})

    def version(self, body: Json) -> None:
        self._send({"version": "0.32.0"})

    def models(self, body: Json) -> None:
        self._send(vllm_json.models(self.replay.model, self.replay.context))

    def health(self, body: Json) -> None:
        self._send(None)

    def tokenize(self, body: Json) -> None:
        ids = (
            self._prompt_of_chat(body) if "messages" in body else byte_tokens.encode(body["prompt"])
        )
        names = [byte_tokens.token_string(token) for token in ids]
        numbers = {"count": len(ids), "max_model_len": self.replay.context}
        shown = names if body.get("return_token_strs") else None
        self._send({**numbers, "tokens": ids, "token_strs": shown})

    def detokenize(self, body: Json) -> None:
        self._send({"prompt": byte_tokens.decode(body["tokens"])})

    def complete(self, body: Json) -> None:
        vllm_checks.check_types(body, ("prompt",))
        self._generate(body, body["prompt"], vllm_json.completion, vllm_json.completion_events)

    def chat(self, body: Json) -> None:
        vllm_checks.check_types(body, ("messages",))
        prompt = self._prompt_of_chat(body)
        body = {"max_tokens": self.replay.context, **body}
        self._generate(body, prompt, vllm_json.chat, vllm_json.chat_events)

    def _prompt_of_chat(self, body: Json) -> list[int]:
        thinks = (body.get("chat_template_kwargs") or {}).get("enable_thinking") is not False
        opens = body.get("add_generation_prompt", True)
        return byte_tokens.prompt_of(body["messages"], thinks, opens)

    def _generate(
        self,
        body: Json,
        prompt: Sequence[int],
        whole: Callable[..., Json],
        events: Callable[..., Iterator[Json]],
    ) -> None:
        model, context = self.replay.model, self.replay.context
        vllm_checks.check_model(body, model)
        vllm_checks.check_values(body, context)
        vllm_checks.check_tokens(body, prompt, context)
        with closing(self._while_connected(self.replay.begin(body, prompt))) as tokens:
            if body.get("stream"):
                self._send_events(events(body, model, prompt, tokens))
            else:
                self._send(whole(body, model, prompt, tokens))

    def _while_connected(self, events: Iterator[list[Token]]) -> Generator[list[Token]]:
        self.replay.count(1)
        try:
            for event in events:
                if self.replay.closing or self._client_is_gone():
                    raise ConnectionAbortedError
                yield event
        finally:
            self.replay.count(-1)

    def _client_is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _send(self, answer: Json | None, status: int = 200) -> None:
        data = b"" if answer is None else json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        if data:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send_events(self, events: Iterable[Json]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            self._send_chunk(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())
        self._send_chunk(b"data: [DONE]\n\n")
        self._send_chunk(b"")

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


GET: Routes = {
    "/version": _Handler.version,
    "/v1/models": _Handler.models,
    "/health": _Handler.health,
}
POST: Routes = {
    "/tokenize": _Handler.tokenize,
    "/detokenize": _Handler.detokenize,
    "/v1/completions": _Handler.complete,
    "/v1/chat/completions": _Handler.chat,
}
