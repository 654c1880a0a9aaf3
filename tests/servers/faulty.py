"""A server on this machine that misbehaves on purpose, for tests of a client.

    with Faulty([CLOSE], refused(503), talking()) as server:
        ...  # the first request is cut off, the second refused, all others are answered
        server.requests[0].json

Otherwise it looks like OpenAI's chat server, or like llama.cpp's. It carries out scripts; what they
say is made in `replies` and `llama_cpp_replies`.
"""

import json
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from tests.servers import llama_cpp_replies
from tests.servers.replies import (
    CLOSE,
    RESET,
    STALL,
    Action,
    Answer,
    Request,
    Script,
    Sleep,
    refused,
    said,
    talking,
)

GENERATING = ("/chat/completions", "/completion")
ENDS = (STALL, CLOSE, RESET)
FORCED = struct.pack("ii", 1, 0)  # SO_LINGER without waiting: closing sends a reset


class Faulty:
    """The server; it runs inside `with`.

    `answers` are given to the requests for text in turn, the last to all that follow; without any,
    the server behaves. `routes` answers other paths in place of what the kind of server says.
    `requests` holds every request in the order of arrival.
    """

    def __init__(
        self,
        *answers: Answer | Script,
        models: Sequence[str] = ("test-model",),
        kind: Literal["openai", "llama.cpp"] = "openai",
        routes: Mapping[str, Answer | Script] | None = None,
    ) -> None:
        listed = [{"id": name, "object": "model", "owned_by": "tests"} for name in models]
        own = llama_cpp_replies.ROUTES if kind == "llama.cpp" else {}
        self.requests: list[Request] = []
        self._routes = {"/v1/models": said({"object": "list", "data": listed}), **own}
        self._routes |= routes or {}
        self._answers = answers or ((llama_cpp_replies.answering() if own else talking()),)
        self._given = 0
        self._lock = threading.Lock()
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server = _Server(self)
        # Its threads are joined when it closes; the poll is how long that takes.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join()

    def script_for(self, request: Request) -> Script:
        """What to do about a request, which is recorded."""
        with self._lock:
            self.requests.append(request)
            answer = self._answer_to(request)
        return answer(request) if callable(answer) else answer

    def _answer_to(self, request: Request) -> Answer | Script:
        path = request.path.partition("?")[0]
        if path in self._routes:
            return self._routes[path]
        if request.method != "POST" or not path.endswith(GENERATING):
            return refused(404, "File Not Found")
        answer = self._answers[min(self._given, len(self._answers) - 1)]
        self._given += 1
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, owner: Faulty) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        for connection in tuple(self._open):
            with suppress(OSError):  # it ended by itself
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a byte sent alone arrives alone
    server: _Server
    connection: socket.socket

    def handle(self) -> None:
        with suppress(OSError):  # the client is gone, or the server stops
            super().handle()

    def do_POST(self) -> None:
        request = Request(self.command, self.path, self._headers(), self._json())
        try:
            for action in self.server.owner.script_for(request):
                self._carry_out(action, request)
                if action in ENDS:
                    self.close_connection = True
                    return
        except OSError:
            request.left.set()
            raise

    do_GET = do_POST

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _json(self) -> Any:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            return json.loads(body)
        except ValueError:
            return None

    def _carry_out(self, action: Action, request: Request) -> None:
        if isinstance(action, bytes):
            self.connection.sendall(action)
        elif isinstance(action, Sleep):
            self.server.owner.stopping.wait(action.seconds)
        elif action is STALL:
            self._stall(request)
        elif action is RESET:
            self._reset()

    def _stall(self, request: Request) -> None:
        self.connection.settimeout(0.02)
        while not self.server.owner.stopping.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    request.left.set()
                    return

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, FORCED)
        # Detached, since the files made of the connection would keep it open.
        socket.close(self.connection.detach())

    def log_message(self, *_: object) -> None:
        """Says nothing: the requests are recorded."""
