"""What a server is: found by its own paths; which of its models is meant; its key stays secret."""

import json
import time
from collections.abc import Callable

import pytest

from polaris_cli.errors import EndpointError, ModelUnavailable, UsageError
from polaris_cli.models import servers
from polaris_cli.models.connection import Connection
from polaris_cli.models.reference import on_server
from polaris_cli.models.resolving import resolve
from polaris_cli.models.server_environment import key_of
from polaris_cli.models.servers import Server, choose_model, probe
from polaris_cli.request.server_address import ServerAddress
from tests.servers.faulty import Faulty
from tests.servers.replies import (
    HTML,
    OLLAMA,
    STALL,
    Request,
    Script,
    error,
    event,
    redirected,
    refused,
    said,
    sized,
    streamed,
)
from tests.servers.vllm_replay import VllmReplay

ADDRESS = ServerAddress("http://127.0.0.1:9")


def test_kinds_are_found() -> None:
    with Faulty() as server:
        found = probe(ServerAddress(server.url))
    assert (found.kind, found.models) == ("unknown", ("test-model",))
    with Faulty(kind="llama.cpp") as server:
        found = probe(ServerAddress(server.url))
    assert found.kind == "llama.cpp" and found.context
    with VllmReplay("Once.") as replay:
        found = probe(ServerAddress(replay.url))
    assert found.name == "vLLM 0.32.0" and found.context_of(found.models[0])
    with Faulty(routes=OLLAMA) as server:
        assert probe(ServerAddress(server.url)).name == "Ollama 0.9"
    with Faulty(routes={"/openapi.json": said({"paths": {"/load_model": {}}})}) as server:
        assert probe(ServerAddress(server.url)).kind == "transformers"


@pytest.mark.parametrize("root", [sized(HTML, {"Content-Type": "text/html"}), refused(404)])
@pytest.mark.parametrize("version", [{"version": "0.7.0"}, {"version": "v1", "commit": "a"}])
def test_only_ollama_counts_as_ollama(version: dict[str, str], root: Script) -> None:
    with Faulty(routes={"/api/version": said(version), "/": root}) as server:
        assert probe(ServerAddress(server.url)).kind == "unknown"


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_a_list_of_models_is_one_too(status: int) -> None:
    with Faulty(routes={"/v1/models": refused(status)}) as server:
        assert probe(ServerAddress(server.url)).models == ()


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_model_that_is_named_needs_no_list(status: int) -> None:
    with Faulty(routes={"/v1/models": refused(status)}) as server:
        assert resolve("owner/model", server=ServerAddress(server.url)).id == "owner/model"
        with pytest.raises(ModelUnavailable):
            resolve("auto", server=ServerAddress(server.url))


def test_a_list_of_models_that_is_null_is_empty() -> None:
    routes = {**OLLAMA, "/v1/models": said({"object": "list", "data": None})}
    with Faulty(routes=routes) as server:
        found = probe(ServerAddress(server.url))
    assert (found.kind, found.models) == ("Ollama", ())


def test_a_list_of_models_may_be_bare() -> None:
    models = [{"id": "a"}, {"id": "b", "max_model_len": 9}, {}]
    with Faulty(routes={"/v1/models": said(models)}) as server:
        found = probe(ServerAddress(server.url))
    assert found.models == ("a", "b") and found.context_of("b") == 9


@pytest.mark.parametrize(
    "name", ["max_model_len", "context_length", "context_window", "max_context_length"]
)
def test_a_list_of_models_may_say_their_context(name: str) -> None:
    with Faulty(routes={"/v1/models": said([{"id": "a", name: 3000}])}) as server:
        assert probe(ServerAddress(server.url)).context_of("a") == 3000


def test_an_adapter_has_the_context_of_its_model() -> None:
    models = [
        {"id": "base", "max_model_len": 4096, "parent": None},
        {"id": "adapter", "max_model_len": None, "parent": "base"},
    ]
    with Faulty(routes={"/v1/models": said(models)}) as server:
        assert probe(ServerAddress(server.url)).context_of("adapter") == 4096


def props(request: Request) -> Script:
    """What llama.cpp's router says: of itself no context, that of a model if it is named."""
    size = 4096 if request.path.endswith("?model=owner%2Ftest") else 0
    return said({"default_generation_settings": {"n_ctx": size}, "build_info": "b1-a"})


def test_a_router_is_asked_for_the_context_of_the_chosen_model() -> None:
    models = ("other", "owner/test")
    with Faulty(kind="llama.cpp", models=models, routes={"/props": props}) as server:
        reference = resolve("owner/test", server=ServerAddress(server.url))
        assert reference.profile.context == 4096
        other = resolve("other", server=ServerAddress(server.url))
        assert other.server and other.server.context_of("other") is None
    with Faulty(kind="llama.cpp") as server:
        resolve("auto", server=ServerAddress(server.url))
        assert not [request for request in server.requests if "model=" in request.path]


def test_a_server_that_is_silent_on_a_path_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "PROBE_TIMEOUT", 0.1)
    with Faulty(routes={"/props": [STALL], "/api/version": [STALL]}) as server:
        start = time.monotonic()
        assert probe(ServerAddress(server.url)).kind == "unknown"
    assert time.monotonic() - start < 3


def test_a_server_whose_context_is_no_number_is_of_no_known_kind() -> None:
    props = {"default_generation_settings": {"n_ctx": "many"}, "build_info": "b1"}
    with Faulty(routes={"/props": said(props)}) as server:
        found = probe(ServerAddress(server.url))
    assert found.kind == "unknown" and found.context_of("test-model") is None


STRANGE: dict[str, Script] = {
    "HTML": sized(HTML, {"Content-Type": "text/html"}),
    "a list": said([1, 2]),
    "no data": said({"object": "list"}),
    "data that is no list": said({"object": "list", "data": "none"}),
    "no JSON": sized(b"{oops"),
    "not UTF-8": sized(b'{"data": "\xff"}'),
    "401": refused(401),
    "403": refused(403),
    "500": refused(500),
    "silence": [STALL],
}


@pytest.mark.parametrize("script", STRANGE.values(), ids=STRANGE)
def test_anything_else_is_refused_in_a_sentence(script: Script) -> None:
    with Faulty(routes={"/v1/models": script}) as server, pytest.raises(EndpointError) as refused:
        probe(ServerAddress(server.url, stall_timeout=0.5))
    assert refused.value.message.endswith((".", "…")) and refused.value.hint
    assert refused.value.exit_code == 3


def test_nobody_at_the_address() -> None:
    with pytest.raises(EndpointError, match=r"No server answers at http://127\.0\.0\.1:9/v1"):
        probe(ADDRESS)


def test_a_redirect_is_followed() -> None:
    there = said({"data": [{"id": "moved"}]})
    routes = {"/v1/models": redirected(307, "/v2/models"), "/v2/models": there}
    with Faulty(routes=routes) as server:
        assert probe(ServerAddress(server.url)).models == ("moved",)


def test_a_circle_of_redirects_is_named_and_not_tried_again() -> None:
    with Faulty(routes={"/v1/models": redirected(307, "/v1/models")}) as server:
        with pytest.raises(EndpointError, match="redirects in a circle") as refused:
            Connection(ServerAddress(server.url)).get("models")
        assert refused.value.retry_in is None and len(server.requests) < 30


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLARIS_API_KEY", "OPENAI_API_KEY", "MINE"):
        monkeypatch.delenv(name, raising=False)
    away = ServerAddress("https://example.org/v1")
    assert key_of(away) is None
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    assert (key_of(away), key_of(ADDRESS)) == ("theirs", None)
    monkeypatch.setenv("POLARIS_API_KEY", "ours")
    assert (key_of(away), key_of(ADDRESS)) == ("ours", "ours")
    named = ServerAddress("https://example.org/v1", api_key_env="MINE")
    with pytest.raises(UsageError, match="MINE"):
        key_of(named)
    monkeypatch.setenv("MINE", "mine")
    assert key_of(named) == "mine"


def test_the_key_is_sent_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARIS_API_KEY", "sk-secret")
    with Faulty(routes={"/v1/models": refused(401)}) as server:
        with pytest.raises(EndpointError) as refusal:
            probe(ServerAddress(server.url))
        assert server.requests[0].headers["authorization"] == "Bearer sk-secret"
    told = f"{refusal.value.message} {refusal.value.hint} {refusal.value.__cause__}"
    assert "sk-secret" not in told and "POLARIS_API_KEY" in told


SAYING_THE_KEY: dict[str, Script] = {
    "a refusal": refused(401, "Incorrect API key provided: sk-secret"),
    "cut in the middle": refused(401, "a" * 195 + " sk-secret"),
    "an error": streamed([event(error("sk-secret"))]),
    "no JSON": sized(b"no key sk-secret"),
}


@pytest.mark.parametrize("script", SAYING_THE_KEY.values(), ids=SAYING_THE_KEY)
def test_a_key_that_the_server_repeats_is_not_told(script: Script) -> None:
    with Faulty(script) as server, pytest.raises(EndpointError) as refusal:
        [*Connection(ServerAddress(server.url), "sk-secret").events("chat/completions", {}, dict)]
    assert "sk-" not in f"{refusal.value.message} {refusal.value.hint}"
    assert "…" in refusal.value.message


@pytest.mark.parametrize("form", [str, repr, json.dumps, lambda key: repr([json.dumps(key)])])
@pytest.mark.parametrize("key", ["sk-'secret", 'sk-"sec\\ret', "sk-  sec ret", "sk-'\"secret"])
def test_a_key_is_told_in_no_form(key: str, form: Callable[[str], str]) -> None:
    for script in (refused(401, f"Key {form(key)} is wrong"), said([{"auth": key}], 401)):
        with (
            Faulty(routes={"/v1/models": script}) as server,
            pytest.raises(EndpointError) as refusal,
        ):
            Connection(ServerAddress(server.url), key).get("models")
        assert "sk-" not in refusal.value.message and "ret" not in refusal.value.message


@pytest.mark.parametrize("space", ["\r", "\r\n", "\n", " ", "\t"])
def test_white_space_around_the_key_is_not_sent(
    space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLARIS_API_KEY", f"{space}sk-secret{space}")
    with Faulty() as server:
        probe(ServerAddress(server.url))
        assert server.requests[0].headers["authorization"] == "Bearer sk-secret"


@pytest.mark.parametrize("mark", ["\r", "\n", "\x07", "é", "\u200b", "\udcff"])
@pytest.mark.parametrize("name", ["POLARIS_API_KEY", "OPENAI_API_KEY", "MINE"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(
    name: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POLARIS_API_KEY", raising=False)
    monkeypatch.setenv(name, f"sk-{mark}secret")
    named = name if name == "MINE" else None
    with pytest.raises(UsageError) as refused:
        key_of(ServerAddress("https://example.org/v1", api_key_env=named))
    told = f"{refused.value.message} {refused.value.hint}"
    assert name in told and "secret" not in told


def test_a_variable_of_white_space_alone_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARIS_API_KEY", " \r\n")
    assert key_of(ADDRESS) is None


def test_another_host_does_not_get_the_key() -> None:
    with Faulty() as other:
        away = f"http://localhost:{other.url.rpartition(':')[2]}/v1/models"
        with Faulty(routes={"/v1/models": redirected(307, away)}) as server:
            Connection(ServerAddress(server.url), "sk-secret").get("models")
        assert "authorization" not in other.requests[0].headers


MODELS = ("owner/Qwen3.5-9B-AWQ", "/models/SmolLM2-135M-Instruct.Q4_1.gguf", "llama-3")


@pytest.mark.parametrize(
    ("wanted", "found", "name"),
    [
        ("llama-3", "llama-3", "llama-3"),
        ("LLAMA-3", "llama-3", "llama-3"),
        ("smollm2", MODELS[1], "smollm2"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", MODELS[1], "smollm2"),
        ("SmolLM2-135M-Instruct.Q4_1", MODELS[1], "smollm2"),
        ("base", MODELS[0], "base"),
        ("Qwen/Qwen3.5-9B", MODELS[0], "base"),
    ],
)
def test_a_model_is_found_by_what_it_is_called(wanted: str, found: str, name: str) -> None:
    reference = on_server(wanted, Server(ADDRESS, models=MODELS))
    assert (reference.id, reference.name) == (found, name)


VERSIONS = (
    "anthropic/claude-opus-4.5",
    "anthropic/CLAUDE-OPUS-4",
    "anthropic/claude-opus-4",
    "openai/gpt-4o",
    "openai/gpt-4o:free",
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("anthropic/claude-opus-4", "anthropic/claude-opus-4"),
        ("claude-opus-4.5", "anthropic/claude-opus-4.5"),
        ("gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4o:free", "openai/gpt-4o:free"),
        ("openai/gpt-4o:nitro", "openai/gpt-4o:nitro"),
    ],
)
def test_a_model_is_told_from_its_other_versions(wanted: str, found: str) -> None:
    server = Server(ADDRESS, models=VERSIONS, contexts={"openai/gpt-4o": 128_000})
    assert on_server(wanted, server).id == found
    if "gpt-4o" in wanted:
        assert on_server(wanted, server).profile.context == 128_000


@pytest.mark.parametrize("wanted", ["claude-opus-4", "openai/gpt-5:nitro", ":nitro", "llama3:8b"])
def test_another_version_is_another_model(wanted: str) -> None:
    models = ("anthropic/claude-opus-4.5", "openai/gpt-4o", "llama3:latest")
    with pytest.raises(ModelUnavailable):
        on_server(wanted, Server(ADDRESS, models=models))


def test_the_only_model_needs_no_name() -> None:
    reference = on_server("auto", Server(ADDRESS, models=("rishanthrajendhran/POLARIS-9B",)))
    assert (reference.name, reference.id) == ("polaris", "rishanthrajendhran/POLARIS-9B")


@pytest.mark.parametrize(
    ("wanted", "models", "told"),
    [
        ("auto", MODELS, "--model owner/Qwen3.5-9B-AWQ"),
        ("auto", (), "--model ID"),
        ("llama-2", MODELS, "Did you mean --model llama-3"),
        ("zzzz", MODELS, "It has: owner/Qwen3.5-9B-AWQ"),
    ],
)
def test_a_model_that_is_not_there_gets_a_hint(
    wanted: str, models: tuple[str, ...], told: str
) -> None:
    with pytest.raises(ModelUnavailable) as refused:
        choose_model(Server(ADDRESS, models=models), wanted)
    assert told in refused.value.hint


@pytest.mark.parametrize(
    ("wanted", "models", "found"),
    [
        ("Qwen/Qwen3.5-9B", ("Qwen/Qwen3.5-9B-Base", "Qwen/Qwen3.5-9B"), "Qwen/Qwen3.5-9B"),
        ("Qwen/Qwen3.5-9B", ("qwen/qwen3.5-9b:free", "qwen/qwen3.5-9b"), "qwen/qwen3.5-9b"),
        ("Qwen/Qwen3.5-9B", ("Qwen3.5-9B-Base", "Qwen3.5-9B"), "Qwen3.5-9B"),
        ("base", ("Qwen/Qwen3.5-9B-Base", "other/base", "Qwen/Qwen3.5-9B"), "Qwen/Qwen3.5-9B"),
        ("base", ("Qwen/Qwen3.5-9B", "base"), "base"),
        ("Qwen/Qwen3.5-9B", ("llama-3", "base"), "base"),
    ],
)
def test_a_known_model_is_told_from_those_that_begin_like_it(
    wanted: str, models: tuple[str, ...], found: str
) -> None:
    reference = on_server(wanted, Server(ADDRESS, models=models))
    assert (reference.id, reference.name) == (found, "base")


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        ("a/b", "a/b"),
        ("qwen/qwen3.5-9b", "qwen/qwen3.5-9b"),
        ("base", "Qwen/Qwen3.5-9B"),
        ("demo", "demo"),
        ("gpt-5", "gpt-5"),
    ],
)
def test_a_server_that_loads_what_it_is_asked_for_is_asked_for_an_id(
    wanted: str, asked: str
) -> None:
    assert on_server(wanted, Server(ADDRESS)).id == asked
    assert on_server(wanted, Server(ADDRESS, "transformers", models=("a/c",))).id == asked


def test_the_context_is_the_smallest_that_is_known() -> None:
    server = Server(ADDRESS, models=("smollm2",), contexts={"smollm2": 8192}, context=2048)
    assert on_server("auto", server).profile.context == 2048
