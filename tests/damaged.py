"""JSON with wrong values: `changed`."""

from collections.abc import Iterator
from typing import Any


def changed(value: Any, other: object) -> Iterator[Any]:
    """The value with each of its parts, and itself, replaced by another."""
    yield other
    parts = dict(enumerate(value)) if isinstance(value, list) else value
    for place, part in parts.items() if isinstance(parts, dict) else ():
        for new in changed(part, other):
            copy = value.copy()
            copy[place] = new
            yield copy
