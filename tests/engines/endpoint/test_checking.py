"""What a server does with the settings, and that a model which does not answer is named."""

from polaris_cli.engines.endpoint.checking import SETTINGS, check_server
from polaris_cli.request.server_address import ServerAddress
from tests.servers.faulty import Faulty
from tests.servers.replies import Request, Script, refused, refusing, said


def test_every_setting_is_applied_or_named() -> None:
    with Faulty(refusing(["top_k"], "openai")) as server:
        found = check_server(ServerAddress(server.url))
    assert (found.model, found.problem) == ("test-model", "")
    assert tuple(found.settings) == SETTINGS
    assert found.settings["top_p"] == "accepted"  # nobody knows what such a server does with it
    assert found.settings["top_k"] == "the server refuses it"


def test_another_model_may_be_asked() -> None:
    with Faulty(models=("embeddings", "Writer")) as server:
        assert check_server(ServerAddress(server.url)).model == "embeddings"
        assert check_server(ServerAddress(server.url), "writer").model == "Writer"
        asked = [r.json for r in server.requests if r.path.endswith("completions")]
    assert asked[-1]["model"] == "Writer"
    assert asked[-1]["max_tokens"] == 16  # some models refuse less
    with Faulty(routes={"/v1/models": refused(404)}) as server:
        assert check_server(ServerAddress(server.url), "writer").settings


def test_a_router_says_the_context_of_the_model_that_is_asked() -> None:
    silent = {"default_generation_settings": {"n_ctx": 0}, "build_info": "b1-a"}
    told = {"default_generation_settings": {"n_ctx": 4096}, "build_info": "b1-a"}

    def props(request: Request) -> Script:
        return said(told if "model=" in request.path else silent)

    with Faulty(kind="llama.cpp", routes={"/props": props}) as server:
        found = check_server(ServerAddress(server.url))
    assert found.server.context_of("test-model") == 4096
    assert found.settings["top_p"] == "applied"


def test_no_setting_is_applied_by_a_model_that_does_not_answer() -> None:
    with Faulty(refused(404, "whisper-1 does not chat")) as server:
        found = check_server(ServerAddress(server.url))
    assert "whisper-1 does not chat" in found.problem and not found.settings
