"""Events as rows of the library's table of parts, and back: `packed`, `unpacked`.

A row has a kind, a text, a number (tokens, or what its kind counts) and token ids. Knows nothing
of SQL.
"""

import struct

from polaris_cli.events import ChapterStart, Chunk, Event, Inserted, Restart

Row = tuple[str, str, int, bytes]  # ids are little-endian numbers of four bytes


def packed(event: Event) -> Row | None:
    """The row of an event; None for one that stands elsewhere in the record."""
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


def unpacked(row: Row) -> Event:
    """The event of a row. A kind that is not known was story text held back when a run ended."""
    kind, text, number, ids = row
    match kind:
        case "chapter":
            return ChapterStart(number, text)
        case "restart":
            return Restart(number)
        case "draft" | "heading" | "scene break" | "ending":
            return Inserted(kind, text, _ids(ids))
        case "thinking":
            return Chunk("thinking", text, number, _ids(ids))
    return Chunk("story", text, number, _ids(ids))


def _bytes(ids: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(ids)}I", *ids)


def _ids(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 4}I", packed)
