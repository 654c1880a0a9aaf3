"""Which engine a server gets: token ids where they can be read, else chat."""

import pytest

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.engines.endpoint.chat_engine import ChatEngine
from polaris_cli.engines.endpoint.opening import connected
from polaris_cli.engines.endpoint.token_engine import TokenEngine
from polaris_cli.errors import EndpointError
from polaris_cli.events import text_of
from polaris_cli.models.reference import on_server
from polaris_cli.models.servers import probe
from polaris_cli.request.prompts import Message
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.story_request import Sampling
from tests.servers.faulty import Faulty
from tests.servers.replies import Answer, Script, chat, refused, said, streamed

PROMPT = "<|start|>user<|message|>.<|end|><|start|>assistant"
ANSWER = streamed(chat([{"reasoning_content": "A plan."}, "Once"]))
MODELS = {"data": [{"id": "gpt-oss", "max_model_len": 4096}]}
VLLM: dict[str, Answer | Script] = {
    "/v1/models": said(MODELS),
    "/version": said({"version": "0.32.0"}),
    "/tokenize": said({"tokens": [1]}),
}


def on(server: Faulty) -> Engine:
    return connected(on_server("auto", probe(ServerAddress(server.url))))


@pytest.fixture(params=["llama.cpp", "vLLM"])
def server(request: pytest.FixtureRequest) -> Faulty:
    """A server whose model writes in channels."""
    if request.param == "vLLM":
        return Faulty(ANSWER, routes={**VLLM, "/detokenize": said({"prompt": PROMPT})})
    routes: dict[str, Answer | Script] = {"/apply-template": said({"prompt": PROMPT})}
    return Faulty(ANSWER, kind="llama.cpp", routes=routes)


def test_a_model_that_answers_in_channels_is_asked_by_chat(server: Faulty) -> None:
    with server:
        engine = on(server)
        assert isinstance(engine, ChatEngine) and not engine.capabilities.token_ids
        request = GenerationRequest((Message("user", "A fox."),), Sampling(), 50)
        events = [*engine.stream(request)]
    assert "".join(text_of(event, "thinking") for event in events) == "A plan."
    told = {one.setting for one in engine.deviations(Sampling(thinking_budget=-1))}
    assert "".join(map(text_of, events)) == "Once"
    assert told == ({"repetition_penalty"} if "llama.cpp" in engine.info.server else set())


def test_any_other_model_is_asked_by_token_ids() -> None:
    with Faulty(kind="llama.cpp") as server:
        assert isinstance(on(server), TokenEngine)


def test_a_server_without_the_paths_of_its_kind_is_asked_by_chat() -> None:
    with Faulty(routes={**VLLM, "/tokenize": refused(404)}) as server:
        assert isinstance(on(server), ChatEngine)
    with (
        Faulty(routes={**VLLM, "/tokenize": refused(400)}) as server,
        pytest.raises(EndpointError),
    ):
        on(server)
