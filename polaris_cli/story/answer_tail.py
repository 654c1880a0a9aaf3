"""One answer while it is written: what is in the stream, and its end, which is held back.

The end can be cut and written again: `AnswerTail`. Knows events and characters. Does not know why
an answer is cut.
"""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence

from polaris_cli.characters import SENTENCE_END
from polaris_cli.events import Again, Chunk, Event, Finish, Held, Restart, closing
from polaris_cli.story.length import (
    LengthTarget,
    place_for_ending,
    place_nearer,
    place_of_overrun,
)
from polaris_cli.story.single_pass import ids_of, without_replay
from polaris_cli.streaming.prose import NEAR
from polaris_cli.words import story_words

MOST_HELD = 2 * NEAR  # characters; in a longer paragraph, sentences are given out

_PARAGRAPH = re.compile(r".*\n\s*", re.DOTALL)
_SENTENCE = re.compile(rf".*{SENTENCE_END}(?=.)\s*", re.DOTALL)


def story_of(chunks: Iterable[Chunk]) -> Iterator[str]:
    """The texts of the story's chunks."""
    return (chunk.text for chunk in chunks if chunk.kind == "story")


class AnswerTail:
    """The answer so far: the chunks that are in the stream, and those held back.

    The first `replayed` token ids are those of an earlier run. All text behind the first `keep`
    words is held, if that is not 0.
    """

    def __init__(self, replayed: int, keep: int) -> None:
        self.earlier: list[Chunk] = []
        self._keep, self._replayed = keep, replayed
        self._given: list[Chunk] = []
        self._held: list[Chunk] = []
        self._holds_all = False

    @property
    def end(self) -> tuple[Chunk, ...]:
        """The held chunks."""
        return tuple(self._held)

    @end.setter
    def end(self, chunks: Sequence[Chunk]) -> None:
        self._held = [*chunks]

    def hold_all(self) -> None:
        """Give out no more of the text until it is released."""
        self._holds_all = True

    @property
    def chunks(self) -> list[Chunk]:
        """All chunks of the answer."""
        return [*self.earlier, *self.new]

    @property
    def new(self) -> list[Chunk]:
        """The chunks that are not of an earlier run."""
        return [*self._given, *self._held]

    @property
    def length(self) -> int:
        """The number of new characters of the story."""
        return sum(map(len, story_of(self.new)))

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids of the answer."""
        return ids_of(self.chunks)

    def take(self, run: Iterator[Event]) -> Generator[Event, None, Finish]:
        """Yield the events of a run, but for the end of the story; return how it finished.

        After Ctrl-C, all of its text is yielded.
        """
        new = without_replay(run, len(self.ids))  # else what was kept of an earlier attempt
        try:
            with closing(new):
                for event in new:
                    if isinstance(event, Finish):
                        return event
                    yield from self._add(event)
        except KeyboardInterrupt:
            yield from self.release()
            raise
        return Finish("interrupted")

    def cut(self, length: int) -> Chunk:
        """Drop the held chunks behind the first `length` new characters of the story.

        Returns their text as an aside. It has no ids: what continues the story must not read it.
        """
        count = self._count_within(length - self._given_length())
        while count and not self._held[count - 1].text:  # the first bytes of a character cut away
            count -= 1
        dropped, self._held = self._held[count:], self._held[:count]
        text = "".join(chunk.text for chunk in dropped)
        return Chunk("aside", f"\n\n{text.strip()}", sum(chunk.tokens for chunk in dropped))

    def cut_for_ending(self) -> Chunk | None:
        """Drop the text behind the first `keep` words; None if no end of a sentence is there to
        cut at."""
        place = place_for_ending(self.text, self._keep)
        return self.cut_at(max(place, self._streamed_length()))

    def cut_overrun(self, target: LengthTarget) -> Chunk | None:
        """Drop a last sentence with which the text is farther from its words; None if it is not."""
        place = self._if_held(place_nearer(self.text, target))
        return self.cut_at(place) if place else None

    def overrun(self, target: LengthTarget) -> int:
        """Where in the answer's text the held last sentence begins that takes it beyond its band;
        0 if there is none."""
        return self._if_held(place_of_overrun(self.text, target))

    def _if_held(self, place: int) -> int:
        """A place in the answer's text; 0 if what is behind it is in the stream already."""
        return place if place > self._streamed_length() else 0

    def cut_at(self, place: int) -> Chunk | None:
        """Drop what is behind a place in the answer's text; None if that is of an earlier run."""
        new = place - self._earlier_length()
        return self.cut(new) if new > 0 else None

    def _streamed_length(self) -> int:
        """The number of the text's characters that are in the stream."""
        return self._earlier_length() + self._given_length()

    def _earlier_length(self) -> int:
        """The number of the story's characters that are of an earlier run."""
        return sum(map(len, story_of(self.earlier)))

    def _given_length(self) -> int:
        """The number of the story's new characters that are in the stream."""
        return sum(map(len, story_of(self._given)))

    @property
    def text(self) -> str:
        """The text of the answer."""
        return "".join(story_of(self.chunks))

    def release(self) -> Iterator[Event]:
        """Yield the held chunks."""
        return self._give(len(self._held))

    def held(self, dropped: int = 0) -> Held:
        """The event for the held chunks, after so many tokens were dropped."""
        return Held(tuple(self._held), dropped=dropped)

    def told(self, dropped: Chunk) -> Iterator[Event]:
        """Yield what tells of a passage that was cut away and is written again."""
        yield self.held(dropped.tokens)
        yield Again("rewritten")

    def _add(self, event: Event) -> Iterator[Event]:
        if isinstance(event, Restart):
            self._given.clear()
            self.earlier.clear()
        if not isinstance(event, Chunk):
            yield event
        elif self._replayed > 0:
            self._replayed -= len(event.ids)
            self.earlier.append(event)
            yield event
        elif event.kind != "story":
            self._given.append(event)
            yield event
        else:
            self._held.append(event)
            yield from self._give(self._count_within(self._settled()))
            yield self.held()

    def _give(self, count: int) -> Iterator[Event]:
        """Yield the first `count` of the held chunks."""
        if count:
            yield Held(given=tuple(self._held))  # first, so that no text is in the stream twice
        for _ in range(count):
            self._given.append(self._held.pop(0))
            yield self._given[-1]

    def _settled(self) -> int:
        """The number of held characters before the last `NEAR`, up to a paragraph's end."""
        if self._holds_all:
            return 0
        text = "".join(chunk.text for chunk in self._held)
        end = max(0, len(text) - NEAR)
        found = _PARAGRAPH.match(text, 0, end)
        if not found and len(text) > MOST_HELD:
            found = _SENTENCE.match(text, 0, end)
        return found.end() if found and self._stays(found[0]) else 0

    def _stays(self, text: str) -> bool:
        """Whether the held text, up to the end of `text`, is not replaced by an ending."""
        if not self._keep:
            return True
        before = "".join(story_of([*self.earlier, *self._given]))
        return story_words(before + text) <= self._keep

    def _count_within(self, length: int) -> int:
        """How many of the held chunks have their text, but for trailing space, in `length`."""
        text, count = "", 0
        for chunk in self._held:
            text += chunk.text
            if len(text.rstrip()) > length:
                break
            count += 1
        return count
