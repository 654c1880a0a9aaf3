"""Progress of a story, with its text above it, and of a model that is loading.

Knows chunks, words and seconds, and makes lines of them; `region` draws the lines.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import groupby
from typing import TextIO

from rich.text import Text

from polaris_cli.events import ChapterStart, Chunk, Kind, Planned, Restart
from polaris_cli.screen.capabilities import encodable, harmless
from polaris_cli.screen.meter import Glyphs, Meter, bar_line, duration, glyphs_of, spinner_line
from polaris_cli.screen.wrapping import Trim, wrap

_MARGIN = 2  # cells left free at the end of a moving line, for the ^C that a terminal echoes


class StoryProgress:
    """The view of a running stream: its text line by line, and its progress.

    `add` only queues. Chunks are counted and wrapped when a frame needs lines, in the thread that
    draws. `hold` gives text that may still change; it is shown, but does not settle. A plan moves
    while it is written, as it may be dropped, and settles as it was read.
    """

    def __init__(
        self, requested: int, stream: TextIO, with_story: bool, with_thinking: bool
    ) -> None:
        self._inbox: deque[Chunk | Restart | Planned | ChapterStart] = deque()
        self._meter = Meter(requested, glyphs_of(stream))
        self._held: Sequence[Chunk] = ()
        self._with_thinking = with_thinking
        self._stream = stream
        self._plan = ""  # as the model writes it
        self._planned = False
        self._flows: dict[Kind, _Flow] = {}
        if with_story:
            self._flows["story"] = _Flow(stream)
        if with_thinking:
            self._flows["thinking"] = _Flow(stream, "dim")
        self._ended = False

    def add(self, event: Chunk | Restart | Planned | ChapterStart) -> None:
        self._inbox.append(event)

    def hold(self, chunks: Sequence[Chunk]) -> None:
        self._held = chunks

    def end(self) -> None:
        """From now on, all text is settled, the last line too."""
        self._ended = True

    def settled(self, width: int) -> list[Text]:
        lines: list[Text] = []
        arrived = [self._inbox.popleft() for _ in range(len(self._inbox))]
        for _, group in groupby(arrived, key=_kind_of):
            events = list(group)
            chunks = [event for event in events if isinstance(event, Chunk)]
            lines += self._taken(chunks[0].kind, chunks, width) if chunks else ()
            for event in events:
                lines += self._structured(event, width)
        if self._ended:
            lines += [line for flow in self._flows.values() for line in flow.finish()]
            lines += self._plan_lines(self._plan, width)
            self._plan = ""
        return lines

    def _structured(
        self, event: Chunk | Restart | Planned | ChapterStart, width: int
    ) -> Iterator[Text]:
        """Note the event; yield the lines of a plan that was read, the first time."""
        if isinstance(event, Restart | Planned):
            self._plan = ""
        if isinstance(event, ChapterStart):
            self._meter.start_chapter(event)
        elif isinstance(event, Planned):
            self._meter.plan = event.plan
            if event.plan.titled and not self._planned:  # later ones only have chapters inserted
                self._planned = True
                for flow in self._flows.values():
                    yield from flow.finish()
                yield from self._plan_lines(event.plan.as_lines(), width)
                yield Text()

    def _taken(self, kind: Kind, chunks: list[Chunk], width: int) -> Iterator[Text]:
        """Count chunks of one kind; yield the lines that they complete."""
        text = "".join(chunk.text for chunk in chunks)
        self._meter.add(kind, text, sum(chunk.tokens for chunk in chunks))
        if kind == "plan":
            self._plan += text
        elif text:
            yield from self._flowing(kind, text, width)

    def _plan_lines(self, plan: str, width: int) -> list[Text]:
        text = harmless(encodable(plan.strip(), self._stream))
        return [Text(line, "dim") for line in wrap(text, width)] if text else []

    def _flowing(self, kind: Kind, text: str, width: int) -> Iterator[Text]:
        if self._with_thinking:  # thinking and story alternate; end the line of the other one
            others = (flow for other, flow in self._flows.items() if other != kind)
            for flow in others:
                yield from flow.finish()
        if kind in self._flows:
            yield from self._flows[kind].add(text, width)

    def moving(self, width: int) -> list[Text]:
        held, text = self._held, "".join(chunk.text for chunk in self._held)
        unfinished = [
            line
            for kind, flow in self._flows.items()
            for line in flow.unfinished(width, text if kind == "story" else "")
        ]
        progress = self._meter.line(width - _MARGIN, held)
        return [*unfinished, *self._plan_lines(self._plan, width), progress]


def _kind_of(event: object) -> object:
    return event.kind if isinstance(event, Chunk) else event


class _Flow:
    """Wraps text into lines as it arrives."""

    def __init__(self, stream: TextIO, style: str = "") -> None:
        self._stream = stream
        self._style = style
        self._trim = Trim()
        self._line = ""
        self._started = False

    def add(self, text: str, width: int) -> list[Text]:
        """Add text; return the lines that are now complete."""
        ready = self._ready(self._trim, text)
        self._started = self._started or bool(ready)
        *done, self._line = wrap(self._line + ready, width)
        return [Text(line, self._style) for line in done]

    def unfinished(self, width: int, held: str = "") -> list[Text]:
        """The last line so far, with the held text after it."""
        line = self._line + self._ready(deepcopy(self._trim), held)
        shown = self._started or line
        return [Text(line, self._style) for line in wrap(line, width)] if shown else []

    def _ready(self, trim: Trim, text: str) -> str:
        ready = trim(text if self._started else text.lstrip("\n"))
        return harmless(encodable(ready, self._stream))

    def finish(self) -> list[Text]:
        """The last line and an empty one, if there was any text. A new text can follow."""
        last = [Text(self._line, self._style), Text()] if self._started else []
        self._trim, self._line, self._started = Trim(), "", False
        return last


class LoadingProgress:
    """The view while something loads: a message with a spinner, or with a bar after `update`."""

    def __init__(self, message: str, glyphs: Glyphs) -> None:
        self.message = message
        self._glyphs = glyphs
        self._fraction: float | None = None
        self._began = time.monotonic()

    def update(self, fraction: float) -> None:
        """Show a bar: `fraction` of the work, 0 to 1, is done."""
        self._fraction = fraction

    def settled(self, width: int) -> list[Text]:
        return []

    def moving(self, width: int) -> list[Text]:
        waited = duration(time.monotonic() - self._began)
        message = harmless(self.message)
        if self._fraction is None:
            return [spinner_line([message, waited], width - _MARGIN, self._glyphs)]
        facts = [message, f"{self._fraction:.0%}", waited]
        return [bar_line(self._fraction, facts, width - _MARGIN, self._glyphs)]
