"""Opens an engine on a server: `open_endpoint`, by what the server can do.

Does not know how text is generated.
"""

import time
from collections.abc import Callable, Mapping

from polaris_cli.engines.base import Engine, ModelInfo
from polaris_cli.engines.endpoint.chat_engine import ChatEngine
from polaris_cli.engines.endpoint.llama_cpp import LlamaCpp
from polaris_cli.engines.endpoint.prompts import answers_in_channels
from polaris_cli.engines.endpoint.token_engine import TokenEngine, TokenServer
from polaris_cli.engines.endpoint.vllm import Vllm
from polaris_cli.errors import EndpointError
from polaris_cli.models.connection import Connection
from polaris_cli.models.reference import ModelRef
from polaris_cli.models.server_environment import key_of
from polaris_cli.models.servers import NO_PATH
from polaris_cli.request.story_request import StoryRequest

TOKEN_SERVERS: Mapping[str, Callable[[Connection, str], TokenServer]] = {
    "llama.cpp": LlamaCpp,
    "vLLM": Vllm,
}


def open_endpoint(
    reference: ModelRef,
    request: StoryRequest,
    tokens: int,
    on_progress: Callable[[float], None] | None = None,
    parallel: int = 1,
) -> Engine:
    """The engine for a job with a model on a server; nothing is loaded.

    It takes any number of requests at once. Raises EndpointError if a chat server does not answer.
    """
    engine = connected(reference)
    if isinstance(engine, ChatEngine):
        engine.try_out(request.sampling)
    return engine


def connected(reference: ModelRef, *, chat: bool = False) -> Engine:
    """The engine for a model on a server; `chat`: by messages, even where tokens are possible."""
    start = time.monotonic()
    server = reference.server
    assert server
    connection = Connection(server.address, key_of(server.address))
    info = ModelInfo(
        reference.name,
        reference.id,
        engine="endpoint",
        quantization=server.quantization,
        server=server.name,
    )
    context = reference.profile.context
    if not chat and server.kind in TOKEN_SERVERS:
        there = TOKEN_SERVERS[server.kind](connection, reference.id)
        if _takes_ids(there):
            return TokenEngine(there, info, context, time.monotonic() - start)
    return ChatEngine(connection, server, info, context)


def _takes_ids(server: TokenServer) -> bool:
    """Whether a server continues the model's answers from token ids.

    A gateway that looks like one of these servers may not have all its paths.
    """
    try:
        return not answers_in_channels(server)
    except EndpointError as error:
        if error.status not in NO_PATH:
            raise
        return False
