"""How many answers come at once, what a server names, and a wrong environment."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from polaris_cli.errors import EndpointError, UsageError
from polaris_cli.models.connection import Connection
from polaris_cli.models.server_environment import certificates
from polaris_cli.request.server_address import ServerAddress
from tests.servers.faulty import Faulty
from tests.servers.replies import (
    CLOSE,
    STALL,
    Script,
    delta,
    error,
    event,
    redirected,
    refused,
    said,
    streamed,
)


def test_any_number_of_answers_comes_at_once() -> None:
    with Faulty(streamed([delta("Once"), STALL])) as server:
        connection = Connection(ServerAddress(server.url, stall_timeout=2))
        answers = [connection.events("chat/completions", {}, dict) for _ in range(101)]
        assert all(map(next, answers))
        connection.close()


@pytest.mark.parametrize(
    ("named", "hint"), [("600", "in 600 s"), ("inf", "later"), ("0.1", "later"), ("", "later")]
)
def test_a_wait_that_the_server_names_is_told(named: str, hint: str) -> None:
    with Faulty(refused(429, headers={"Retry-After": named})) as server:
        connection = Connection(ServerAddress(server.url), retries=0)
        with pytest.raises(EndpointError) as error:
            connection.post("chat/completions", {})
    assert error.value.hint == f"Try again {hint}."


BROKEN: dict[str, Script] = {
    "refused": refused(500),
    "cut off": streamed([delta("Once"), CLOSE])[:-1],
    "an error": streamed([event(error("full"))]),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_a_connection_knows_of_no_story_that_could_go_on(script: Script) -> None:
    with Faulty(script) as server, pytest.raises(EndpointError) as broken:
        connection = Connection(ServerAddress(server.url), retries=0)
        [*connection.events("chat/completions", {}, dict)]
    assert broken.value.hint == "Try again later."


@pytest.mark.parametrize("told", [{"message": "full"}, {"error": {"message": "full"}}, "full"])
def test_an_event_named_error_is_one(told: object) -> None:
    script = streamed([delta("Once"), b"event: error\n" + event(told)])
    with Faulty(script) as server, pytest.raises(EndpointError, match=r"an error: full\."):
        [*Connection(ServerAddress(server.url)).events("chat/completions", {}, dict)]


@pytest.mark.parametrize("path", ["/tokenize", "chat/completions"])
def test_a_redirect_is_told_with_the_path_of_the_api(path: str) -> None:
    moved = f"/new/{path.strip('/')}" if path[0] == "/" else f"/new/v1/{path}"
    asked = path if path[0] == "/" else f"/v1/{path}"
    with Faulty(routes={asked: redirected(301, moved), moved: said({})}) as server:
        with pytest.raises(EndpointError) as told:
            Connection(ServerAddress(server.url)).post(path, {})
        assert told.value.hint == f"Use that address: --base-url {server.url}/new/v1"


AWAY = ServerAddress("https://example.org/v1")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment without a proxy and certificates of its own."""
    certificates.cache_clear()
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield monkeypatch
    certificates.cache_clear()


@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    "proxy", ["socks://me:secret@host:1080", "ftp://me:secret@host", "http://me:secret@host\x07"]
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    name: str, proxy: str, plain: pytest.MonkeyPatch
) -> None:
    plain.setenv(name, proxy)
    with pytest.raises(UsageError) as refused:
        Connection(AWAY)
    assert name in refused.value.message and f"unset {name}" in refused.value.hint
    assert "secret" not in f"{refused.value.message} {refused.value.hint}"


@pytest.mark.skipif(find_spec("socksio") is not None, reason="socksio is installed")
def test_a_socks_proxy_without_its_package(plain: pytest.MonkeyPatch) -> None:
    plain.setenv("ALL_PROXY", "socks5://host:1080")
    with pytest.raises(UsageError, match="ALL_PROXY needs the package socksio") as refused:
        Connection(AWAY)
    assert "pip install socksio" in refused.value.hint


def test_the_hint_names_a_proxy_that_may_be_the_reason(plain: pytest.MonkeyPatch) -> None:
    plain.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    connection = Connection(ServerAddress("http://example.org/v1"), retries=0)
    with pytest.raises(EndpointError) as gone:
        connection.get("models")
    assert gone.value.hint.endswith("or the proxy in HTTP_PROXY")


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def testcertificates_that_cannot_be_read(
    content: str | None, plain: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "certificates.pem"
    if content is not None:
        file.write_text(content)
    plain.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(UsageError, match="certificates") as refused:
        Connection(AWAY)
    assert "unset SSL_CERT_FILE" in refused.value.hint
    Connection(ServerAddress("http://127.0.0.1:9")).close()
