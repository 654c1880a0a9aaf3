"""Counts words, and measures how much a text repeats itself.

`count_words` is the count that users see, and matches `wc -w` and word processors. `story_words` is
the same but for Thai, Lao, Khmer and Burmese, which put no spaces between words: ICU finds them, if
it is installed. `paper_words` is the count of the POLARIS evaluation. Does not know about models,
streams or stories; `adherence` compares a count with the length asked for.

`count_words` agrees with `wc -w` (GNU coreutils, UTF-8 locale) on what separates words: white
space, the no-break spaces U+00A0, U+2007, U+202F and the word joiner U+2060, but not U+0085, U+2028
or U+2029. Control characters alone are not a word (as in coreutils 9.1; releases differ). An
unassigned code point is a word here, but not for `wc`. In the C locale `wc` sees bytes, so a dash
or an "é" alone is not a word there, and no-break spaces do not separate.
"""

import html
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache

from polaris_cli.characters import CJK, THAI_AND_SIMILAR

_UNSPACED_RUN = re.compile(f"[{THAI_AND_SIMILAR}]+")
_CJK = re.compile(f"[{CJK}]")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_WORD = re.compile(r"\w+")
_LETTER = re.compile(r"[^\W_\uff9e\uff9f]")  # a half-width voicing mark is of the sign before it
_REPETITION_TOKEN = re.compile(r"\w+|[^\s]")
_UNSETTLED = 100  # characters at the end of a run of Thai that more text may divide otherwise
_NEARBY = 63  # how many 4-grams back the local part of the repetition score looks


def count_words(text: str) -> int:
    """Words in `text` as `wc -w` counts them, except that each CJK character is a word.

    Between CJK characters, a run of other characters is a word if it has a letter or a digit, so
    CJK punctuation does not count.
    """
    stretches = _stretches(text)
    return sum(map(_words_in, stretches)) if _CJK.search(text) else len(stretches)


def story_words(text: str) -> int:
    """As `count_words`, but with the words that ICU finds in Thai, Lao, Khmer and Burmese."""
    if has_unspaced_words(text):
        return sum(map(_segmented_words_in, _stretches(text)))
    return count_words(text)


def has_unspaced_words(text: str) -> bool:
    """Whether the text has Thai, Lao, Khmer or Burmese in it."""
    return bool(_UNSPACED_RUN.search(text))


@cache
def word_breaker() -> Callable[[str], Iterable[tuple[int, int]]] | None:
    """A function that yields start and end of each word, space and sign of a text; None if ICU's
    package (the extra "segmentation") is not installed."""
    try:
        from icu4py.breakers import WordBreaker
    except ImportError:
        return None
    return lambda text: WordBreaker(text, "en").segments()  # the scripts decide, not the language


def _stretches(text: str) -> list[str]:
    # str.split would separate at some control characters where wc does not, so remove them first.
    return _INVISIBLE.sub("", text).replace("\u2060", " ").split()


def _words_in(stretch: str) -> int:
    runs = _CJK.split(stretch)
    if len(runs) == 1:
        return 1
    return len(runs) - 1 + sum(1 for run in runs if _LETTER.search(run))


def _segmented_words_in(stretch: str) -> int:
    """As `_words_in`, with the words in each run of Thai and the like in place of one."""
    segments = word_breaker() if has_unspaced_words(stretch) else None
    if not segments:
        return _words_in(stretch)
    unspaced = _UNSPACED_RUN.findall(stretch)
    others = _UNSPACED_RUN.split(stretch)
    return sum(
        1 for run in unspaced for start, end in segments(run) if _LETTER.search(run[start:end])
    ) + sum(_words_in(run) for run in others if _CJK.search(run) or _LETTER.search(run))


class WordCounter:
    """Counts a text that arrives in parts: `count` is always `story_words` of the joined parts.

    Takes time linear in the text and keeps only a few characters, whatever the parts are.
    """

    def __init__(self) -> None:
        self._done = 0
        self._open = ""  # short form of the stretch that white space has not ended yet

    @property
    def count(self) -> int:
        """Words so far, including an unfinished one."""
        return self._done + story_words(self._open)

    def add(self, text: str) -> None:
        """Count `text`, which continues exactly where the last part ended."""
        stretches = _stretches(self._open + text + "x")  # the x ends up in the open stretch
        last = stretches.pop()[:-1]
        self._open = _short_form(last)
        self._done += sum(map(_segmented_words_in, stretches))
        self._done += story_words(last) - story_words(self._open)


def _short_form(stretch: str) -> str:
    """A stretch that counts the same whatever text follows it, of a few characters if possible."""
    kept, rest = "", stretch
    if word_breaker() and (unspaced := _UNSPACED_RUN.findall(stretch)):
        kept, rest = _last_words(unspaced[-1]), _UNSPACED_RUN.split(stretch)[-1]
    *before, run = _CJK.split(rest)
    if _LETTER.search(run):
        run = "a"
    elif before:
        run = ""
    return kept + ("字" if before else "") + run[:1]


def _last_words(run: str) -> str:
    """The words at the end of a run of Thai and the like, which further text may divide anew."""
    segments = word_breaker()
    if len(run) <= 2 * _UNSETTLED or not segments:
        return run
    end = len(run) - _UNSETTLED
    return run[max((start for start, _ in segments(run) if 0 < start <= end), default=end) :]


def paper_words(text: str) -> int:
    """Words as the POLARIS evaluation counts them: runs of letters, digits and underscores.

    HTML entities are unescaped first, twice, as its data has some that were escaped twice. "It's"
    is two words.
    """
    return len(_WORD.findall(html.unescape(html.unescape(text))))


def self_repetition(text: str) -> float:
    """How much a text repeats itself, 0 (not at all) to about 1.16 (POLARIS training reward).

    Combines three shares: 4-grams that occurred before in the text, 4-grams that occurred within
    the last `_NEARBY`, and lines that occurred before.
    """
    tokens = _REPETITION_TOKEN.findall(text.lower())
    grams = list(zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    overall = _repeated(grams) - 0.08
    return 0.8 * (0.7 * max(0.0, overall) + 0.3 * _nearby(grams)) + 0.4 * _repeated(lines)


def _repeated(items: Sequence[Hashable]) -> float:
    return (len(items) - len(set(items))) / len(items) if items else 0.0


def _nearby(grams: list[tuple[str, str, str, str]]) -> float:
    last: dict[tuple[str, str, str, str], int] = {}
    near = 0
    for place, gram in enumerate(grams):
        near += place - last.get(gram, -_NEARBY - 1) <= _NEARBY
        last[gram] = place
    return near / len(grams) if grams else 0.0
