"""Converts events to rows of the table `part` and back: `to_row`, `from_row`.

A row has a kind, a text, a number (of tokens, or of the chapter or restart), token ids and their
log-probabilities, as far as they are known. Does not know SQL.
"""

import struct

from polaris_cli.events import ChapterStart, Chunk, Event, Inserted, Restart

# The ids are 32-bit unsigned integers, the log-probabilities 32-bit floats, both little-endian.
Row = tuple[str, str, int, bytes, bytes]

LARGEST = 3e38  # that 32-bit floats have
LARGEST_ID = 2**32 - 1


def to_row(event: Event) -> Row | None:
    """The row of an event; None for an event that is not stored as a part."""
    match event:
        case Chunk():
            ids, log_probs = _bytes(event.ids), _floats(event.log_probs)
            return event.kind, event.text, event.tokens, ids, log_probs
        case Inserted():
            return event.kind, event.text, 0, _bytes(event.ids), b""
        case ChapterStart():
            return "chapter", event.title, event.number, b"", b""
        case Restart():
            return "restart", "", event.attempt, b"", b""
    return None


def from_row(row: Row) -> Event:
    """The event of a row. A row of any other kind, such as "held", is story text."""
    kind, text, number, ids, log_probs = row
    known = struct.unpack(f"<{len(log_probs) // 4}f", log_probs)
    match kind:
        case "chapter":
            return ChapterStart(number, text)
        case "restart":
            return Restart(number)
        case "draft" | "heading" | "scene break" | "ending":
            return Inserted(kind, text, _ids(ids))
        case "thinking" | "plan" | "aside":
            return Chunk(kind, text, number, _ids(ids), known)
    return Chunk("story", text, number, _ids(ids), known)


def _bytes(ids: tuple[int, ...]) -> bytes:
    # A server may send any number, here and below; one that does not fit must not cost the text.
    fitting = [id_ for id_ in ids if 0 <= id_ <= LARGEST_ID]
    return struct.pack(f"<{len(fitting)}I", *fitting)


def _floats(numbers: tuple[float, ...]) -> bytes:
    fitting = (min(max(number, -LARGEST), LARGEST) for number in numbers)
    return struct.pack(f"<{len(numbers)}f", *fitting)


def _ids(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data)
