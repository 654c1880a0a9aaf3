"""Builds a story from the events of a stream: `Accumulator`, or `collect` for a whole stream.

Knows events and records. Does not know where the events come from or where the story goes.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from polaris_cli.engines.base import Deviation
from polaris_cli.events import (
    KINDS,
    Again,
    Chunk,
    Event,
    Finish,
    Held,
    HeldText,
    Kind,
    Planned,
    as_chunk,
    closing,
)
from polaris_cli.story.quality import quality_of
from polaris_cli.story.result import Story, Timing, Tokens


def collect(events: Iterable[Event], record: Story) -> Story:
    """Read a stream to its end and return the story; the arguments are those of `Accumulator`."""
    accumulator = Accumulator(record)
    for event in events:
        accumulator.add(event)
    return accumulator.story()


class Accumulator:
    """The story so far of a running stream.

    `record` is the story's record before writing, `load_s` the time that loading the model took,
    in seconds, `deviations` gives the settings that the engine does not apply, as far as it knows
    then. The first `replayed` tokens are those of an earlier run: the times are of the others.
    Timing starts when the accumulator is created. A stream without a `Finish` counts as
    interrupted; the text that it held back is then part of the story.
    """

    def __init__(
        self,
        record: Story,
        load_s: float = 0.0,
        deviations: Callable[[], tuple[Deviation, ...]] = tuple,
        replayed: int = 0,
    ) -> None:
        self.finish = Finish("interrupted")
        self._replayed = replayed
        self._record, self._load_s, self._deviations = record, load_s, deviations
        self._held = HeldText()
        self._dropped = 0  # tokens of text that was held and is not in the stream
        self._texts: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
        self._tokens: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._log_probs: list[float] = []  # of the story's tokens
        self._start = time.perf_counter()
        self._first_token: float | None = None
        self._first_story: float | None = None
        self._total: float | None = None

    def watch(self, events: Iterator[Event]) -> Iterator[Event]:
        """Yield the events unchanged, and add each to the story."""
        with closing(events):
            for event in events:
                self.add(event)
                yield event

    def add(self, event: Event) -> None:
        """Add the next event of the stream."""
        self._held.add(event)
        match event:
            case Finish():
                self.finish = event
                self._total = self._now()
            case Planned() | Again():
                self._record = self._record.after(event)
            case Held():
                self._dropped += event.dropped
                for held in event.chunks[-1:]:
                    self._note_first(held)
            case _ if chunk := as_chunk(event):
                self._add_chunk(chunk)

    def story(self) -> Story:
        """The story so far, without trailing white space."""
        text = "".join([*self._texts["story"], *(chunk.text for chunk in self._held.chunks)])
        held = sum(chunk.tokens for chunk in self._held.chunks)
        log_probs = [*self._log_probs, *(p for chunk in self._held.chunks for p in chunk.log_probs)]
        return replace(
            self._record,
            text=text.rstrip(),
            quality=quality_of(text, log_probs, narrative=self._record.request.narrative),
            thinking="".join(self._texts["thinking"]).strip(),
            aside="".join(self._texts["aside"]).strip(),
            finish=self.finish.reason,
            error=self.finish.error.whole if self.finish.error else "",
            closed=self.finish.closed,
            deviations=self._deviations(),
            tokens=Tokens(
                prompt=self.finish.prompt_tokens or self._record.tokens.prompt,
                thinking=self._tokens["thinking"],
                plan=self._tokens["plan"],
                story=self._tokens["story"] + self._tokens["aside"] + held,
            ),
            timing=self._timing(),
        )

    def _add_chunk(self, chunk: Chunk) -> None:
        self._texts[chunk.kind].append(chunk.text)
        self._tokens[chunk.kind] += chunk.tokens
        if chunk.kind == "story":
            self._log_probs += chunk.log_probs
        self._note_first(chunk)

    def _note_first(self, chunk: Chunk) -> None:
        """Note when the first new token and the first new text of the story are there."""
        if self._first_story or not chunk.tokens or self._new_tokens() <= 0:
            return  # the model did not write a draft, a heading or, in this run, what is replayed
        self._first_token = self._first_token or self._now()
        if chunk.kind == "story" and chunk.text:
            self._first_story = self._now()

    def _new_tokens(self) -> int:
        held = sum(chunk.tokens for chunk in self._held.chunks)
        return sum(self._tokens.values()) + held + self._dropped - self._replayed

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _timing(self) -> Timing:
        total = self._total or self._now()
        tokens = max(0, self._new_tokens())
        after_first = tokens - 1
        span = total - (self._first_token or 0.0)
        speed = after_first / span if after_first > 0 and span > 0 else None
        return Timing(
            load_s=round(self._load_s, 3),
            first_token_s=_rounded(self._first_token),
            first_story_s=_rounded(self._first_story),
            total_s=round(total, 3),
            tokens_per_s=_rounded(speed, 1),
            tokens=tokens,
        )


def _rounded(seconds: float | None, digits: int = 3) -> float | None:
    return None if seconds is None else round(seconds, digits)
