"""The address of a server: what is accepted, what is refused, and that no secret is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.errors import UsageError
from polaris_cli.request.server_address import ServerAddress
from polaris_cli.request.settings import Setting, merge, server_address


@pytest.mark.parametrize(
    ("given", "base_url", "root"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("http://host:8000/", "http://host:8000/v1", "http://host:8000"),
        (" https://host/v1/ ", "https://host/v1", "https://host"),
        ("https://host/api/v1", "https://host/api/v1", "https://host/api"),
        ("https://host/v1beta/openai", "https://host/v1beta/openai", "https://host/v1beta/openai"),
        ("[::1]:8000", "http://[::1]:8000/v1", "http://[::1]:8000"),
    ],
)
def test_an_address_is_completed(given: str, base_url: str, root: str) -> None:
    address = ServerAddress(given)
    assert (address.base_url, address.root) == (base_url, root)
    assert ServerAddress(address.base_url) == address


@pytest.mark.parametrize(
    "url",
    [
        "", "http://", "ftp://host", "http://host:99999", "http://host:0", "http://ho st",
        "http://user:secret@host", "http://secret@host", "http://host?key=secret", "http://host#a",
        "http://a..b/v1",
    ],
)  # fmt: skip
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        ServerAddress(url)
    assert "secret" not in refused.value.message + refused.value.hint
    assert refused.value.hint


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(url: str) -> None:
    try:
        assert ServerAddress(ServerAddress(url).base_url).base_url
    except UsageError as refused:
        assert refused.hint


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("127.1.2.3", True), ("[::1]", True),
     ("0.0.0.0", True), ("127.example.org", False), ("10.0.0.1", False),
     ("localhost.example.org", False)],
)  # fmt: skip
def test_loopback_is_this_machine(host: str, loopback: bool) -> None:
    assert ServerAddress(f"http://{host}:8000").is_loopback == loopback


@pytest.mark.parametrize(
    "wrong",
    [{"api_key_env": "sk-123456"}, {"connect_timeout": 0.0}, {"stall_timeout": float("nan")}],
)
def test_other_values_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        ServerAddress("http://host", **wrong)  # type: ignore[arg-type]
    assert "sk-123456" not in refused.value.message + refused.value.hint


URL = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("option", "environment", "engine"),
    [
        ({"base_url": URL}, {}, "endpoint"),
        ({"base_url": URL, "engine": "auto"}, {}, "endpoint"),
        ({}, {"base_url": URL}, None),
        ({"engine": "local"}, {"base_url": URL}, "local"),
        ({"engine": "endpoint"}, {"base_url": URL}, "endpoint"),
        ({}, {"base_url": URL, "engine": "endpoint"}, "endpoint"),
        ({"engine": "gguf"}, {"base_url": URL, "engine": "endpoint"}, "gguf"),
    ],
)
def test_only_an_option_implies_the_engine(
    option: dict[str, object], environment: dict[str, object], engine: str | None
) -> None:
    merged = merge([("option", option), ("environment", environment)])
    assert merged.get("engine", Setting(None, "")).value == engine
    assert (server_address(merged) is not None) == (engine == "endpoint")


def test_an_address_for_an_engine_without_a_server_is_refused() -> None:
    merged = merge([("option", {"base_url": URL, "engine": "local"})])
    with pytest.raises(UsageError, match="the engine local uses no server"):
        server_address(merged)
