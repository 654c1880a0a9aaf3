"""Detects degenerate repetition: `guard_loops` ends a stream that loops, `length_before_loop` finds
the start of the loop.

Knows text only, in any language. Does not know about models or stories.

Text is read as units: a word (in parts of eight letters if it is longer), a CJK character, a
punctuation mark, a line break, or eight blanks in a row. Case is ignored. Thinking and story are
checked separately. All limits apply to recent text, never to totals, so a long text is no more
likely to be stopped than a short one. There are three criteria, each beyond what people write:

- A cycle: the text copies the text a fixed distance before it, for at least `COPIED` units without
  a difference and for two whole rounds, which is three with the original. `COPIED` is about two
  hundred words: a chorus of four lines repeated five times stays below it, "ha" thirty times far
  below. A repeated sentence reaches it soon, a passage of several hundred words at the end of its
  third round. Cycles of up to `WINDOW` units are detected.
- A numbered cycle: the same, but numbers may change from round to round ("Step 1 … Step 2 …").
  Counting songs and tables do this too, so `COPIED_BUT_NUMBERS` units must be equal.
- Stale text: a share `STALE` of the last `RECENT` 4-grams occur among these `OFTEN` times or more.
  This finds loops that change their order, or a word now and then. In fiction the share is near
  zero, in litanies about a half. Only cumulative rhymes come near the limit, and few of them last
  for the two thousand words of the window.

A stream also ends after the same letter `SAME_LETTER` times in a row, or after `SILENT` tokens in a
row without text, as from a model that writes only trimmed white space or broken characters.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence

from polaris_cli.characters import CJK, THAI_AND_SIMILAR
from polaris_cli.events import AnswerEvent, Chunk, Finish, Kind, closing

COPIED = 240
COPIED_BUT_NUMBERS = 720
WINDOW = 4096
RECENT = 2400
OFTEN = 8
STALE = 0.9
SILENT = 1000
SAME_LETTER = 200

MIN_COPY = 60  # words (or CJK characters): a shorter copy at the end of a text is no loop
KEPT_SHARE = 0.6  # of the words of a text that loops without an exact copy

_UNIT = re.compile(rf"[{CJK}]|[^\W{CJK}]{{1,8}}|[^\w\s]|\n|[^\S\n]{{8}}")
_WORD = re.compile(rf"[{CJK}]|[{THAI_AND_SIMILAR}]{{1,8}}|[^\s{CJK}{THAI_AND_SIMILAR}]+")
_DIGITS = re.compile(r"\d+")
_Gram = tuple[str, ...]


def guard_loops(events: Iterator[AnswerEvent]) -> Iterator[AnswerEvent]:
    """Yield `events` until thinking or story degenerates, then end with `Finish("loop")`.

    All text up to there is yielded, including the repeated part. When the generator ends or is
    closed, it closes `events`. Uses constant memory, and time proportional to the text.
    """
    detectors: dict[Kind, _Detector] = {"thinking": _Detector(), "story": _Detector()}
    silent = 0
    with closing(events):
        for event in events:
            yield event
            if isinstance(event, Finish):
                return
            silent = 0 if event.text else silent + max(1, event.tokens)
            if detectors[event.kind].add(event) or silent >= SILENT:
                break
        else:
            return
    yield Finish("loop")


class _Detector:
    """Applies the criteria to one kind of text."""

    def __init__(self) -> None:
        self._open = ""  # the last unit, which may continue in the next chunk
        self._cycle = _Cycle()
        self._stale = _Stale()
        self._last: deque[str] = deque(maxlen=4)
        self._last_numberless: deque[str] = deque(maxlen=4)
        self._same_letter = 0

    def add(self, chunk: Chunk) -> bool:
        """Add a chunk; return whether the text meets one of the criteria now."""
        return any(self._add_unit(unit) for unit in self._units(chunk.text.lower()))

    def _units(self, text: str) -> Iterator[str]:
        text = self._open + text
        end = 0
        for found in _UNIT.finditer(text):
            if found.end() == len(text):
                break
            end = found.end()
            yield found[0]
        self._open = text[end:]

    def _add_unit(self, unit: str) -> bool:
        held = unit.isalpha() and unit == unit[0] * 8 and [unit] == list(self._last)[-1:]
        self._same_letter = self._same_letter + 8 if held else 0
        self._last.append(unit)
        self._last_numberless.append(_DIGITS.sub("0", unit))
        cycling = self._cycle.add(unit, tuple(self._last_numberless))
        stale = self._stale.add(tuple(self._last))
        return stale or cycling or self._same_letter >= SAME_LETTER


class _Cycle:
    """Tracks a copy of earlier text at a fixed distance for as long as it continues."""

    def __init__(self) -> None:
        self._units = [""] * WINDOW
        self._grams: list[_Gram] = [()] * WINDOW
        self._seen: dict[_Gram, int] = {}
        self._at = 0
        self._distance = 0
        self._length = 0  # units since the copy started
        self._equal = 0  # those of them that are the same even in their numbers

    def add(self, unit: str, gram: _Gram) -> bool:
        """Add a unit, and the 4-gram that ends in it with its digits replaced by 0.

        Return whether the copy is too long now.
        """
        self._follow(unit, gram)
        slot = self._at % WINDOW
        forgotten = self._grams[slot]
        if self._seen.get(forgotten) == self._at - WINDOW:
            del self._seen[forgotten]
        self._units[slot], self._grams[slot] = unit, gram
        self._seen[gram] = self._at
        self._at += 1
        limit = COPIED if self._equal == self._length else COPIED_BUT_NUMBERS
        return self._equal >= limit and self._length >= 2 * self._distance

    def _follow(self, unit: str, gram: _Gram) -> None:
        slot = (self._at - self._distance) % WINDOW
        if not self._distance or self._grams[slot][-1:] != gram[-1:]:
            self._distance = self._at - self._seen.get(gram, self._at)
            self._length = self._equal = 0
            slot = (self._at - self._distance) % WINDOW
        if self._distance:
            self._length += 1
            self._equal += self._units[slot] == unit


class _Stale:
    """Tracks the share of recent 4-grams that occur often."""

    def __init__(self) -> None:
        self._recent: deque[_Gram] = deque()
        self._count: Counter[_Gram] = Counter()
        self._frequent = 0  # recent 4-grams that occur OFTEN times or more among them

    def add(self, gram: _Gram) -> bool:
        """Add a 4-gram; return whether the share is too high now."""
        self._recent.append(gram)
        self._count[gram] += 1
        self._frequent += self._weight(gram, self._count[gram])
        if len(self._recent) > RECENT:
            oldest = self._recent.popleft()
            self._frequent -= self._weight(oldest, self._count[oldest])
            self._count[oldest] -= 1
            if not self._count[oldest]:
                del self._count[oldest]
        return len(self._recent) == RECENT and self._frequent >= STALE * RECENT

    @staticmethod
    def _weight(gram: _Gram, count: int) -> int:
        """The change of `_frequent` when the count of a 4-gram goes from `count` - 1 to `count`."""
        return OFTEN if count == OFTEN else count > OFTEN


def length_before_loop(text: str) -> int:
    """The number of characters before the part of a text that repeats itself up to the end.

    The first round of the repeated text is kept. Without an exact copy of at least `MIN_COPY`
    words, it is `KEPT_SHARE` of the text.
    """
    found = list(_WORD.finditer(text))
    words = [match[0] for match in found]
    for period in range(1, len(words) // 2 + 1):
        copied = _copied(words, period)
        if copied >= max(MIN_COPY, period):
            return found[len(words) - copied].start()
    return found[int(len(found) * KEPT_SHARE)].start() if found else 0


def _copied(words: Sequence[str], period: int) -> int:
    """How many words at the end equal the words `period` places before them."""
    copied = 0
    for here, before in zip(reversed(words), reversed(words[:-period]), strict=False):
        if here != before:
            break
        copied += 1
    return copied
