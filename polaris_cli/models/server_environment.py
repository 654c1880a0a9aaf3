"""What the environment says for servers: the key, the proxies and the certificates.

A mistake there becomes a UsageError with a hint, without any password. Does not know how a request
is sent (`connection`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from polaris_cli.errors import UsageError
from polaris_cli.request.server_address import ServerAddress

KEY_VARIABLES = ("POLARIS_API_KEY", "OPENAI_API_KEY")
PROXIES = ("all_proxy", "https_proxy", "http_proxy")  # variables, in any case


def key_of(address: ServerAddress) -> str | None:
    """The key in the environment; None if there is none.

    OPENAI_API_KEY is not sent to a server on this machine: it is meant for another. Raises
    UsageError if a named variable is not set, or if a key cannot be sent.
    """
    if name := address.api_key_env:
        key = _key_in(name)
        if not key:
            raise UsageError(
                f"The variable {name} that --api-key-env names is not set.",
                hint=f"export {name}=...",
            )
        return key
    names = KEY_VARIABLES[:1] if address.is_loopback else KEY_VARIABLES
    return next(filter(None, map(_key_in, names)), None)


def _key_in(variable: str) -> str:
    """The key in a variable, "" if there is none; a file with CR LF leaves a CR at its end.

    Raises UsageError, without the key, for characters that an HTTP header cannot have.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            f"The key in {variable} contains a character that no key has, such as a line break.",
            hint=f"Set it again: export {variable}=...",
        )
    return key


@cache  # reading them takes 20 ms
def certificates(trust_environment: bool) -> Any:
    """The certificates that servers are checked by. Raises UsageError if they cannot be read."""
    from httpx2 import create_ssl_context

    try:
        return create_ssl_context(trust_env=trust_environment)
    except OSError as error:
        raise UsageError(
            f"The certificates of servers cannot be read: {error.strerror or error}.",
            hint="Correct SSL_CERT_FILE and SSL_CERT_DIR, or: unset SSL_CERT_FILE SSL_CERT_DIR",
        ) from error


def proxy_variables() -> list[str]:
    """The names of the variables that set a proxy."""
    return [name for name, value in os.environ.items() if value and name.casefold() in PROXIES]


@contextmanager
def proxy_errors() -> Iterator[None]:
    """Turn the exceptions for a proxy of the environment into UsageError, without its password."""
    from httpx2 import InvalidURL

    names = proxy_variables()
    proxy, unset = f"proxy in {' or '.join(names)}", f"unset {' '.join(names)}"
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"The {proxy} needs the package socksio, which is not installed.",
            hint=f"pip install socksio, or: {unset}",
        ) from error
    except (ValueError, InvalidURL):
        raise UsageError(
            f"The {proxy} is not an address with http, https or socks5.",
            hint=f"Give one such as http://HOST:3128, or: {unset}",
        ) from None
