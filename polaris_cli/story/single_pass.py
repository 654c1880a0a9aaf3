"""One pass: a model's answer, guarded and labelled, as a stream of events: `write_story`.

Knows the order of the steps; not how a model runs (`engines`), nor what is recorded of a story.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.errors import DEBUG_HINT, PolarisError
from polaris_cli.events import (
    AnswerEvent,
    Chunk,
    Event,
    Finish,
    Inserted,
    Restart,
    closing,
)
from polaris_cli.request.story_request import Draft
from polaris_cli.streaming.loops import guard

TRIES = 3  # at an answer that goes round in a loop


def write_story(engine: Engine, request: GenerationRequest, *, attempt: int = 0) -> Iterator[Event]:
    """Stream one answer: thinking and story text as they come, then one `Finish`.

    `attempt` says how often the answer of an earlier run (`request.after`) had been restarted.
    Thinking that goes round in a loop is dropped, and the answer restarted with other draws.
    Closing the generator stops the engine. An engine that fails in the middle ends the stream with
    its error, so that the text is kept.
    """
    last = max(attempt, TRIES - 1)
    while True:
        if attempt:
            yield Restart(attempt)
        drawn = replace(request, sampling=request.sampling.redrawn(attempt))
        if not (yield from _given_up(_answer(engine, drawn), last=attempt == last)):
            return
        attempt += 1
        limit = request.max_new_tokens + len(request.after)
        request = replace(request, max_new_tokens=limit, after=())


def behind(draft: Draft | None, run: Iterator[Event]) -> Iterator[Event]:
    """Stream the draft, if there is one, and then the run that goes on from it.

    The text comes from the user and not from the tokens, which some tokenizers word otherwise.
    """
    with closing(run):
        if draft:
            yield Inserted("draft", draft.text)
        yield from run


def _given_up(run: Iterator[AnswerEvent], *, last: bool) -> Generator[Event, None, bool]:
    """Pass an answer on; but one that loops before its story begins has no end, and is given up
    unless it is the last."""
    begun = False
    with closing(run):
        for event in run:
            if isinstance(event, Chunk):
                begun = begun or (event.kind == "story" and bool(event.text.strip()))
            elif event.reason == "loop" and not begun and not last:
                return True
            yield event
    return False


def since_restart(events: Iterable[Event]) -> tuple[int, list[Event]]:
    """How often an answer was restarted, and its events since then."""
    attempt, since = 0, list[Event]()
    for event in events:
        if isinstance(event, Restart):
            attempt, since = event.attempt, []
        else:
            since.append(event)
    return attempt, since


def ids_of(events: Iterable[Event]) -> tuple[int, ...]:
    """The tokens of an answer, the breaks between its scenes included."""
    chunks = (event for event in events if isinstance(event, Chunk | Inserted))
    return tuple(id_ for chunk in chunks for id_ in chunk.ids)


def _answer(engine: Engine, request: GenerationRequest) -> Iterator[AnswerEvent]:
    """One try at an answer, guarded; whatever the engine raises becomes its `Finish`."""
    try:
        yield from guard(engine.stream(request))
    except PolarisError as error:
        yield Finish("error", error=error)
    except Exception as error:
        failed = PolarisError(f"The engine failed: {error}", hint=DEBUG_HINT)
        failed.__cause__ = error
        yield Finish("error", error=failed)
