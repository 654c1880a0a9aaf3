"""What a server says when it refuses a request: its words, how long to wait, and what to do.

Does not know how a request is sent (`connection`).
"""

import json
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

from polaris_cli.errors import EndpointError

MOST_WAIT = 120.0  # seconds; a server that names a longer wait is not waited for
LATER = "Try again later."


def wait_before_retry(error: Exception) -> bool | float:
    """Whether to repeat a request after this error, or the seconds to wait before it."""
    wait = error.retry_in if isinstance(error, EndpointError) else None
    if wait is None or wait > MOST_WAIT:
        return False
    return wait or True


def named_wait(headers: Mapping[str, str]) -> float:
    """The seconds in a Retry-After header, which has a number or a date; 0 if it has neither."""
    named, seconds = headers.get("retry-after", ""), 0.0
    with suppress(ValueError, OverflowError):
        seconds = parsedate_to_datetime(named).timestamp() - time.time()
    with suppress(ValueError):
        seconds = float(named)
    return seconds if seconds > 0 else 0.0  # nan is not


def what_to_do(status: int, wait: float) -> str:
    """A hint to a refusal; `wait` is the number of seconds that the server named, 0 if none."""
    if status in (401, 403):
        return "Put the server's key into POLARIS_API_KEY, or name its variable: --api-key-env NAME"
    if status == 404:
        return "Check the address and the model: polaris doctor --base-url URL"
    if status == 429 or status >= 500:
        return f"Try again in {wait:,.0f} s." if 1 <= wait < math.inf else LATER
    return "See what the server can do: polaris doctor --base-url URL"


def words_of(body: object) -> str:
    """What a server says about an error: OpenAI's, pydantic's and FastAPI's shapes are known.

    OpenAI may name the field apart, and OpenRouter adds what its provider says, as JSON or text.
    """
    if isinstance(body, dict):
        inner = body.get("error") or body.get("message") or body.get("detail")
        words = words_of(inner) if inner else json.dumps(body)
        if isinstance(name := body.get("param"), str) and name not in words:
            words = f"{words.rstrip('.')}: {name}"
        raw = metadata.get("raw") if isinstance(metadata := body.get("metadata"), dict) else None
        return f"{words.rstrip('.')}: {words_of(_read(raw))}" if raw else words
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
    return words_of(item)
