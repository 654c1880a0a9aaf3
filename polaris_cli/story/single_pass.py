"""A single pass: one answer of a model, stopped when it loops, as a stream of events.

Does not know how a model runs (`engines`) or what is recorded of a story.
"""

import re
from collections.abc import Container, Generator, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise, repeat

from polaris_cli.characters import SENTENCE_END
from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.errors import DEBUG_HINT, PolarisError
from polaris_cli.events import (
    AnswerEvent,
    Chunk,
    Event,
    Finish,
    Inserted,
    Reason,
    Restart,
    closing,
)
from polaris_cli.request.story_request import Draft, Sampling
from polaris_cli.streaming.loops import guard_loops, length_before_loop
from polaris_cli.streaming.preamble import without_preamble

TRIES = 3  # attempts at an answer that loops

_END = re.compile(rf"{SENTENCE_END}\s*|\n\s*")


def stream_answer(
    engine: Engine, request: GenerationRequest, *, attempt: int = 0, title: str | None = None
) -> Iterator[Event]:
    """Stream one answer: thinking and story text as they are generated, then one `Finish`.

    If the thinking loops, it is dropped and the answer restarts with another seed; so it does once
    if the model ends it without a text. `attempt` is the number of restarts before `request.after`,
    `title` that of a part which polaris heads itself, or not at all.
    If the engine fails, the `Finish` has the error, so that the text so far is kept. Closing the
    generator stops the engine.
    """
    last = max(attempt, TRIES - 1)
    while True:
        if attempt:
            yield Restart(attempt)
        drawn = replace(request, sampling=request.sampling.redrawn(attempt))
        reasons: set[Reason] = {"loop"} if attempt < last else set()
        if not attempt and not request.opening:
            reasons.add("stop")
        if not (yield from _needs_restart(_answer(engine, drawn, title), reasons)):
            return
        attempt += 1
        limit = request.max_new_tokens + len(request.after)
        request = replace(request, max_new_tokens=limit, after=())


def seed_of_call(sampling: Sampling, number: int) -> int:
    """A different seed for each call of a story, so that they do not share random numbers."""
    return (sampling.seed + number * 1_000_003) % 2**63


def with_draft(draft: Draft | None, run: Iterator[Event]) -> Iterator[Event]:
    """Yield the draft, if there is one, then the events of the run that continues it.

    The draft is the user's own text: some tokenizers do not decode to the text they encoded.
    """
    with closing(run):
        if draft:
            yield Inserted("draft", draft.text)
        yield from run


def _needs_restart(
    run: Iterator[AnswerEvent], reasons: Container[Reason]
) -> Generator[Event, None, bool]:
    """Yield an answer's events; return whether it must restart, as it ended before its story.

    That is so if it ended for one of the `reasons`. White space before the story waits for its
    first word, so that none of it stays if the answer restarts.
    """
    started, waiting = False, list[Chunk]()
    with closing(run):
        for event in run:
            if isinstance(event, Finish):
                if event.reason in reasons and not started:
                    return True
            elif event.kind == "story" and not (started := started or bool(event.text.strip())):
                waiting.append(event)
                continue
            yield from waiting
            waiting = []
            yield event
    return False


def since_restart(events: Iterable[Event]) -> tuple[int, list[Event]]:
    """How many times an answer was restarted, and its events since the last restart."""
    attempt, since = 0, list[Event]()
    for event in events:
        if isinstance(event, Restart):
            attempt, since = event.attempt, []
        else:
            since.append(event)
    return attempt, since


def without_replay(run: Iterator[Event], replayed: int) -> Iterator[Event]:
    """Yield an answer's events without the chunks of its first `replayed` token ids.

    An engine streams the tokens that an answer continues first; these are in the stream already, as
    is the restart before them.
    """
    with closing(run):
        for event in run:
            if replayed > 0 and isinstance(event, Chunk):
                replayed -= len(event.ids)
            elif replayed <= 0 or not isinstance(event, Restart):
                yield event


def with_log_probs(run: Iterator[Event], earlier: Iterable[Event]) -> Iterator[Event]:
    """Yield a resumed story's events, with the log-probabilities of an earlier run.

    The tokens of that run are not computed again, so the engine does not know theirs.
    """
    known = [pair for event in earlier for pair in _log_probs_of(event)]
    place = 0
    with closing(run):
        for event in run:
            if isinstance(event, Chunk) and event.kind == "story":
                found = known[place : place + len(event.ids)]
                if tuple(id_ for id_, _ in found) == event.ids:
                    place += len(found)
                    log_probs = tuple(value for _, value in found if value is not None)
                    event = replace(event, log_probs=event.log_probs or log_probs)
            yield event


def _log_probs_of(event: Event) -> Iterator[tuple[int, float | None]]:
    """The ids of a story's chunk, each with its log-probability, None if that is not known."""
    if isinstance(event, Chunk) and event.kind == "story":
        whole = len(event.log_probs) == len(event.ids)
        yield from zip(event.ids, event.log_probs if whole else repeat(None), strict=False)


def in_sentences(events: Iterator[AnswerEvent]) -> Iterator[AnswerEvent]:
    """Yield an answer's events, with story text in parts that end with a sentence or a paragraph.

    Some servers send many words at once, and a text ends between two events. A chunk with token
    ids stays whole: nobody knows which text is whose.
    """
    with closing(events):
        for event in events:
            if not isinstance(event, Chunk) or event.kind != "story" or event.ids:
                yield event
                continue
            first, *others = _sentences(event.text)
            yield replace(event, text=first)
            yield from (Chunk("story", part) for part in others)


def _sentences(text: str) -> list[str]:
    ends = [found.end() for found in _END.finditer(text) if found.end() < len(text)]
    return [text[start:end] for start, end in pairwise([0, *ends, len(text)])]


def ids_of(events: Iterable[Event]) -> tuple[int, ...]:
    """The token ids of an answer, including those of inserted scene breaks."""
    chunks = (event for event in events if isinstance(event, Chunk | Inserted))
    return tuple(id_ for chunk in chunks for id_ in chunk.ids)


def before_loop(
    engine: Engine, request: GenerationRequest, ids: tuple[int, ...]
) -> tuple[int, ...]:
    """The token ids up to where the text starts to repeat itself."""
    replay = engine.stream(replace(request, max_new_tokens=0, after=ids))
    chunks = [chunk for chunk in replay if isinstance(chunk, Chunk)]
    left = length_before_loop("".join(chunk.text for chunk in chunks))
    kept: list[int] = []
    for chunk in chunks:
        left -= len(chunk.text)
        if left < 0:
            break
        kept += chunk.ids
    return tuple(kept)


def _answer(engine: Engine, request: GenerationRequest, title: str | None) -> Iterator[AnswerEvent]:
    """One attempt at an answer; an exception of the engine becomes a `Finish` with the error."""
    try:
        answer = in_sentences(guard_loops(engine.stream(request)))
        # After a draft, the answer begins in the middle of a text.
        yield from answer if request.opening else without_preamble(answer, title)
    except PolarisError as error:
        yield Finish("error", error=error)
    except Exception as error:
        failed = PolarisError(f"The engine failed: {error}", hint=DEBUG_HINT)
        failed.__cause__ = error
        yield Finish("error", error=failed)
