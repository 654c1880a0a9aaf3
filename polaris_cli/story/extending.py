"""Extending: continues a story that the model ends too early, within the same turn.

Calls an engine several times and yields one stream of events. Does not know how a model runs
(`engines`), or about chapters.
"""

import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.events import Again, Chunk, Event, Finish, Held, Inserted, Restart, closing
from polaris_cli.story.length import (
    CLOSE_PARAGRAPH_AT,
    CLOSE_SENTENCE_AT,
    MAX_ROUNDS,
    MIN_SCENE_TOKENS,
    PARAGRAPH_END,
    SCENE_BREAK,
    closes,
    least_to_end,
)
from polaris_cli.story.single_pass import TRIES, stream_answer, without_replay
from polaris_cli.streaming.loops import length_before_loop
from polaris_cli.words import WordCounter, story_words

_LEADING_BREAK = re.compile(r"[^\S\n]*\n[^\S\n]*\n\s*\S")
_BREAKS = re.compile(r"\n[^\S\n]*\n\s*(?=\S)")


def extended(
    engine: Engine,
    request: GenerationRequest,
    *,
    words: int,
    minimum: int | None = None,
    draft: str = "",
    rounds: Sequence[tuple[int, ...]] = (),
    attempt: int = 0,
) -> Iterator[Event]:
    """Stream one story of about `words` words.

    Each paragraph is held back until the next one starts (as `Held`): if the model ends too early,
    its last paragraph is an ending, which must not be in the middle. It is set aside and replaced
    by a scene break, and the model continues the same turn. The last ending set aside is added once
    it brings the story to its length. An ending that the model writes near the target stays where
    it is. Beyond `CLOSE_PARAGRAPH_AT` of the words the story stops after a paragraph, beyond
    `CLOSE_SENTENCE_AT` after a sentence.

    Measured on the demo model (1,200 words requested): if the end token is masked instead, the
    ending stays in the middle and the text loops; without a scene break in place of the ending, the
    model at once writes an ending again.

    From `minimum` words on, the model may end the story (default: `least_to_end`).
    `draft` is the user's own text that the story continues (the request's `opening` is its tokens):
    its words count, and it is never set aside. `rounds` are the token ids of an earlier run, split
    at scene breaks (see `rounds_of`); each round ends where it ended then, so that the same ending
    is set aside. `attempt` is the number of restarts in that run. `max_new_tokens` of the request
    limits all tokens, including those of the earlier run.
    """
    if minimum is None:
        minimum = least_to_end(words)
    text = _Text(words, minimum, draft)
    for number in range(MAX_ROUNDS):
        earlier = rounds[number] if number < len(rounds) else ()
        run = _round(engine, request, text, earlier, attempt)
        attempt = 0
        try:
            finish = yield from run
        except KeyboardInterrupt:
            yield from text.release()
            raise
        if finish.reason != "stop":
            yield from text.release() if text.grew else text.ending_text()
            yield finish
            return
        text.end_round()
        is_last = number + 1 == MAX_ROUNDS
        if text.closed or text.is_long_enough or not text.grew or is_last:
            yield from text.ending_text()
            yield replace(finish, closed=text.closed)
            return
        yield from text.start_scene(engine.encode)


def _round(
    engine: Engine,
    request: GenerationRequest,
    text: "_Text",
    after: tuple[int, ...],
    restarts: int,
) -> Generator[Event, None, Finish]:
    """Let the model write until it ends or the text is closed; return the finish.

    A loop in the held paragraph is dropped, and the text after it is sampled again.
    """
    text.begin_round()
    for attempt in range(TRIES):
        drawn = replace(request, sampling=request.sampling.redrawn(attempt))
        finish = yield from _generate(engine, drawn, text, after, restarts)
        if finish.reason != "loop" or attempt + 1 == TRIES or not (dropped := text.drop_loop()):
            break
        yield text.held(dropped)
        after, restarts = (), 0
    return finish


def _generate(
    engine: Engine,
    request: GenerationRequest,
    text: "_Text",
    after: tuple[int, ...],
    restarts: int,
) -> Generator[Event, None, Finish]:
    """Continue the text with one call of the engine; return the finish."""
    replayed = len(text.ids)  # yielded in an earlier round
    request = replace(
        request,
        max_new_tokens=request.max_new_tokens - len(after) - text.generated,
        after=(*text.ids, *after),
        min_new_tokens=text.tokens_due(len(after)),
    )
    run = without_replay(stream_answer(engine, request, attempt=restarts), replayed)
    with closing(run):
        for event in run:
            if isinstance(event, Finish):
                return event
            yield from text.add(event)
            yield text.held()
            if text.closed:
                return Finish("stop")
    return Finish("interrupted")


def rounds_of(answer: Iterable[Event]) -> list[tuple[int, ...]]:
    """The token ids of each round of an earlier run; a scene break starts a new round."""
    rounds: list[tuple[int, ...]] = [()]
    for event in answer:
        if isinstance(event, Inserted) and event.kind == "scene break":
            rounds.append(())
        elif isinstance(event, Chunk):
            rounds[-1] += event.ids
    return rounds


class _Text:
    """The story so far: its tokens and words, the held paragraph, and the ending set aside.

    `draft` is the text before it: its words and paragraphs count, its tokens are not in `ids`.
    """

    def __init__(self, words: int, minimum: int, draft: str) -> None:
        self.ids: list[int] = []
        self.generated = 0  # tokens, including those of the endings that were set aside
        self.closed = False
        self._words, self._minimum = words, minimum
        self._released = WordCounter()
        self._held: list[Chunk] = []
        self._ready: deque[Chunk] = deque()
        self._break: Inserted | None = None  # between scenes, until the next one has text
        self._ending = ""
        self._rounds = 0
        self._at_start = 0  # words at the start of the round
        self._ids_at_start = 0
        self._released.add(draft)
        self._paragraphs = self._paragraphs_before = len(_BREAKS.split(draft)) if draft else 0

    @property
    def is_long_enough(self) -> bool:
        """Whether the story, with the held paragraph, may end."""
        return self._total() >= self._minimum

    @property
    def grew(self) -> bool:
        """Whether this round has added words; in the first one a draft counts."""
        return self._total() > self._at_start

    def begin_round(self) -> None:
        self._rounds += 1
        self._paragraphs_before = self._paragraphs
        self._at_start = self._total() if self._rounds > 1 else 0
        self._ids_at_start = len(self.ids)

    def end_round(self) -> None:
        """Close the story, which the model has ended, if it only lacks the ending set aside."""
        if self._ending and not self.is_long_enough:
            self.closed = self.closed or self._excess() >= 0

    def tokens_due(self, replayed: int) -> int:
        """How many tokens the model must still write in this round, after so many of an earlier
        run: none in the first round, up to `MIN_SCENE_TOKENS` in each later one."""
        written = len(self.ids) - self._ids_at_start + replayed
        return 0 if self._rounds == 1 else max(MIN_SCENE_TOKENS - written, 0)

    def add(self, event: Event) -> Iterator[Event]:
        """Add an event of the model; yield the text that can no longer be the ending."""
        if isinstance(event, Restart):
            self.generated -= len(self.ids)
            self.ids.clear()
        if not isinstance(event, Chunk):
            yield event
            return
        self.ids += event.ids
        self.generated += len(event.ids)
        if event.kind != "story":
            yield event
            return
        if event.text.strip():
            yield from self._begin_scene()
        if event.text.strip() and PARAGRAPH_END.search(self._held_text()):
            self._release_held()
            self.closed = self._fits_now()
        else:
            self.closed = closes(self._held_text(), event.text, self._excess())
        if not self.closed:  # else this chunk starts the next paragraph or sentence
            self._held.append(event)
        yield from self._yield_ready()

    def drop_loop(self) -> int:
        """Drop the loop at the end of the held paragraph; return how many tokens are dropped."""
        text, kept = "", 0
        left = length_before_loop(self._held_text())
        for chunk in self._held:
            text += chunk.text
            kept += len(text) <= left
        dropped = self._held[kept:]
        del self.ids[len(self.ids) - sum(len(chunk.ids) for chunk in dropped) :]
        del self._held[kept:]
        return sum(chunk.tokens for chunk in dropped)

    def held(self, dropped: int = 0) -> Held:
        """The event for the held paragraph, after so many tokens were dropped."""
        return Held(tuple(self._held), dropped=dropped)

    def release(self) -> Iterator[Event]:
        """Yield the held paragraph, and any text that an interrupt kept from being yielded."""
        self._release_held()
        yield from self._yield_ready()

    def _release_held(self) -> None:
        for chunk in self._held:
            self._released.add(chunk.text)
        self._paragraphs += bool(self._held)
        self._ready += self._held
        self._held = []

    def _yield_ready(self) -> Iterator[Event]:
        if self._ready:
            given = (*self._ready, *self._held)
            yield Held(given=given)  # first, so that no text is in the stream twice
        while self._ready:
            yield self._ready.popleft()

    def ending_text(self) -> Iterator[Event]:
        """Yield the held paragraph, then the ending set aside unless the model wrote one here.

        Where it wrote nothing after a scene, there is no scene break either.
        """
        last = self._held_text().strip()
        gap = self._break.text.removesuffix(SCENE_BREAK) if self._break else "\n\n" if last else ""
        yield from self.release()
        if self._ending and (self.closed or not last):
            yield Inserted("ending", gap + self._ending)

    def start_scene(self, encode: Callable[[str], tuple[int, ...]]) -> Iterator[Event]:
        """Set the ending aside and start a new scene in its place."""
        # After a draft, the first held paragraph includes the line breaks before it.
        after_draft = (
            self._rounds == 1 and self._released.count and _LEADING_BREAK.match(self._held_text())
        )
        lead = "\n\n" if after_draft else ""
        if self._paragraphs > self._paragraphs_before or after_draft:
            self._ending = self._held_text().strip()
            dropped, self._held = self._held, []
            del self.ids[len(self.ids) - sum(len(chunk.ids) for chunk in dropped) :]
            yield self.held(sum(chunk.tokens for chunk in dropped))
        else:  # a round of a single paragraph has no separate ending
            yield from self.release()
            lead = "\n\n"
        scene = encode(lead + SCENE_BREAK)
        self.ids += scene
        self._break = Inserted("scene break", lead + SCENE_BREAK, scene)

    def _begin_scene(self) -> Iterator[Event]:
        """Yield the scene break, if the text before this was another scene."""
        if self._break:
            self._released.add(self._break.text)
            yield self._break
            yield Again("extended")
        self._break = None

    def _excess(self) -> float:
        """The words that are too many; from 0 on, the story must close within this paragraph."""
        if self._ending:
            ending = story_words(self._ending)
            return self._total() + ending - CLOSE_PARAGRAPH_AT * self._words
        return self._total() - CLOSE_SENTENCE_AT * self._words

    def _fits_now(self) -> bool:
        """Whether closing here comes nearer to the target than one more paragraph."""
        released = self._released.count
        if not self._ending:
            return released >= CLOSE_PARAGRAPH_AT * self._words
        paragraph = released / self._paragraphs
        return released + story_words(self._ending) + paragraph / 2 >= self._words

    def _total(self) -> int:
        return self._released.count + story_words(self._held_text())

    def _held_text(self) -> str:
        return "".join(chunk.text for chunk in self._held)
