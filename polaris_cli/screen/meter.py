"""The progress of a story in one line: a bar or a spinner, with words, chapter, time and speed.

Knows chunks, words and seconds, not how lines reach a terminal.
"""

import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, TextIO

from rich.text import Text

from polaris_cli.events import KINDS, ChapterStart, Chunk, Kind, Plan
from polaris_cli.screen.capabilities import harmless
from polaris_cli.words import WordCounter, story_words

OTHER_FACTS = 48  # cells for the words of chapter and story, beside the chapter's name
SETTLING_S = 1.0  # seconds; a speed over a shorter time is not reliable
WINDOW_S = 120.0  # seconds over which the speed is taken: a chapter's thinking counts too
_BAR_CELLS = (8, 30)  # minimum and maximum width


class Glyphs(NamedTuple):
    """The characters of the spinner, of the bar, and between two facts."""

    spinner: str
    full: str
    rest: str
    between: str


def glyphs_of(stream: TextIO) -> Glyphs:
    """The glyphs that the stream's encoding can show: Unicode or ASCII."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    unicode = encoding.lower().startswith("utf")
    if unicode:
        return Glyphs("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "━", "─", " · ")
    return Glyphs("|/-\\", "#", "-", "  ")


class Meter:
    """The progress of a stream: words, tokens and time, and the chapter it is in."""

    def __init__(self, requested: int, glyphs: Glyphs) -> None:
        self.plan: Plan | None = None
        self._requested = requested
        self._glyphs = glyphs
        self._words = WordCounter()
        self._chapter: ChapterStart | None = None
        self._words_before = 0  # the chapter
        self._samples: deque[tuple[float, int, int]] = deque()  # time, words and tokens so far
        self._tokens: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._kind: Kind | None = None
        self._began = time.monotonic()

    def add(self, kind: Kind, text: str, tokens: int) -> None:
        """Count a piece of the stream."""
        self._tokens[kind] += tokens
        if kind != "aside" and (text.strip() or (kind != "story" and tokens)):
            self._kind = kind
        if kind == "story":
            self._words.add(text)

    def start_chapter(self, chapter: ChapterStart) -> None:
        """From now on, the text is this chapter's."""
        self._chapter, self._words_before = chapter, self._words.count

    def line(self, width: int, held: Sequence[Chunk] = ()) -> Text:
        """The progress in one line of at most `width` cells; `held` text counts too."""
        if held:
            self._kind = "story"
        tokens = sum(self._tokens.values()) + sum(chunk.tokens for chunk in held)
        words = self._words.count + story_words("".join(chunk.text for chunk in held))
        self._take_sample(words, tokens)
        if self._kind == "story":
            facts = [*self._told(words, width), self._left(words), self._speed(tokens)]
            return bar_line(words / self._requested, facts, width, self._glyphs)
        waited = duration(time.monotonic() - self._began)
        if self._kind is None:
            return spinner_line(["reading the prompt", waited], width, self._glyphs)
        done = self._tokens[self._kind]
        doing = "planning" if self._kind == "plan" else "thinking"
        facts = [doing, f"{done:,} tokens" if done else "", waited, self._speed(tokens)]
        if self._chapter and self._kind != "plan":
            facts = [self._chapter_name(width), *facts]
        return spinner_line(facts, width, self._glyphs)

    def _told(self, words: int, width: int) -> list[str]:
        """The words of the chapter and of the story."""
        if not (self.plan and self._chapter and len(self.plan.chapters) > 1):
            return [f"{words:,} of {self._requested:,} words"]
        planned = self.plan.chapters[self._chapter.number - 1].words
        here = max(0, words - self._words_before)
        return [
            self._chapter_name(width),
            f"{here:,} of {planned:,} words",
            f"{words:,} of {self._requested:,}",
        ]

    def _chapter_name(self, width: int) -> str:
        """'chapter 2 of 6 "The Fog"'; without the title where there is no room for it."""
        assert self._chapter
        chapters = self.plan.chapters if self.plan else ()
        name = f"chapter {self._chapter.number} of {max(len(chapters), self._chapter.number)}"
        title = f' "{harmless(self._chapter.title)}"' if self._chapter.title else ""
        return name + title if len(name + title) <= width - OTHER_FACTS else name

    def _take_sample(self, words: int, tokens: int) -> None:
        """Note where the stream is. What was there at the first look took no time: a draft, or an
        earlier run."""
        now = time.monotonic()
        if not self._samples and not tokens and not words:
            return
        if not self._samples or now - self._samples[-1][0] >= SETTLING_S:
            self._samples.append((now, words, tokens))
        while now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()

    def _left(self, words: int) -> str:
        since, before, _ = self._samples[0]
        span, new = time.monotonic() - since, words - before
        if span < SETTLING_S or new <= 0 or words >= self._requested:
            return ""
        return f"{duration((self._requested - words) * span / new)} left"

    def _speed(self, tokens: int) -> str:
        if not self._samples:
            return ""
        since, _, before = self._samples[0]
        span, new = time.monotonic() - since, tokens - before
        return per_second(new / span) if new > 0 and span > SETTLING_S else ""


def per_second(speed: float) -> str:
    """A speed as text: "12 tokens/s", with one decimal below 10."""
    return f"{speed:.{0 if speed >= 10 else 1}f} tokens/s"


def duration(seconds: float) -> str:
    """A time as text: "42 s", "3 min 05 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def spinner_line(facts: Sequence[str], width: int, glyphs: Glyphs) -> Text:
    """A turning sign and as many of the facts as fit."""
    frame = glyphs.spinner[int(time.monotonic() * 10) % len(glyphs.spinner)]
    line = Text.assemble((frame, "cyan"), " ", (_joined(facts, width - 2, glyphs), "dim"))
    line.truncate(max(width, 1))
    return line


def bar_line(fraction: float, facts: Sequence[str], width: int, glyphs: Glyphs) -> Text:
    """A bar of which `fraction` is full, and as many of the facts as fit."""
    fewest, most = _BAR_CELLS
    text = Text(_joined(facts, width - fewest - 2, glyphs), "dim")
    text.truncate(max(width, 1))
    cells = min(most, width - text.cell_len - 2)
    if cells < fewest:
        return text
    full = round(cells * min(1.0, max(0.0, fraction)))
    bar = Text.assemble((glyphs.full * full, "green"), (glyphs.rest * (cells - full), "dim"))
    return bar + Text("  ") + text


def _joined(facts: Sequence[str], width: int, glyphs: Glyphs) -> str:
    """As many of the facts as fit, but always the first."""
    given = [fact for fact in facts if fact]
    while len(given) > 1 and len(glyphs.between.join(given)) > width:
        given.pop()
    return glyphs.between.join(given)
