"""Scripts for the scripted engine, and what came out of a stream: for the tests of long stories."""

import re

from polaris_cli.events import Again, Chunk, Event, Finish, Held
from polaris_cli.events import text_of as event_text

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def paragraph(name: str, words: int) -> str:
    """A paragraph of so many different words, so that no guard takes it for a loop."""
    return " ".join(f"{name}{LETTERS[n % 26]}{n}" for n in range(words - 1)) + f" {name}."


def script(*paragraphs: str) -> list[str]:
    """Paragraphs as a model streams them: words, and breaks as pieces of their own."""
    pieces: list[str] = []
    for number, text in enumerate(paragraphs):
        pieces += ["\n\n"] * bool(number) + re.findall(r"\s*\S+", text)
    return pieces


def text_of(events: list[Event]) -> str:
    return "".join(map(event_text, events))


def tokens_of(events: list[Event]) -> int:
    """The tokens of all text that was written, also of what is not in the stream."""
    dropped = sum(event.dropped for event in events if isinstance(event, Held))
    return dropped + sum(event.tokens for event in events if isinstance(event, Chunk))


def times(events: list[Event], what: str) -> int:
    """How often the story was extended, or a passage rewritten."""
    return sum(isinstance(event, Again) and event.what == what for event in events)


def finish_of(events: list[Event]) -> Finish:
    assert isinstance(events[-1], Finish)
    assert not any(isinstance(event, Finish) for event in events[:-1])
    return events[-1]
