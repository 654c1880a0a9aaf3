"""Signs of decay in a story's text alone: what is no prose, or no story any more.

Compares the last words with the beginning. Knows text, not tokens. Talk, turning to the reader,
general words and phrases that come again are signs in stories only: an essay or a podcast may do
so. The figures come from SmolLM2-135M at temperatures 0.5 to 1.4.

- Phrases that come again: of the groups of three words in the last hundred outside speech,
  `REPEATED` or more are repetitions of earlier ones there ("he smiled at himself, and smiled at
  himself again"). Good stories reach 0.08. A text whose first hundred words have half of that is a
  litany by intention.
- Talk: `TALK` sentences of meta-talk within `NEAR` characters. One alone may belong to the story;
  with `last_talk`, it counts in the last paragraph of the text, with `any_talk` everywhere. Those
  in the first `OPENING` characters introduce the story.
- Turned to the reader or the text: the last hundred words outside speech and letters have `TURNED`
  points, two for a word that names the text or its parts, one for each "you", while the first
  `FIRST_WORDS` have at most `OWN`. A story in the second person, or about a writer, begins like
  that, and its people may tell stories and tales.
- No longer told: for `LASTING` words, the last hundred outside speech have `GENERAL` general words
  ("you", "should", "everyone", "story") or more, and these and verbs in the present outnumber the
  words of telling ("she", "was", "walked") by `UNTOLD`, and by `GROWN` more than in the first
  hundred. "Everyone can carry this story on" is no scene. One or two such sentences are how stories
  end; a scene in the present tense has few general words.
- Litter: `LITTER` hashtags, handles, links, emojis or stage directions within `NEAR` characters,
  where the first `OPENING` characters have at most one; stage directions count in stories only. A
  chat may have emojis from its first line.
- Lists: `ITEMS` of the last `LIST_LINES` lines are list items, where the beginning had none, in
  stories only: more than a shopping list or the rules of an inn. Speech behind a hyphen is no item.
- Fragments: of the last `LINES` lines, `SHORT_LINES` are shorter than `SHORT` words and no speech:
  more than a song within a story. Verse that begins as verse may stay so.
"""

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise

from polaris_cli.characters import CJK, SENTENCE_END
from polaris_cli.events import Chunk
from polaris_cli.streaming.headings import is_hyphen_speech, title_in
from polaris_cli.streaming.talk import is_talk, meta_talk, narration

OPENING = 300
NEAR = 900  # characters, about 150 words
TALK = 2
FIRST_WORDS = 150
OWN = 6
TURNED = 8
LASTING = 50
GENERAL = 7
UNTOLD = 6
GROWN = 8
REPEATED = 0.12
LITTER = 6
ITEMS = 12
LIST_LINES = 14
LINES = 30
SHORT_LINES = 27
SHORT = 5

RECENT = 2 * NEAR  # characters that are kept
STEP = 120  # characters between two looks at the text

_SENTENCE = re.compile(SENTENCE_END)
_LITTER = re.compile(
    r"(?<!\S)[#@]\w\S*|https?://\S+|www\.\S+|[\u263a\u2728\u2764\U0001f300-\U0001faff]"
)
# "(laughing softly)", but not "(nothing else was left)"
_DIRECTION = re.compile(
    r"\((?:\w+ly )?(?!(?:\w*thing|evening|morning|during|being|spring|string|king|ring)\b)"
    r"[a-z]+ing\b[^)\n]{0,60}\)|\*sighs?\*"
)
_ITEM = re.compile(r"\s*(?:[-*•]|\d+[.)])\s+\S")
_SAID = re.compile(r"\s*-\s+(\w)[^\n]*[.!?…]\W*$")  # a sentence behind a hyphen
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_STRETCH = re.compile(r"\S+")
_MASK = re.compile(r"\W*x{2,}\W*")  # what `narration` puts in place of speech
_SIGNS = ".,;:!?…-–—*_()[]\"'“”‘’«»"  # noqa: RUF001
_WORD = re.compile(r"[\w']+")
_UNIT = re.compile(rf"[{CJK}]|[^\s{CJK}]+")  # a word, or a sign of Chinese or Japanese
_SPOKEN = re.compile(r"[\"“”„«»‹›「」『』]|^\s*[-–—]")  # noqa: RUF001
_READER = re.compile(r"you(?:r|rs|rself|'re|'ll|'ve|'d)?", re.IGNORECASE)
_TEXT = re.compile(
    r"(?:chapter|narrative|reader|paragraph|sentence|scene|character|theme|plot|ending|writing|"
    r"prompt|article|essay|novel|text|title)(?:s|'s)?|(?:story|tale)(?:'s)?",
    re.IGNORECASE,
)
# English words; in other languages, the criterion that needs them finds nothing.
_GENERAL = re.compile(
    r"you(?:r|rs|'re|'ve|'ll)?|can|may|will|must|should|needs?|let(?:'s)?|this|these|or|if|every"
    r"|(?:some|every)(?:one|thing)|people|others|story|stories|tale|narrative|readers?"
)
_PRESENT = re.compile(
    r"am|is|are|be|has|have|been|i'm|(?:is|are|do|does|ca)n't|(?:it|that|there)'s"
)
_TOLD = re.compile(
    r"he|she|they|him|her|them|his|had|was|were|would|could|knew|took|told|said|asked|went|came|saw"
    r"|felt|thought|began|stood|found|heard|did|gave|made|got|ran|sat|(?:did|was|could|had|were)n't"
    r"|\w{3,}ed"
)


class Prose:
    """Applies the criteria that need the text alone, to its last `RECENT` characters."""

    def __init__(self, beginning: str, *, narrative: bool, last_talk: bool, any_talk: bool) -> None:
        self._beginning = beginning[:NEAR]
        self._earlier = len(beginning)  # characters before the text
        self._before = 0  # characters before the recent ones
        self._recent = ""
        self._unseen, self._ended = 0, False
        self._last_talk, self._talks = last_talk, 1 if any_talk else TALK
        self._litter_signs = [_LITTER, _DIRECTION] if narrative else [_LITTER]
        self._criteria = [self._litter, self._fragments]
        if narrative:
            self._criteria += [
                self._items, self._talk, self._turned, self._general, self._repeats,
            ]  # fmt: skip

    def add(self, chunk: Chunk) -> int | None:
        """Add a chunk; return where decay starts, if the text shows it."""
        if len(self._beginning) < NEAR:
            self._beginning = (self._beginning + chunk.text)[:NEAR]
        self._recent += chunk.text
        self._unseen += len(chunk.text)
        return self.look() if self._unseen >= STEP or "\n" in chunk.text else None

    def look(self, *, at_end: bool = False) -> int | None:
        """Where decay starts, if the text so far, which may be all, shows it."""
        self._unseen, self._ended = 0, at_end
        self._before += max(0, len(self._recent) - RECENT)
        self._recent = self._recent[-RECENT:]
        for criterion in self._criteria:
            if (start := criterion()) is not None:
                return self._before + start
        return None

    def _place(self, start: int) -> int:
        """The place in the story, in characters, of a place in the recent text."""
        return self._earlier + self._before + start

    def _talk(self) -> int | None:
        ends = [0, *(found.end() for found in _SENTENCE.finditer(self._recent))]
        end = len(self._recent) if self._ended else max(ends[-1], self._recent.rfind("\n") + 1)
        whole = self._recent[:end]
        first = self._title_end()
        talks = [start for start, _ in meta_talk(whole) if start >= first]
        starts = [start for start in talks if self._place(start) >= OPENING]
        pairs = zip(starts, starts[self._talks - 1 :], strict=False)
        near = next((first for first, last in pairs if last - first <= NEAR), None)
        return self._talk_at_end(talks) if near is None and self._ended else near

    def _talk_at_end(self, starts: Sequence[int]) -> int | None:
        """The first of these sentences that is in the last paragraph, behind another."""
        if not self._last_talk:
            return None
        if not self._before and is_talk(self._recent):  # an answer that has no story
            return 0
        paragraph = self._recent.rstrip().rfind("\n") + 1
        last = max(paragraph, len(self._recent) - NEAR)
        behind = bool(paragraph or self._place(0))
        return next((start for start in starts if behind and start >= last), None)

    def _title_end(self) -> int:
        """The end of a first line such as "Title: The Fox", which is no talk about the text."""
        if self._before:
            return 0
        line = self._recent.lstrip().split("\n", 1)[0]
        return self._recent.index(line) + len(line) if title_in(line) else 0

    def _turned(self) -> int | None:
        if self._place(len(self._recent)) < 2 * NEAR:  # else the hundred words may be the first
            return None
        last = list(_WORD.finditer(narration(self._recent)))[-100:]
        words = [word for word in last if _points(word[0])]
        points = sum(_points(word[0]) for word in words)
        if points < TURNED:
            return None
        first = _WORD.findall(narration(self._beginning))[:FIRST_WORDS]
        if sum(map(_points, first)) > OWN:
            return None
        return words[0].start()

    def _general(self) -> int | None:
        words = _told_words(self._recent)
        ends = range(len(words) - LASTING, len(words) + 1, 5)
        if len(words) < 100 + LASTING or not all(
            _is_general(words[end - 100 : end]) for end in ends
        ):
            return None
        points = [point for _, point, _ in words]
        begun = _told_words(self._beginning)[:100]
        least = sum(point for _, point, _ in begun) + GROWN
        if len(begun) < 100 or any(sum(points[end - 100 : end]) < least for end in ends):
            return None
        sums = list(accumulate(points))
        return words[min(range(len(sums) - 1), key=sums.__getitem__) + 1][0]

    def _litter(self) -> int | None:
        near = [each for each in self._signs_in(self._recent) if each >= len(self._recent) - NEAR]
        if len(near) < LITTER or self._place(near[0]) < OPENING:
            return None
        return near[0] if len(self._signs_in(self._beginning[:OPENING])) <= 1 else None

    def _signs_in(self, text: str) -> list[int]:
        """Where litter begins in a text, in order."""
        return sorted(each.start() for sign in self._litter_signs for each in sign.finditer(text))

    def _items(self) -> int | None:
        lines = list(_LINE.finditer(self._recent))[-LIST_LINES:]
        items = [line.start() for line in lines if _is_item(line[0])]
        begun = any(_is_item(line) for line in _LINE.findall(self._beginning))
        return items[0] if len(items) >= ITEMS and not begun else None

    def _repeats(self) -> int | None:
        words = _narrated(self._recent)[-100:]
        again = _repeated(words)
        if len(words) < 100 or len(again) < REPEATED * len(words):
            return None
        begun = _repeated(_narrated(self._beginning)[:100])
        return again[0] if len(begun) < REPEATED / 2 * 100 else None

    def _fragments(self) -> int | None:
        lines = list(_LINE.finditer(self._recent))[-LINES:]
        short = [line.start() for line in lines if _is_fragment(line[0])]
        if len(short) < SHORT_LINES:
            return None
        begun = _LINE.findall(self._beginning)
        return None if sum(map(_is_fragment, begun)) * 3 >= len(begun) else short[0]


def _is_item(line: str) -> bool:
    said = _SAID.match(line)
    return bool(_ITEM.match(line)) and not (is_hyphen_speech(line) or (said and said[1].isupper()))


def _narrated(text: str) -> list[tuple[str, int]]:
    """The words outside speech and letters, with their places.

    Without sentences that are there a second time: those are a refrain.
    """
    told = narration(text)
    ends = [found.end() for found in _SENTENCE.finditer(told)]
    words, seen = list[tuple[str, int]](), set[tuple[str, ...]]()
    for start, end in pairwise([0, *ends, len(told)]):
        found = [
            each for each in _STRETCH.finditer(told, start, end) if not _MASK.fullmatch(each[0])
        ]
        sentence = [(each[0].strip(_SIGNS).lower(), each.start()) for each in found]
        plain = tuple(word for word, _ in sentence)
        if plain not in seen:
            words += sentence
        seen.add(plain)
    return words


def _repeated(words: Sequence[tuple[str, int]]) -> list[int]:
    """Where groups of three words begin that occurred before."""
    seen, again = set[tuple[str, ...]](), list[int]()
    for (first, place), (second, _), (third, _) in zip(words, words[1:], words[2:], strict=False):
        if (first, second, third) in seen:
            again.append(place)
        seen.add((first, second, third))
    return again


def _told_words(text: str) -> list[tuple[int, int, bool]]:
    """The words outside speech: their places, points against telling, and whether they are
    general."""
    found = (each for each in _WORD.finditer(narration(text)) if not _MASK.fullmatch(each[0]))
    return [(each.start(), *_untold(each[0].lower())) for each in found]


def _is_general(words: Sequence[tuple[int, int, bool]]) -> bool:
    """Whether a hundred words are general, and not in the past."""
    general = sum(each for *_, each in words)
    return general >= GENERAL and sum(points for _, points, _ in words) >= UNTOLD


def _untold(word: str) -> tuple[int, bool]:
    """1 for a general word or a verb in the present, -1 for a word of telling, else 0; and whether
    it is general."""
    general = bool(_GENERAL.fullmatch(word))
    return (general or bool(_PRESENT.fullmatch(word))) - bool(_TOLD.fullmatch(word)), general


def _is_fragment(line: str) -> bool:
    return len(_UNIT.findall(line)) < SHORT and not _SPOKEN.search(line)


def _points(word: str) -> int:
    """How much a word shows that the text turned to the reader or to itself."""
    return 2 * bool(_TEXT.fullmatch(word)) + bool(_READER.fullmatch(word))
