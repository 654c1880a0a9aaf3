"""The limits for extending and chapters, and the number of words to request for each chapter.

Knows words and model profiles. Does not know how a text is written.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from polaris_cli.characters import SENTENCE_END
from polaris_cli.events import Chapter, Event, Finish, closing, text_of
from polaris_cli.models.catalogue import ModelProfile
from polaris_cli.request.story_request import MAX_CHAPTERS
from polaris_cli.words import WordCounter, story_words

SCENE_BREAK = "* * *\n\n"
# As multiples of the words requested for the story:
ACCEPT_END_AT = 0.93  # from here on, the model may end the story
CLOSE_PARAGRAPH_AT = 1.05  # from here on, the story ends after the current paragraph
CLOSE_SENTENCE_AT = 1.07  # from here on, the story ends after the current sentence
# What a last paragraph and a last sentence may add before the story is longer than its band, as
# multiples of the words requested and, for a short story, in words:
PARAGRAPH_MARGIN = 0.12
SENTENCE_MARGIN = 0.05
PARAGRAPH_WORDS = 30
SENTENCE_WORDS = 15
QUOTATION_WORDS = 15  # to wait at the end of a sentence for the end of a quotation

MIN_SCENE_WORDS = 40  # the fewest words to request
MIN_SCENE_TOKENS = 60  # after a scene break before the model may end; about as many words
MAX_ROUNDS = 200  # a safety limit: each round adds at least MIN_SCENE_TOKENS
PLANNED_SHARE = 0.85  # planned length of a chapter / most words that the model writes well
MAX_CORRECTION = 1.6  # factor by which a request may differ from the words wanted, up or down
# As multiples of a chapter's share:
CHAPTER_PARAGRAPH_AT = 1.1  # from here on, a chapter ends after the current paragraph
CHAPTER_SENTENCE_AT = 1.3  # from here on, a chapter ends after the current sentence
MORE_CHAPTERS_AT = 1.25  # multiple of what a chapter has delivered that asks for one more
GO_ON_BELOW = 0.85  # of the words: a story that ended earlier goes on, however short it is
MAX_FURTHER = 2  # scenes after an early end
# The ending that is written for a story whose last chapter becomes too long:
ENDING_WORDS = 120  # at most so many words,
ENDING_SHARE = 0.35  # and at most this share of what the chapter should have
LEAST_FOR_ENDING = 100  # words of a chapter that gets one
# A model that wrote too much does it again. With as many words asked for as were missing, 15 of 20
# endings of smollm2 had to be closed; with 0.7 times as many, 8.
OVERRUN = 1.3  # words written / words requested, of a story that became too long
PARAGRAPH_KEEPS = 0.8  # of the words before the ending: else it follows a sentence

PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*$")
_SENTENCE = re.compile(rf"(?<!\b[A-Z])(?<!\b[A-Z][a-z])(?<!\bMrs){SENTENCE_END}")  # no "Mr."
# A quotation that is still open at the end. The mark before it tells an opening one from a closing
# one: some languages open with the mark that closes in others.
_OPEN_QUOTATION = re.compile(
    r"""(?:(?<![^\s(\[—-])"(?=\S)[^"\n]*|(?<![\w.!?…,])“[^“”\n]*|„[^“”\n]*|[「『][^」』\n]*"""
    r"""|(?<!\S)«[^«»\n]*|(?<!\S)»(?=\S)[^«»\n]*)\Z"""
)
_PARAGRAPH = re.compile(r"(?<=\S)[^\S\n]*\n[^\S\n]*\n")
_TAIL = 40  # characters, in which a sentence or a paragraph may have ended


def least_to_end(words: int) -> int:
    """From how many words on a story that goes on within its answer may end.

    Also where less is missing than half of the shortest scene, which would make it too long.
    """
    return math.ceil(min(ACCEPT_END_AT * words, words - MIN_SCENE_WORDS / 2))


def most_missing(words: int, band: tuple[float, float]) -> float:
    """How many words a story may lack at its end before it goes on.

    What keeps it within its band; of a short story, more than that is not worth a further scene.
    """
    below_band = max(words - min(band[0], 1.0) * words, MIN_SCENE_WORDS / 2)
    return min(below_band, (1 - GO_ON_BELOW) * words)


def words_for_ending(words: int) -> int:
    """The words of an ending that is asked for when a last chapter of `words` words becomes too
    long.

    0 for one that is too short to be divided. Of 20 passes of smollm2 that were too long, one
    was at an end where it was closed, and 11 with such an ending.
    """
    return min(round(ENDING_SHARE * words), ENDING_WORDS) if words >= LEAST_FOR_ENDING else 0


def place_for_ending(text: str, words: int) -> int:
    """Where an ending can follow within the first `words` words of a text, in characters.

    That is the last end of a paragraph there, or of a sentence outside quotations if it leaves much
    more of the text; 0 if there is none.
    """
    paragraphs = reversed([found.start() for found in _PARAGRAPH.finditer(text)])
    paragraph = _first_within(text, paragraphs, words)
    if story_words(text[:paragraph]) >= PARAGRAPH_KEEPS * words:
        return paragraph
    return _first_within(text, _sentence_ends(text), words)


def place_nearer(text: str, target: "LengthTarget") -> int:
    """Where a text that was closed comes nearer to its words: before its last sentence.

    In characters; 0 if it does not, or if it would have too few words.
    """
    place = _last_sentence(text)
    before, excess = story_words(text[:place]), story_words(text) - target.words
    return place if before >= target.least and abs(before - target.words) < excess else 0


def place_of_overrun(text: str, target: "LengthTarget") -> int:
    """Where the last sentence of a text begins, if it takes the text beyond its band.

    In characters; 0 if it does not.
    """
    place = _last_sentence(text)
    is_over = story_words(text) > target.most
    return place if is_over and story_words(text[:place]) <= target.words else 0


def _last_sentence(text: str) -> int:
    """Where the last sentence of a text begins, in characters; 0 for a text of one sentence."""
    text = text.rstrip()
    return next((end for end in _sentence_ends(text) if end < len(text)), 0)


def _sentence_ends(text: str) -> Iterator[int]:
    """Where sentences outside quotations end, the last one first."""
    ends = reversed([found.end() for found in _SENTENCE.finditer(text)])
    return (end for end in ends if not _OPEN_QUOTATION.search(text[:end]))


def _first_within(text: str, places: Iterable[int], words: int) -> int:
    return next((end for end in places if story_words(text[:end]) <= words), 0)


def chapter_count(words: int, profile: ModelProfile) -> int:
    """How many chapters to plan for a story of `words` words with this model."""
    count = -(-words // round(profile.good_words[1] * PLANNED_SHARE))
    return min(max(2, count), MAX_CHAPTERS)


@dataclass(frozen=True, slots=True)
class LengthTarget:
    """Where a text closes: after the paragraph that reaches `paragraph` words, or after the
    sentence that reaches `sentence` words.

    That sentence is left out if the text is then nearer to `words` words, and has `least`. The band
    of the text is from `least` to `most`.
    """

    paragraph: float
    sentence: float
    words: float = math.inf
    least: float = 0.0
    most: float = math.inf

    def distance(self, words: int) -> float:
        """How far a text of so many words is from the target; 0 within its band."""
        return 0.0 if self.least <= words <= self.most else abs(words - self.words)

    @classmethod
    def of_chapter(cls, share: int) -> Self:
        """For a chapter that others follow; without it, one would use up the words of the next."""
        return cls(CHAPTER_PARAGRAPH_AT * share, CHAPTER_SENTENCE_AT * share)

    @classmethod
    def of_ending(cls, words: int, band: tuple[float, float], written: int = 0) -> Self:
        """For the end of a story of `words` words, which may be anywhere within the band.

        `written` words are in its earlier parts.
        """
        low, high = min(band[0], 1.0) * words, max(band[1], 1.0) * words
        paragraph = max(high - max(PARAGRAPH_MARGIN * words, PARAGRAPH_WORDS), low)
        sentence = max(high - max(SENTENCE_MARGIN * words, SENTENCE_WORDS), words)
        limits = (paragraph, sentence, words, low, high)
        return cls(*(limit - written for limit in limits))


def close_at(run: Iterator[Event], target: LengthTarget) -> Iterator[Event]:
    """Yield the events of an answer, and end it with "stop" where the target says."""
    closed = Finish("stop", closed=True)
    counter, tail, paragraph = WordCounter(), "", ""
    with closing(run):
        for event in run:
            text = text_of(event)
            in_sight = counter.count >= target.paragraph and text.strip()
            over = closes(paragraph, text, counter.count - target.sentence)
            if over or (in_sight and PARAGRAPH_END.search(tail)):
                yield closed
                return
            yield event
            counter.add(text)
            tail = (tail + text)[-_TAIL:]
            paragraph = (paragraph + text).rpartition("\n\n")[2]


def closes(paragraph: str, following: str, excess: float) -> bool:
    """Whether a text with so many words too many (negative: too few) ends after this part of its
    last paragraph: with a sentence, and if the end is not far, not within a quotation."""
    if excess < 0 or not ends_sentence(paragraph, following):
        return False
    return excess >= QUOTATION_WORDS or not _OPEN_QUOTATION.search(paragraph)


def ends_sentence(text: str, following: str) -> bool:
    """Whether a sentence ends with `text`, as the text that follows begins a new one.

    Without it nobody knows: "3." may go on to "3.5", and a quotation mark may be still to come.
    """
    tail = text[-_TAIL:]
    ends = (found.end() for found in _SENTENCE.finditer(tail + following))
    return bool(following) and any(end <= len(tail) and not tail[end:].strip() for end in ends)


class Pace:
    """How many words to request for each chapter, so that the story has `words` words.

    `count` is the number of chapters, `maximum` the most words to request for one. Words written /
    words requested, over all chapters so far, corrects the next request.
    """

    def __init__(self, words: int, count: int, maximum: int) -> None:
        self._words = words
        self._minimum = max(1, words // (2 * count))  # half of an equal share
        self._maximum = maximum
        self._requested = self._delivered = self._chapters = 0

    @property
    def written(self) -> int:
        """The words of the chapters so far."""
        return self._delivered

    @property
    def missing(self) -> int:
        """The words still to write."""
        return self._words - self._delivered

    @property
    def remaining(self) -> int:
        """The words still to write, but at least half of an equal share, to finish a chapter."""
        return max(self.missing, self._minimum)

    def share(self, rest: Sequence[Chapter]) -> int:
        """How many words the first of the remaining chapters, `rest`, should have."""
        share = max(self.missing, 0) * rest[0].words / sum(chapter.words for chapter in rest)
        return max(round(share), MIN_SCENE_WORDS)

    def needs_another(self, chapters: int) -> bool:
        """Whether more is missing than this number of chapters will probably deliver.

        And enough for one more: after a first answer of a few words, many would be far too much.
        """
        if not self._chapters or self.missing < MIN_SCENE_WORDS * (chapters + 1):
            return False
        usual = max(self._delivered / self._chapters, MIN_SCENE_WORDS)
        return self.missing > MORE_CHAPTERS_AT * usual * chapters

    def words_to_request(self, share: int, *, after_overrun: bool = False) -> int:
        """How many words to request to get a chapter of `share` words.

        `after_overrun`: it replaces the end of a chapter that became too long.
        """
        rate = self._delivered / self._requested if self._delivered else 1.0
        rate = OVERRUN if after_overrun else rate
        rate = min(max(rate, 1 / MAX_CORRECTION), MAX_CORRECTION)
        return max(min(round(share / rate), self._maximum), MIN_SCENE_WORDS)

    def record(self, requested: int, delivered: int) -> None:
        """Count a finished chapter: the words requested, and those delivered with the heading."""
        self._requested += requested
        self._delivered += delivered
        self._chapters += 1
