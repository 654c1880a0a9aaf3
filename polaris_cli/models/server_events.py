"""Reads the lines of a stream of server-sent events, or of a whole answer, as JSON values.

Does not know what a server is asked, nor what the values mean (`connection`, the engines).
"""

import json
from collections.abc import Iterable, Iterator
from io import IncrementalNewlineDecoder
from itertools import chain
from typing import Any

DONE: dict[str, Any] = {}
"""Stands for the line [DONE], with which most servers end a stream."""

BROKEN_OFF = {"abort", "error", "insufficient_system_resource", "network_error"}
"""Finish reasons of an answer that the server has given up: those of vLLM, SGLang, OpenRouter,
DeepSeek and Z.ai."""

OTHER_FIELDS = {"", "event", "id", "retry"}  # of server-sent events; "" is a comment


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


def values_in(lines: Iterator[str]) -> Iterator[Any]:
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
