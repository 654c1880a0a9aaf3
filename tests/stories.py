"""Stories and streams for the tests of the library and of export."""

from collections.abc import Callable, Iterator

import pytest

from polaris_cli.engines.base import ModelInfo
from polaris_cli.events import Chunk, Event, Finish, Reason
from polaris_cli.library.recording import Recorder
from polaris_cli.library.store import Library
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story.accumulator import Accumulator
from polaris_cli.story.result import Story


def a_story(
    id: str = "abcd1234",
    text: str = "",
    *,
    premise: str = "a lighthouse keeper",
    words: int = 8,
    **more: object,
) -> Story:
    fields: dict[str, object] = {
        "id": id,
        "created": "2026-01-31T12:00:00+00:00",
        "request": StoryRequest(premise, words),
        "model": ModelInfo("demo", "polaris/demo"),
        "prompt": f"Write a 8-word story about {premise}.",
        "text": text,
        "versions": {"polaris": "0.1"},
    }
    return Story(**(fields | more))  # type: ignore[arg-type]


def a_thai_story() -> Story:
    """A story of one word for `wc -w`, and of several as ICU finds them."""
    pytest.importorskip("icu4py", reason="needs the extra segmentation")
    story = a_story(text="แมวบนภูเขา")
    assert story.written == 1 < story.counted
    return story


def a_stream(*texts: str, reason: Reason = "stop") -> Iterator[Event]:
    """A thinking chunk, these story chunks with made-up token ids, and a finish."""
    yield Chunk("thinking", "Plan.", 2, (7, 248069))
    for number, text in enumerate(texts):
        yield Chunk("story", text, 1, (number,))
    yield Finish(reason, prompt_tokens=5)


def record(
    events: Iterator[Event], library: Library, new: Story, warn: Callable[[str], None]
) -> Iterator[Event]:
    """Pass the events on, kept in the library."""
    accumulator = Accumulator(new)
    return Recorder(library, accumulator, warn).watch(accumulator.watch(events))


def chunks_in(library: Library, ref: str) -> list[Chunk]:
    """What the library has of a stream that brought chunks alone."""
    events = library.events(ref)
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert len(chunks) == len(events)
    return chunks


def no_warning(text: str) -> None:
    raise AssertionError(text)
