"""HTTP to an OpenAI-compatible server: `Connection`, over httpx2.

Turns every fault of the network or the server into one error with a hint. Does not know what is
asked of the server. httpx2 is imported only when a connection is made; the openai client, which is
built on it, would take half a second more, and hides how a stream has ended.
"""

import json
import logging
import math
import os
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import cache
from io import IncrementalNewlineDecoder
from itertools import chain
from socket import SHUT_RDWR
from threading import Timer
from typing import Any

from polaris_cli.errors import EndpointError, UsageError
from polaris_cli.models.shapes import Shape, fits
from polaris_cli.request.server_address import EXAMPLE, ServerAddress

KEY_VARIABLES = ("POLARIS_API_KEY", "OPENAI_API_KEY")
PROXIES = ("all_proxy", "https_proxy", "http_proxy")  # variables, in any case
RETRIES = 3
RETRIED = {408, 409, 429, *range(500, 600)} - {501}  # HTTP statuses
MOST_WAIT = 120.0  # seconds; a server that names a longer wait is not waited for
LAST = 3.0  # seconds; servers send the usage and [DONE] at once after the finish reason
LATER = "Try again later."
QUOTED = 200  # characters of a server's own words in a message

DONE: dict[str, Any] = {}
"""Stands for the line [DONE], with which most servers end a stream."""

BROKEN_OFF = {"abort", "error", "insufficient_system_resource", "network_error"}
"""Finish reasons of an answer that the server has given up: those of vLLM, SGLang, OpenRouter,
DeepSeek and Z.ai."""

OTHER_FIELDS = {"", "event", "id", "retry"}  # of server-sent events; "" is a comment

Json = Mapping[str, Any]


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
def _certificates(trust_environment: bool) -> Any:
    """The certificates that servers are checked by. Raises UsageError if they cannot be read."""
    from httpx2 import create_ssl_context

    try:
        return create_ssl_context(trust_env=trust_environment)
    except OSError as error:
        raise UsageError(
            f"The certificates of servers cannot be read: {error.strerror or error}.",
            hint="Correct SSL_CERT_FILE and SSL_CERT_DIR, or: unset SSL_CERT_FILE SSL_CERT_DIR",
        ) from error


def _proxy_variables() -> list[str]:
    return [name for name, value in os.environ.items() if value and name.casefold() in PROXIES]


@contextmanager
def _proxy_errors() -> Iterator[None]:
    """Turn the exceptions for a proxy of the environment into UsageError, without its password."""
    from httpx2 import InvalidURL

    names = _proxy_variables()
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


class Connection:
    """A connection to one server. Paths that start with / are the server's own, others the API's.

    `key` is kept here alone, and is in no message. A request that may succeed later (the connection
    is refused, 429, 5xx) is repeated up to `retries` times, but never after its answer has begun.
    Every method raises EndpointError, and the constructor UsageError for the environment's proxy
    or certificates.
    """

    def __init__(
        self, address: ServerAddress, key: str | None = None, retries: int = RETRIES
    ) -> None:
        from httpx2 import Client, Limits, Timeout

        # A proxy of the environment must not stand between two programs of one machine.
        trusting = not address.is_loopback
        self.address = address
        self._key, self._retries = key, retries
        certificates = _certificates(trusting)
        with _proxy_errors():
            self._client = Client(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=Timeout(address.stall_timeout, connect=address.connect_timeout),
                limits=Limits(),  # none: a story beyond a limit would wait, and count as stalled
                follow_redirects=True,
                verify=certificates,
                trust_env=trusting,
            )

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return self._json("GET", path)

    def text(self, path: str) -> str:
        """The text at a path."""
        return str(self._read("GET", path).text)

    def post(self, path: str, body: Json) -> Any:
        """The JSON that answers a JSON body."""
        return self._json("POST", path, body)

    def value(self, path: str, body: Json, name: str, shape: Shape) -> Any:
        """One value of the JSON object that answers a JSON body, of the shape that it must have."""
        answer = self.post(path, body)
        value = answer.get(name) if isinstance(answer, dict) else None
        if not fits(value, shape):
            raise self.unreadable(answer)
        return value

    def events(
        self, path: str, body: Json, shape: Shape, ends: Callable[[Json], bool] = lambda _: False
    ) -> Generator[dict[str, Any], None, None]:
        """Yield the events of a streamed answer as JSON objects, and `DONE` for its end mark.

        Each has the `shape` that is read. After one that `ends` the answer, nothing is missing: no
        error is raised, and each further event is waited for `LAST` seconds at most.

        Closing the generator closes the connection, which ends the work of a server that notices.
        """
        response = self._sent("POST", path, {**body, "stream": True})
        response.encoding = "utf-8-sig"  # whatever its header says; it may start with a mark
        ended = False
        try:
            with self._errors(begun=True):
                events = self._parsed(lines_of(response.iter_text()), shape)
                for event in events:
                    yield event
                    if ended := ends(event):
                        break
                while ended and (later := _next(events, response)) is not None:
                    yield later
        except EndpointError:
            if not ended:
                raise
        finally:
            response.close()

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Inside `with`, wait for each part of an answer no longer than this."""
        from httpx2 import Timeout

        usual, connect = self._client.timeout, self.address.connect_timeout
        self._client.timeout = Timeout(min(seconds, self.address.stall_timeout), connect=connect)
        try:
            yield
        finally:
            self._client.timeout = usual

    def close(self) -> None:
        """Close all connections to the server."""
        self._client.close()

    def _json(self, method: str, path: str, body: Json | None = None) -> Any:
        response = self._read(method, path, body)
        with self._errors():
            return response.json()

    def _read(self, method: str, path: str, body: Json | None = None) -> Any:
        """The response to a request, with its body."""
        response = self._sent(method, path, body)
        try:
            with self._errors():
                response.read()
                return response
        finally:
            response.close()

    def _sent(self, method: str, path: str, body: Json | None) -> Any:
        """The response to a request, its body not read yet; the request is repeated if it helps."""
        import stamina

        logging.getLogger("stamina").disabled = True  # it would log each retry to stderr
        url = self.address.root + path if path[0] == "/" else f"{self.address.base_url}/{path}"
        with self._errors():
            request = self._client.build_request(method, url, json=body)
        attempts = stamina.retry_context(
            on=_wait_before_retry, attempts=self._retries + 1, timeout=None, wait_initial=0.5
        )
        for attempt in attempts:
            with attempt, self._errors():
                response = self._client.send(request, stream=True)
                if response.request.method != method:
                    raise self._moved(response, path)
                if response.status_code >= 400:
                    response.read()
                    raise self._refusal(response)
                return response
        raise AssertionError("the last attempt returns or raises")

    def _parsed(self, lines: Iterator[str], shape: Shape) -> Iterator[dict[str, Any]]:
        """The objects in a stream of server-sent events, or a whole answer.

        Raises EndpointError for an error among them, for anything that is no such stream, and where
        comments are all that comes for as long as a silence may last.
        """
        last = time.monotonic()
        for event in _values(lines):
            if event is None:
                if time.monotonic() - last > self.address.stall_timeout:
                    raise self._stalled("no text")
                continue
            if isinstance(event, dict) and (event.get("error") or event.get("object") == "error"):
                raise self.stopped(event)
            if not fits(event, shape):
                raise self.unreadable(event)
            yield event
            last = time.monotonic()

    def unreadable(self, answer: object) -> EndpointError:
        """The error for an answer that is not what an OpenAI-compatible server sends."""
        return EndpointError(
            f"{self.address.base_url} does not answer as an OpenAI-compatible server does: "
            f"{self._quoted(str(answer))}",
            hint="Check the address: polaris doctor --base-url URL",
        )

    def cut_off(self) -> EndpointError:
        """The error for an answer that ends without a finish reason."""
        return self._no_connection("it ended before the answer did", begun=True)

    @contextmanager
    def _errors(self, *, begun: bool = False) -> Iterator[None]:
        """Turn the exceptions of the client into EndpointError; `begun` once the answer has."""
        import httpx2

        try:
            yield
        except httpx2.ConnectTimeout as error:
            seconds = f"no answer in {self.address.connect_timeout:g} s"
            raise self._no_connection(seconds) from error
        except httpx2.TimeoutException as error:
            raise self._stalled("nothing") from error
        except httpx2.InvalidURL as error:  # a host that no name server can know
            raise UsageError(
                "The base URL is not an address of a server.", hint=f"Give one: {EXAMPLE}"
            ) from error
        except httpx2.TooManyRedirects as error:
            raise EndpointError(
                f"{self.address.base_url} redirects in a circle.",
                hint="Check the address: --base-url URL",
            ) from error
        except (httpx2.RequestError, httpx2.StreamError) as error:
            raise self._no_connection(error, begun=begun) from error
        except (ValueError, RecursionError) as error:  # it is not JSON, or not even UTF-8
            raise self.unreadable(getattr(error, "doc", error)) from error

    def stopped(self, error: object) -> EndpointError:
        """The error for an answer that the server ends with an error, or a reason that is one."""
        return EndpointError(
            f"The server stopped with an error: {self._quoted(_words_of(error))}",
            hint=LATER,
        )

    def _refusal(self, response: Any) -> EndpointError:
        status = response.status_code
        try:
            words = _words_of(response.json())
        except (ValueError, RecursionError):
            words = response.reason_phrase
        told = self._quoted(words or "it does not say why")
        wait = _named_wait(response.headers) if status in RETRIED else None
        return EndpointError(
            f"The server refused the request ({status}): {told}",
            hint=_what_to_do(status, wait or 0.0),
            status=status,
            retry_in=wait,
            words=words,
        )

    def _moved(self, response: Any, path: str) -> EndpointError:
        """The error for a redirect that makes a GET of a POST, without its body: 301 and 302."""
        response.close()
        api = self.address.base_url.removeprefix(self.address.root) if path[0] == "/" else ""
        url = str(response.url).removesuffix(path).rstrip("/") + api
        return EndpointError(
            f"The server redirects to {self._quoted(url)}",
            hint=f"Use that address: --base-url {url}",
        )

    def _quoted(self, text: str) -> str:
        """The text on one line, shortened, ending like a sentence, and without the key."""
        line = " ".join(self._without_key(text).split())
        line = f"{line[:QUOTED]}…" if len(line) > QUOTED else line
        return line if line.endswith((".", "!", "?", "…")) else f"{line}."

    def _without_key(self, text: str) -> str:
        """The text without the key, also where it is escaped or its white space is another."""
        letters = re.findall(r"[^\\\s]", self._key or "")
        return re.sub(r"[\\\s]*".join(map(re.escape, letters)), "…", text) if letters else text

    def _stalled(self, what: str) -> EndpointError:
        return EndpointError(
            f"{self.address.base_url} has sent {what} for {self.address.stall_timeout:g} s.",
            hint="Wait longer: --stall-timeout SECONDS",
        )

    def _no_connection(self, reason: object, *, begun: bool = False) -> EndpointError:
        if begun:
            return EndpointError(
                f"The connection to {self.address.base_url} broke off: {self._quoted(str(reason))}",
                hint=LATER,
            )
        names = [] if self.address.is_loopback else _proxy_variables()
        proxy = f", or the proxy in {' or '.join(names)}" if names else ""
        return EndpointError(
            f"No server answers at {self.address.base_url}: {self._quoted(str(reason))}",
            hint=f"Start it, or check the address: --base-url URL{proxy}",
            retry_in=0,
        )


def _next(events: Iterator[dict[str, Any]], response: Any) -> dict[str, Any] | None:
    """The next event, None if there is none; hangs up after `LAST` seconds, which ends the wait."""
    timer = Timer(LAST, _hang_up, [response])
    timer.daemon = True
    timer.start()
    try:
        return next(events, None)
    finally:
        timer.cancel()


def _hang_up(response: Any) -> None:
    with suppress(OSError):  # it has ended by itself
        response.extensions["network_stream"].get_extra_info("socket").shutdown(SHUT_RDWR)


def lines_of(texts: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in parts; they end with CR LF, LF or CR.

    For httpx2, lines also end with U+2028 and others that JSON may have inside a string.
    """
    ends, line = IncrementalNewlineDecoder(None, translate=True), list[str]()
    for text in texts:
        first, *more = ends.decode(text).split("\n")
        line.append(first)
        for start in more:
            yield "".join(line)
            line = [start]
    yield "".join(line)


def _values(lines: Iterator[str]) -> Iterator[Any]:
    """The JSON values in the lines of a stream, up to and with `DONE`; None for a line without one.

    A value may have several lines of data, or of text that is no field, as in a whole answer that
    is indented. An empty line ends it. One of an event with the name "error" comes as an `error`.
    Raises ValueError for what is no JSON.
    """
    held, failed = "", False
    for line in chain(lines, [""]):
        field, _, value = line.partition(":")
        failed = failed or (field == "event" and value.strip() == "error")
        if field not in OTHER_FIELDS:
            held += f"{value if field == 'data' else line}\n"
        if not held.strip():
            yield None
        elif held.strip() == "[DONE]":
            yield DONE
            return
        elif found := _complete(held, last=not line):
            yield {"error": found[0]} if failed else found[0]
            held, failed = "", False


def _complete(text: str, *, last: bool) -> tuple[Any, ...]:
    """The JSON value of a text, () if there may be more of it; raises ValueError if not."""
    try:
        return (json.loads(text),)
    except ValueError:
        if last:
            raise
        return ()


def _wait_before_retry(error: Exception) -> bool | float:
    """Whether to repeat a request after this error, or the seconds to wait before it."""
    wait = error.retry_in if isinstance(error, EndpointError) else None
    if wait is None or wait > MOST_WAIT:
        return False
    return wait or True


def _named_wait(headers: Mapping[str, str]) -> float:
    """The seconds in a Retry-After header, which has a number or a date; 0 if it has neither."""
    named, seconds = headers.get("retry-after", ""), 0.0
    with suppress(ValueError, OverflowError):
        seconds = parsedate_to_datetime(named).timestamp() - time.time()
    with suppress(ValueError):
        seconds = float(named)
    return seconds if seconds > 0 else 0.0  # nan is not


def _what_to_do(status: int, wait: float) -> str:
    """A hint to a refusal; `wait` is the number of seconds that the server named, 0 if none."""
    if status in (401, 403):
        return "Put the server's key into POLARIS_API_KEY, or name its variable: --api-key-env NAME"
    if status == 404:
        return "Check the address and the model: polaris doctor --base-url URL"
    if status == 429 or status >= 500:
        return f"Try again in {wait:,.0f} s." if 1 <= wait < math.inf else LATER
    return "See what the server can do: polaris doctor --base-url URL"


def _words_of(body: object) -> str:
    """What a server says about an error: OpenAI's, pydantic's and FastAPI's shapes are known.

    OpenAI may name the field apart, and OpenRouter adds what its provider says, as JSON or text.
    """
    if isinstance(body, dict):
        inner = body.get("error") or body.get("message") or body.get("detail")
        words = _words_of(inner) if inner else json.dumps(body)
        if isinstance(name := body.get("param"), str) and name not in words:
            words = f"{words.rstrip('.')}: {name}"
        raw = metadata.get("raw") if isinstance(metadata := body.get("metadata"), dict) else None
        return f"{words.rstrip('.')}: {_words_of(_read(raw))}" if raw else words
    if isinstance(body, list):
        return "; ".join(map(_words_of_item, body))
    return str(body or "")


def _read(text: object) -> object:
    """The value of a text that is JSON; anything else as it is."""
    with suppress(ValueError, RecursionError):
        return json.loads(text) if isinstance(text, str) else text
    return text


def _words_of_item(item: object) -> str:
    """One item of a list of validation errors: where it is and what is wrong."""
    if isinstance(item, dict) and "msg" in item:
        loc = item.get("loc")
        parts = loc if isinstance(loc, list) else ()
        place = ".".join(str(part) for part in parts if part != "body")
        return f"{place}: {item['msg']}" if place else str(item["msg"])
    return _words_of(item)
