"""The limits for extending and chapters, and the number of words to request for each chapter.

Knows words and model profiles. Does not know how a text is written.
"""

from collections.abc import Iterator, Sequence

from polaris_cli.events import Chapter, Chunk, Event, Finish, closing
from polaris_cli.models.catalogue import ModelProfile
from polaris_cli.words import WordCounter

SCENE_BREAK = "* * *\n\n"
# As multiples of the words requested for the story:
ACCEPT_END_AT = 0.93  # from here on, the model may end the story
CLOSE_PARAGRAPH_AT = 1.05  # from here on, the story ends after the current paragraph
CLOSE_SENTENCE_AT = 1.12  # from here on, the story ends after the current sentence

MIN_SCENE_WORDS = 40  # words after a scene break before the model may end
MAX_ROUNDS = 200  # a safety limit: each round adds at least MIN_SCENE_WORDS words
PLANNED_SHARE = 0.85  # planned length of a chapter / most words that the model writes well
MAX_CORRECTION = 1.6  # factor by which a request may differ from the words wanted, up or down
MAX_CHAPTER_SHARE = 1.25  # multiple of a chapter's share at which it ends after the paragraph


def chapter_count(words: int, profile: ModelProfile) -> int:
    """How many chapters to plan for a story of `words` words with this model."""
    return max(2, -(-words // round(profile.good_words[1] * PLANNED_SHARE)))


def close_after(run: Iterator[Event], words: int) -> Iterator[Event]:
    """Yield the events of a chapter, and end it after the paragraph that reaches `words` words.

    Otherwise a model that writes more than requested would use up the words of later chapters.
    """
    counter, at_break = WordCounter(), False
    with closing(run):
        for event in run:
            if isinstance(event, Chunk) and event.kind == "story" and event.text:
                if at_break and event.text.strip() and counter.count >= words:
                    yield Finish("stop")
                    return
                counter.add(event.text)
                at_break = "\n" in event.text if event.text.isspace() else event.text.endswith("\n")
            yield event


class Pace:
    """How many words to request for each chapter, so that the story has `words` words.

    `count` is the number of chapters, `maximum` the most words to request for one. Words written /
    words requested, over all chapters so far, corrects the next request.
    """

    def __init__(self, words: int, count: int, maximum: int) -> None:
        self._remaining = words
        self._minimum = max(1, words // (2 * count))  # half of an equal share
        self._maximum = maximum
        self._requested = self._delivered = 0

    @property
    def remaining(self) -> int:
        """The words still to write, but at least half of an equal share, to finish a chapter."""
        return max(self._remaining, self._minimum)

    def share(self, rest: Sequence[Chapter]) -> int:
        """How many words the first of the remaining chapters, `rest`, should have."""
        share = max(self._remaining, 0) * rest[0].words / sum(chapter.words for chapter in rest)
        return max(round(share), MIN_SCENE_WORDS)

    def words_to_request(self, share: int) -> int:
        """How many words to request to get a chapter of `share` words."""
        rate = self._delivered / self._requested if self._delivered else 1.0
        rate = min(max(rate, 1 / MAX_CORRECTION), MAX_CORRECTION)
        return max(min(round(share / rate), self._maximum), MIN_SCENE_WORDS)

    def record(self, requested: int, delivered: int) -> None:
        """Count a finished chapter: the words requested, and those delivered with the heading."""
        self._remaining -= delivered
        self._requested += requested
        self._delivered += delivered
