"""llama.cpp's server called directly: `LlamaServer`, to see what polaris adds to its time.

Starts the server with the parameters of the engine gguf, and reads its answers with as little work
as Python allows. Knows HTTP and the server's fields, not what is compared with it.
"""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from polaris_cli.bench.speed import Times, evenly
from polaris_cli.engines.endpoint.llama_cpp import LlamaCpp, completion
from polaris_cli.engines.gguf import parameters
from polaris_cli.errors import ModelUnavailable
from polaris_cli.models.connection import Connection, Json
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling

BLOCK = 1 << 16  # bytes read at once, far more than an event has
DATA = b"data: "


class LlamaServer:
    """A llama.cpp server in this process, with room for `context` tokens.

    `tokenizer` gives the token ids of its prompts. Raises RuntimeError if llama.cpp cannot load the
    file.
    """

    def __init__(self, file: Path, context: int, threads: int, device: str) -> None:
        import xllamacpp

        key = secrets.token_urlsafe(32)
        self._server = xllamacpp.Server(parameters(file, key, context, threads, device))
        url = self._server.listening_address
        connection = Connection(ServerAddress(url), key)
        (self._model,) = connection.get("models")["data"]
        self.tokenizer = LlamaCpp(connection, self._model["id"])
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._netloc = urlsplit(url).netloc

    @property
    def vocabulary_size(self) -> int:
        """The number of different tokens."""
        return int(self._model["meta"]["n_vocab"])

    def complete(self, body: Json) -> Times:
        """The times of one streamed answer; its tokens after the first get the average time.

        Raises ModelUnavailable if the server refuses the request.
        """
        moments = [time.perf_counter()]
        http = HTTPConnection(self._netloc)  # the server closes one that waits for its turn
        http.request("POST", "/completion", json.dumps(body), self._headers)
        response = http.getresponse()
        blocks = []
        while block := response.read1(BLOCK):
            moments.append(time.perf_counter())
            blocks.append(block)
        http.close()
        if response.status != 200:
            raise ModelUnavailable(f"llama.cpp refuses the request: {b''.join(blocks)!r}.")
        counts = [event["tokens_predicted"] for event in _events(b"".join(blocks))]
        return evenly(moments[1] - moments[0], moments[-1] - moments[1], counts[-1] - counts[0])


def _events(answer: bytes) -> Iterator[dict[str, Any]]:
    return (json.loads(line[len(DATA) :]) for line in answer.split(b"\n") if line.startswith(DATA))


def engine_body(ids: Sequence[int], sampling: Sampling, tokens: int) -> Json:
    """The body that the engines send to continue `ids` at the start of a story."""
    body = completion(ids, sampling, tokens, may_end=True, reuse=False)
    return {"model": "", **body, "stream": True}
