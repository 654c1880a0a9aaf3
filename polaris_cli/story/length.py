"""What both ways of reaching a length go by: the limits, and how the words are shared out.

Knows words and profiles; not how a text is written or closed.
"""

from collections.abc import Iterator, Sequence

from polaris_cli.events import Chapter, Chunk, Event, Finish, closing
from polaris_cli.models.catalogue import ModelProfile
from polaris_cli.words import WordCounter

SCENE_BREAK = "* * *\n\n"
NEAR = 0.93  # of the words asked for: an end from here on is taken
PAST = 1.05  # of the words asked for: from here on the story closes at the end of a paragraph
EDGE = 1.12  # of the words asked for: from here on at the end of a sentence
LEAST_EPISODE = 40  # words: no end is allowed earlier after a scene break
MOST_ROUNDS = 200  # a bound that no honest run meets: each adds LEAST_EPISODE words
COMFORT = 0.85  # of the most words a model writes well: what a chapter is planned to have
MOST_CORRECTION = 1.6  # of an ask, either way
MOST_SHARE = 1.25  # of a chapter's share of the words: from here on it closes after a paragraph


def chapter_count(words: int, profile: ModelProfile) -> int:
    """How many chapters a story of `words` takes with such a model."""
    return max(2, -(-words // round(profile.good_words[1] * COMFORT)))


def closed_after(run: Iterator[Event], words: int) -> Iterator[Event]:
    """Pass a chapter on and close it at the end of the first paragraph with so many words.

    A model that does not heed a short ask would else take the words of the chapters to come.
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
    """How many words to ask for, so that the whole comes out right.

    What has been delivered of what was asked, over all chapters of this run, corrects the next
    ask; it never leaves the range that the model writes well.
    """

    def __init__(self, words: int, count: int, most: int) -> None:
        self._left = words
        self._least = max(1, words // (2 * count))  # half an even share
        self._most = most
        self._asked = self._delivered = 0

    @property
    def left(self) -> int:
        """The words still to be written, at least so many that a chapter can come to its end."""
        return max(self._left, self._least)

    def share(self, rest: Sequence[Chapter]) -> int:
        """The words that the first of the chapters that are left should have."""
        share = max(self._left, 0) * rest[0].words / sum(chapter.words for chapter in rest)
        return max(round(share), LEAST_EPISODE)

    def ask(self, share: int) -> int:
        """The words to ask for, so that a chapter of `share` words comes of it."""
        rate = self._delivered / self._asked if self._delivered else 1.0
        rate = min(max(rate, 1 / MOST_CORRECTION), MOST_CORRECTION)
        return max(min(round(share / rate), self._most), LEAST_EPISODE)

    def take(self, asked: int, delivered: int) -> None:
        """Take a chapter with its heading off what is left, and learn from it."""
        self._left -= delivered
        self._asked += asked
        self._delivered += delivered
