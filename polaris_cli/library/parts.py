"""Converts events to rows of the table `part` and back: `to_row`, `from_row`.

A row has a kind, a text, a number (of tokens, or of the chapter or restart) and token ids. Does not
know SQL.
"""

import struct

from polaris_cli.events import ChapterStart, Chunk, Event, Inserted, Restart

Row = tuple[str, str, int, bytes]  # the ids are 32-bit unsigned integers, little-endian


def to_row(event: Event) -> Row | None:
    """The row of an event; None for an event that is not stored as a part."""
    match event:
        case Chunk():
            return event.kind, event.text, event.tokens, _bytes(event.ids)
        case Inserted():
            return event.kind, event.text, 0, _bytes(event.ids)
        case ChapterStart():
            return "chapter", event.title, event.number, b""
        case Restart():
            return "restart", "", event.attempt, b""
    return None


def from_row(row: Row) -> Event:
    """The event of a row. A row of any other kind, such as "held", is story text."""
    kind, text, number, ids = row
    match kind:
        case "chapter":
            return ChapterStart(number, text)
        case "restart":
            return Restart(number)
        case "draft" | "heading" | "scene break" | "ending":
            return Inserted(kind, text, _ids(ids))
        case "thinking" | "plan" | "aside":
            return Chunk(kind, text, number, _ids(ids))
    return Chunk("story", text, number, _ids(ids))


def _bytes(ids: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(ids)}I", *ids)


def _ids(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data)
