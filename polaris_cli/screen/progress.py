"""Progress of a story, with its text above it, and of a model that is loading.

Knows chunks, words and seconds, and makes lines of them; `region` draws the lines.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import groupby
from typing import NamedTuple, TextIO

from rich.text import Text

from polaris_cli.events import KINDS, Chunk, Kind
from polaris_cli.screen.capabilities import encodable, harmless
from polaris_cli.screen.wrapping import Trim, wrap
from polaris_cli.words import WordCounter, story_words

_BAR_CELLS = (8, 30)  # minimum and maximum width
_SETTLING_S = 1.0  # seconds; a speed over a shorter time is not reliable
_MARGIN = 2  # cells left free at the end of a moving line, for the ^C that a terminal echoes


class StoryProgress:
    """The view of a running stream: its text line by line, and its progress.

    `add` only queues chunks. They are counted and wrapped when a frame needs lines, in the thread
    that draws. `hold` gives text that may still change; it is shown, but does not settle. A plan
    moves while it is written, as it may be dropped: `drop_plan`.
    """

    def __init__(
        self, requested: int, stream: TextIO, with_story: bool, with_thinking: bool
    ) -> None:
        self._inbox: deque[Chunk | None] = deque()  # None drops the plan
        self._meter = _Meter(requested, glyphs_of(stream))
        self._held: Sequence[Chunk] = ()
        self._with_thinking = with_thinking
        self._stream = stream
        self._plan = ""
        self._flows: dict[Kind, _Flow] = {}
        if with_story:
            self._flows["story"] = _Flow(stream)
        if with_thinking:
            self._flows["thinking"] = _Flow(stream, "dim")
        self._ended = False

    def add(self, chunk: Chunk) -> None:
        self._inbox.append(chunk)

    def hold(self, chunks: Sequence[Chunk]) -> None:
        self._held = chunks

    def drop_plan(self) -> None:
        """Stop showing the plan so far: it is written again, or printed as it was read."""
        self._inbox.append(None)

    def end(self) -> None:
        """From now on, all text is settled, the last line too."""
        self._ended = True

    def settled(self, width: int) -> list[Text]:
        lines: list[Text] = []
        arrived = [self._inbox.popleft() for _ in range(len(self._inbox))]
        for kind, group in groupby(arrived, key=_kind_of):
            if kind:
                lines += self._taken(kind, [chunk for chunk in group if chunk], width)
            else:
                self._plan = ""
        if self._ended:
            lines += [line for flow in self._flows.values() for line in flow.finish()]
            lines += self._plan_lines(width)
            self._plan = ""
        return lines

    def _taken(self, kind: Kind, chunks: list[Chunk], width: int) -> Iterator[Text]:
        """Count chunks of one kind; yield the lines that they complete."""
        text = "".join(chunk.text for chunk in chunks)
        self._meter.add(kind, text, sum(chunk.tokens for chunk in chunks))
        if kind == "plan":
            self._plan += text
        elif text:
            yield from self._flowing(kind, text, width)

    def _plan_lines(self, width: int) -> list[Text]:
        text = harmless(encodable(self._plan.strip(), self._stream))
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
        return [*unfinished, *self._plan_lines(width), progress]


def _kind_of(chunk: Chunk | None) -> Kind | None:
    return chunk.kind if chunk else None


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


class Glyphs(NamedTuple):
    """The characters of the spinner and the bar."""

    spinner: str
    full: str
    rest: str


def glyphs_of(stream: TextIO) -> Glyphs:
    """The glyphs that the stream's encoding can show: Unicode or ASCII."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    unicode = encoding.lower().startswith("utf")
    return Glyphs("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "━", "─") if unicode else Glyphs("|/-\\", "#", "-")


class _Meter:
    """The progress of a stream: words, tokens and time."""

    def __init__(self, requested: int, glyphs: Glyphs) -> None:
        self._requested = requested
        self._glyphs = glyphs
        self._words = WordCounter()
        self._tokens: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._kind: Kind | None = None
        self._began = time.monotonic()
        self._first: dict[Kind, float] = {}  # when each kind started

    def add(self, kind: Kind, text: str, tokens: int) -> None:
        self._first.setdefault(kind, time.monotonic())
        self._tokens[kind] += tokens
        if kind != "aside" and (text.strip() or (kind != "story" and tokens)):
            self._kind = kind
        if kind == "story":
            self._words.add(text)

    def line(self, width: int, held: Sequence[Chunk] = ()) -> Text:
        """The progress in one line of at most `width` cells; `held` text counts too."""
        if held:
            self._kind = "story"
            self._first.setdefault("story", time.monotonic())
        tokens = sum(self._tokens.values()) + sum(chunk.tokens for chunk in held)
        if self._kind == "story":
            words = self._words.count + story_words("".join(chunk.text for chunk in held))
            told = f"{words:,} / {self._requested:,} words"
            facts = [told, self._left(words), self._speed(tokens)]
            return _bar_line(words / self._requested, facts, width, self._glyphs)
        waited = duration(time.monotonic() - self._began)
        if self._kind is None:
            return _spinner_line(["reading the prompt", waited], width, self._glyphs)
        done = self._tokens[self._kind]
        doing = "planning" if self._kind == "plan" else "thinking"
        facts = [doing, f"{done:,} tokens" if done else "", waited, self._speed(tokens)]
        return _spinner_line(facts, width, self._glyphs)

    def _left(self, words: int) -> str:
        span = time.monotonic() - self._first["story"]
        if span < _SETTLING_S or not 0 < words < self._requested:
            return ""
        return f"{duration((self._requested - words) * span / words)} left"

    def _speed(self, tokens: int) -> str:
        span = time.monotonic() - min(self._first.values())
        return per_second(tokens / span) if tokens and span > _SETTLING_S else ""


def per_second(speed: float) -> str:
    """A speed as text: "12 tokens/s", with one decimal below 10."""
    return f"{speed:.{0 if speed >= 10 else 1}f} tokens/s"


def duration(seconds: float) -> str:
    """A time as text: "42 s", "3 min 05 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _spinner_line(facts: Sequence[str], width: int, glyphs: Glyphs) -> Text:
    frame = glyphs.spinner[int(time.monotonic() * 10) % len(glyphs.spinner)]
    line = Text.assemble((frame, "cyan"), " ", (_joined(facts, width - 2), "dim"))
    line.truncate(max(width, 1))
    return line


def _bar_line(fraction: float, facts: Sequence[str], width: int, glyphs: Glyphs) -> Text:
    fewest, most = _BAR_CELLS
    text = Text(_joined(facts, width - fewest - 2), "dim")
    text.truncate(max(width, 1))
    cells = min(most, width - text.cell_len - 2)
    if cells < fewest:
        return text
    full = round(cells * min(1.0, max(0.0, fraction)))
    bar = Text.assemble((glyphs.full * full, "green"), (glyphs.rest * (cells - full), "dim"))
    return bar + Text("  ") + text


def _joined(facts: Sequence[str], width: int) -> str:
    """As many of the facts as fit, but always the first."""
    given = [fact for fact in facts if fact]
    while len(given) > 1 and len("  ".join(given)) > width:
        given.pop()
    return "  ".join(given)


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
            return [_spinner_line([message, waited], width - _MARGIN, self._glyphs)]
        facts = [message, f"{self._fraction:.0%}", waited]
        return [_bar_line(self._fraction, facts, width - _MARGIN, self._glyphs)]
