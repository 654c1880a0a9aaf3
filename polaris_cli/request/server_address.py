"""The address of an OpenAI-compatible server, checked once: `ServerAddress`.

Knows URLs and the names of environment variables; connects to nothing and reads no key.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from polaris_cli.errors import UsageError, WrongValue

CONNECT_TIMEOUT = 10.0  # seconds
STALL_TIMEOUT = 300.0  # seconds; a long prompt takes minutes on a CPU
EXAMPLE = "--base-url http://127.0.0.1:8000/v1"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is, and how long to wait for it.

    `base_url` is the URL of its OpenAI API, as http://host:8000/v1. `api_key_env` names the
    environment variable that holds the key (None: POLARIS_API_KEY, else OPENAI_API_KEY); the key
    itself is stored nowhere. `connect_timeout` is in seconds, `stall_timeout` the longest silence
    between two pieces of an answer.
    """

    base_url: str
    api_key_env: str | None = None
    connect_timeout: float = CONNECT_TIMEOUT
    stall_timeout: float = STALL_TIMEOUT

    def __post_init__(self) -> None:
        """Raise UsageError for anything that is no address of a server."""
        object.__setattr__(self, "base_url", _checked(self.base_url))
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            raise UsageError(
                "--api-key-env takes the name of an environment variable, not the key itself.",
                hint="export MY_KEY=..., then: --api-key-env MY_KEY",
            )
        for name in ("connect_timeout", "stall_timeout"):
            seconds = getattr(self, name)
            if not 0 < seconds <= 86_400:
                raise WrongValue(name, f"{seconds:g}", "be above 0, at most 86,400 seconds", "60")

    @property
    def root(self) -> str:
        """The URL without the /v1 at its end, where a server's own paths begin."""
        return self.base_url.removesuffix("/v1")

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine; 0.0.0.0, which servers print, is here too."""
        host = urlsplit(self.base_url).hostname or ""
        with suppress(ValueError):
            address = ip_address(host)
            return address.is_loopback or address.is_unspecified
        return host == "localhost"


def _checked(url: str) -> str:
    """The URL with its scheme and without a slash at its end."""
    url = url.strip()
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # UnicodeError for what no name server can know
    except ValueError:
        valid = False
    if not valid or re.search(r"\s", url):
        raise UsageError("The base URL is not an address of a server.", hint=f"Give one: {EXAMPLE}")
    if "@" in parts.netloc:  # it would end up in the library and in error messages
        raise UsageError(
            "The base URL contains a user name or a password.",
            hint="Leave it out, and put the key into POLARIS_API_KEY or --api-key-env NAME.",
        )
    if parts.query or parts.fragment:
        raise UsageError("The base URL has a ? or # part.", hint=f"Leave it out: {EXAMPLE}")
    url = url.rstrip("/")
    return url if parts.path.strip("/") else f"{url}/v1"
