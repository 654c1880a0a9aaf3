"""Counting words, and how much a text repeats itself.

Two counts live here. `count_words` is what users see: what `wc -w` and word processors say.
`paper_words` is what the POLARIS evaluation counts. Knows nothing of models, streams or stories;
how near a count came to the length asked for is judged in `adherence`.

How exactly `count_words` agrees with `wc -w` (GNU coreutils, UTF-8 locale): the same white space
separates, with the no-break spaces U+00A0, U+2007, U+202F and the word joiner U+2060, and without
the separators U+0085, U+2028 and U+2029. Control characters alone make no word (so in coreutils
9.1; releases differ). A code point that no Unicode release has assigned is a word here
and none there. In the C locale `wc` sees bytes: there a dash or an "é" standing alone is no word
and no-break spaces do not separate.
"""

import html
import re
from collections.abc import Hashable, Sequence

from polaris_cli.characters import CJK

_CJK = re.compile(f"[{CJK}]")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_WORD = re.compile(r"\w+")
_LETTER = re.compile(r"[^\W_]")
_REPETITION_TOKEN = re.compile(r"\w+|[^\s]")
_NEARBY = 63  # 4-grams looked back at for the local part of the repetition score


def count_words(text: str) -> int:
    """Words in `text` as `wc -w` counts them, but each CJK character is a word.

    In a stretch without spaces that mixes both, the runs between CJK characters count when they
    hold a letter or a digit, so that CJK punctuation adds nothing.
    """
    return sum(map(_words_in, _stretches(text)))


def _stretches(text: str) -> list[str]:
    # What str.split takes for white space and wc does not is invisible, so it has gone before.
    return _INVISIBLE.sub("", text).replace("\u2060", " ").split()


def _words_in(stretch: str) -> int:
    runs = _CJK.split(stretch)
    if len(runs) == 1:
        return 1
    return len(runs) - 1 + sum(1 for run in runs if _LETTER.search(run))


class WordCounter:
    """Counts a text that comes in parts: `count` is always `count_words` of all parts together.

    Takes time linear in the text and keeps a few characters of it, however it is cut.
    """

    def __init__(self) -> None:
        self._done = 0
        self._open = ""  # stands for the stretch not yet ended by white space

    @property
    def count(self) -> int:
        """Words so far, the one that may still go on included."""
        return self._done + count_words(self._open)

    def add(self, text: str) -> None:
        """Count `text`, which goes on exactly where the last part ended."""
        stretches = _stretches(self._open + text + "x")  # the x ends up in the open stretch
        last = stretches.pop()[:-1]
        self._open = _short_form(last)
        self._done += sum(map(_words_in, stretches)) + count_words(last) - count_words(self._open)


def _short_form(stretch: str) -> str:
    """The shortest stretch that whatever follows joins in the same way."""
    *before, run = _CJK.split(stretch)
    if _LETTER.search(run):
        run = "a"
    elif before:
        run = ""
    return ("字" if before else "") + run[:1]


def paper_words(text: str) -> int:
    """Words as the POLARIS evaluation counts them: runs of letters, digits and underscores.

    HTML entities are resolved first, twice, since its data holds some that were escaped twice.
    "It's" counts as two.
    """
    return sum(1 for _ in _WORD.finditer(html.unescape(html.unescape(text))))


def self_repetition(text: str) -> float:
    """How much a text repeats itself, 0 (not at all) to about 1.16 (POLARIS training reward).

    Joins the share of 4-grams seen before in the text, the share seen a moment before, and the
    share of lines seen before.
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
