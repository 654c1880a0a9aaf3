"""Stop a model that has got stuck: `guard` ends a stream that goes round in a loop, and
`good_length` finds where the loop began.

Knows text only, in any language; nothing of models or of what the story is about.

Text is read as units: a word (in parts of eight letters when it is longer), a CJK character, a
punctuation mark, a line break, eight blanks in a row. Upper and lower case are the same. Thinking
and story are watched apart. All limits look at what came last, never at totals, so a long text is
in no more danger than a short one. Three signs, each beyond anything people write:

- A cycle: the text copies what stands a fixed distance before it, for `COPIED` units without a
  slip and for two whole rounds, which makes three with the original. `COPIED` is some two hundred
  words: a chorus of four lines sung five times on end stays below it, "ha" thirty times far below;
  a sentence over and over reaches it soon, a passage of several hundred words with the end of its
  third round. Cycles up to `WINDOW` units long are seen.
- A numbered cycle: the same, but numbers may change from round to round ("Step 1 … Step 2 …").
  Counting songs do this for good reason, and so do tables, so it takes `COPIED_BUT_NUMBERS` units
  that are equal.
- Stale text: a share `STALE` of the last `RECENT` 4-grams stand there `OFTEN` times or more. This
  finds loops that change their order or a word now and then. In fiction the share is near zero and
  in litanies about a half; only rhymes that gather line upon line come near the limit, and few of
  them go on for the two thousand words of the window.

Besides, the same letter `SAME_LETTER` times on end is no word, and `SILENT` tokens in a row that
make no text end the stream too: such a model writes white space that is trimmed, or broken
characters.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence

from polaris_cli.characters import CJK
from polaris_cli.events import AnswerEvent, Chunk, Finish, Kind, closing

COPIED = 240
COPIED_BUT_NUMBERS = 720
WINDOW = 4096
RECENT = 2400
OFTEN = 8
STALE = 0.9
SILENT = 1000
SAME_LETTER = 200

COPY = 60  # words: a copy of so many at the end of a text shows what a loop repeats
KEPT = 0.6  # of a text that goes round without copying: what is kept of it

_UNIT = re.compile(rf"[{CJK}]|[^\W{CJK}]{{1,8}}|[^\w\s]|\n|[^\S\n]{{8}}")
_DIGITS = re.compile(r"\d+")
_Gram = tuple[str, ...]


def guard(events: Iterator[AnswerEvent]) -> Iterator[AnswerEvent]:
    """Pass `events` on until thinking or story degenerates, then end with `Finish("loop")`.

    All text up to there is passed on, the repeated part included. Closing the generator closes
    `events`, and so does its end. Constant memory, and time in proportion to the text.
    """
    watches: dict[Kind, _Watch] = {"thinking": _Watch(), "story": _Watch()}
    silent = 0
    with closing(events):
        for event in events:
            yield event
            if isinstance(event, Finish):
                return
            silent = 0 if event.text else silent + max(1, event.tokens)
            if watches[event.kind].stuck_after(event) or silent >= SILENT:
                break
        else:
            return
    yield Finish("loop")


class _Watch:
    """Looks at one kind of text."""

    def __init__(self) -> None:
        self._open = ""  # may go on as a longer unit
        self._cycle = _Cycle()
        self._stale = _Stale()
        self._last: deque[str] = deque(maxlen=4)
        self._last_numberless: deque[str] = deque(maxlen=4)
        self._same_letter = 0

    def stuck_after(self, chunk: Chunk) -> bool:
        """Whether the text shows one of the signs with the units that `chunk` completes."""
        return any(self._stuck_at(unit) for unit in self._units(chunk.text.lower()))

    def _units(self, text: str) -> Iterator[str]:
        text = self._open + text
        end = 0
        for found in _UNIT.finditer(text):
            if found.end() == len(text):
                break
            end = found.end()
            yield found[0]
        self._open = text[end:]

    def _stuck_at(self, unit: str) -> bool:
        held = unit.isalpha() and unit == unit[0] * 8 and [unit] == list(self._last)[-1:]
        self._same_letter = self._same_letter + 8 if held else 0
        self._last.append(unit)
        self._last_numberless.append(_DIGITS.sub("0", unit))
        cycling = self._cycle.add(unit, tuple(self._last_numberless))
        stale = self._stale.add(tuple(self._last))
        return stale or cycling or self._same_letter >= SAME_LETTER


class _Cycle:
    """Follows a copy of earlier text at a fixed distance for as long as it goes on."""

    def __init__(self) -> None:
        self._units = [""] * WINDOW
        self._grams: list[_Gram] = [()] * WINDOW
        self._seen: dict[_Gram, int] = {}
        self._at = 0
        self._distance = 0
        self._round = 0  # units since the copy began
        self._equal = 0  # of these, the ones that do not differ even in a number

    def add(self, unit: str, gram: _Gram) -> bool:
        """Whether the copy that `unit` ends is too long. `gram` ends in it, numbers made alike."""
        self._follow(unit, gram)
        slot = self._at % WINDOW
        forgotten = self._grams[slot]
        if self._seen.get(forgotten) == self._at - WINDOW:
            del self._seen[forgotten]
        self._units[slot], self._grams[slot] = unit, gram
        self._seen[gram] = self._at
        self._at += 1
        limit = COPIED if self._equal == self._round else COPIED_BUT_NUMBERS
        return self._equal >= limit and self._round >= 2 * self._distance

    def _follow(self, unit: str, gram: _Gram) -> None:
        slot = (self._at - self._distance) % WINDOW
        if not self._distance or self._grams[slot][-1:] != gram[-1:]:
            self._distance = self._at - self._seen.get(gram, self._at)
            self._round = self._equal = 0
            slot = (self._at - self._distance) % WINDOW
        if self._distance:
            self._round += 1
            self._equal += self._units[slot] == unit


class _Stale:
    """Knows the share of recent 4-grams that keep coming back."""

    def __init__(self) -> None:
        self._recent: deque[_Gram] = deque()
        self._count: Counter[_Gram] = Counter()
        self._often = 0  # how many of the recent ones stand there OFTEN times or more

    def add(self, gram: _Gram) -> bool:
        """Whether the share is too high with `gram`."""
        self._recent.append(gram)
        self._count[gram] += 1
        self._often += self._weight(gram, self._count[gram])
        if len(self._recent) > RECENT:
            oldest = self._recent.popleft()
            self._often -= self._weight(oldest, self._count[oldest])
            self._count[oldest] -= 1
            if not self._count[oldest]:
                del self._count[oldest]
        return len(self._recent) == RECENT and self._often >= STALE * RECENT

    @staticmethod
    def _weight(gram: _Gram, count: int) -> int:
        """By how much `_often` changes between `count` - 1 and `count`."""
        return OFTEN if count == OFTEN else count > OFTEN


def good_length(text: str) -> int:
    """How many characters of a text come before it repeats itself to its end.

    One round of what is repeated is kept; of a text without an exact copy, a part.
    """
    found = list(re.finditer(r"\S+", text))
    words = [match[0] for match in found]
    for period in range(1, len(words) // 2 + 1):
        copied = _copied(words, period)
        if copied >= max(COPY, period):
            return found[len(words) - copied].start()
    return found[int(len(found) * KEPT)].start() if found else 0


def _copied(words: Sequence[str], period: int) -> int:
    """How many words at the end equal those `period` words before them."""
    copied = 0
    for here, before in zip(reversed(words), reversed(words[:-period]), strict=False):
        if here != before:
            break
        copied += 1
    return copied
