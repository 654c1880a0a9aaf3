"""HTTP to an OpenAI-compatible server: `Connection`, over httpx2.

Turns every fault of the network or the server into one error with a hint. Does not know what is
asked of the server. httpx2 is imported only when a connection is made; the openai client, which is
built on it, would take half a second more, and hides how a stream has ended.
"""

import logging
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR
from threading import Timer
from typing import Any

from polaris_cli.errors import EndpointError, UsageError
from polaris_cli.models.refusals import (
    LATER,
    named_wait,
    wait_before_retry,
    what_to_do,
    words_of,
)
from polaris_cli.models.server_environment import certificates, proxy_errors, proxy_variables
from polaris_cli.models.server_events import lines_of, values_in
from polaris_cli.models.shapes import Shape, fits
from polaris_cli.request.server_address import EXAMPLE, ServerAddress

RETRIES = 3
LAST = 3.0  # seconds; servers send the usage and [DONE] at once after the finish reason
RETRIED = {408, 409, 429, *range(500, 600)} - {501}  # HTTP statuses
QUOTED = 200  # characters of a server's own words in a message

Json = Mapping[str, Any]


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
        trusted = certificates(trusting)
        with proxy_errors():
            self._client = Client(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=Timeout(address.stall_timeout, connect=address.connect_timeout),
                limits=Limits(),  # none: a story beyond a limit would wait, and count as stalled
                follow_redirects=True,
                verify=trusted,
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
            on=wait_before_retry, attempts=self._retries + 1, timeout=None, wait_initial=0.5
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
        for event in values_in(lines):
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
        told = str(answer).strip() or "the answer is empty"
        return EndpointError(
            f"{self.address.base_url} does not answer as an OpenAI-compatible server does: "
            f"{self._quoted(told)}",
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
            f"The server stopped with an error: {self._quoted(words_of(error))}",
            hint=LATER,
        )

    def _refusal(self, response: Any) -> EndpointError:
        status = response.status_code
        try:
            words = words_of(response.json())
        except (ValueError, RecursionError):
            words = response.reason_phrase
        told = self._quoted(words or "it does not say why")
        wait = named_wait(response.headers) if status in RETRIED else None
        return EndpointError(
            f"The server refused the request ({status}): {told}",
            hint=what_to_do(status, wait or 0.0),
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
        names = [] if self.address.is_loopback else proxy_variables()
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
