"""Signs of decay in the log-probabilities of a text's tokens: gibberish, and ruts.

Compares the surprise, -log p, with that of the story's beginning. Knows tokens, not text. The
figures come from SmolLM2-135M at temperatures 0.5 to 1.4.

- Gibberish: the surprise of two windows of `WINDOW` tokens in a row is above `HIGH`, and above
  `FAR_ABOVE` times that of the first `BEGINNING` tokens (the median of its windows, so that one odd
  name does not count). Good stories have 0.9 to 1.9 nats, single windows up to 2.4, gibberish has
  2.9 to 4.3. Above `GIBBERISH` the beginning does not matter: it may be gibberish itself.
- A rut: both windows are below `LOW` and below `FAR_BELOW` times the beginning. Ruts have 0.5 to
  0.9 nats. A model that is always that sure begins so, and is not stopped.
"""

from collections import deque
from statistics import fmean, median

from polaris_cli.events import Chunk

WINDOW = 64  # tokens
BEGINNING = 3 * WINDOW
HIGH = 2.5
FAR_ABOVE = 1.35
GIBBERISH = 2.9
LOW = 0.9
FAR_BELOW = 0.65


class Surprise:
    """Compares the last two windows of tokens with the beginning."""

    def __init__(self, beginning: list[float]) -> None:
        self._length = 0
        self._beginning: list[float] = []
        self._usual: float | None = None
        self._recent: deque[tuple[int, float]] = deque(maxlen=2 * WINDOW)
        for surprise in beginning:
            self._begin(surprise)

    def add(self, chunk: Chunk) -> int | None:
        """Add a chunk; return where decay starts, if the surprise shows it."""
        for log_prob in chunk.log_probs:
            self._recent.append((self._length, -log_prob))
            self._begin(-log_prob)
        self._length += len(chunk.text)
        if not chunk.log_probs or len(self._recent) < 2 * WINDOW:
            return None
        values = [value for _, value in self._recent]
        return (
            self._recent[0][0]
            if self._decayed(fmean(values[:WINDOW]), fmean(values[WINDOW:]))
            else None
        )

    def _begin(self, surprise: float) -> None:
        if self._usual is not None:
            return
        self._beginning.append(surprise)
        if len(self._beginning) == BEGINNING:
            starts = range(0, BEGINNING, WINDOW)
            self._usual = median(fmean(self._beginning[at : at + WINDOW]) for at in starts)

    def _decayed(self, before: float, now: float) -> bool:
        if self._usual is None:
            return min(before, now) > GIBBERISH
        high = min(GIBBERISH, max(HIGH, FAR_ABOVE * self._usual))
        low = min(LOW, FAR_BELOW * self._usual)
        return min(before, now) > high or max(before, now) < low
