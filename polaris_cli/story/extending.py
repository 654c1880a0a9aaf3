"""Going on when a model ends too early: a story that reaches its length in one turn.

Drives an engine several times and gives out one stream of events. Knows how a story is put
together; not how a model runs (engines), nor chapters.
"""

import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.events import Chunk, Event, Finish, Held, Inserted, Restart, closing
from polaris_cli.story.length import EDGE, LEAST_EPISODE, MOST_ROUNDS, NEAR, PAST, SCENE_BREAK
from polaris_cli.story.single_pass import TRIES, write_story
from polaris_cli.streaming.loops import good_length
from polaris_cli.words import WordCounter, count_words

_BREAK = re.compile(r"\n[^\S\n]*\n\s*$")
_LEADING_BREAK = re.compile(r"[^\S\n]*\n[^\S\n]*\n\s*\S")
_BREAKS = re.compile(r"\n[^\S\n]*\n\s*(?=\S)")
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]]*\s*$")  # noqa: RUF001


def extended(
    engine: Engine,
    request: GenerationRequest,
    *,
    words: int,
    least: int | None = None,
    draft: str = "",
    rounds: Sequence[tuple[int, ...]] = (),
    attempt: int = 0,
) -> Iterator[Event]:
    """Stream one story that goes on until it has about `words` words.

    Text comes a paragraph late (until then as `Held`): when the model ends too early, its last
    paragraph is an ending, which must not stand in the middle. It is set aside, a scene break is
    put in its place, and the same turn goes on from there. The last ending set aside closes the
    story once it fits; one that the model writes near the target is taken as it is. A story that
    grows past the target closes at the end of a paragraph, or of a sentence beyond `EDGE`.

    Measured on the demo model (1,200 words asked): holding the end token back leaves the ending in
    the middle and the text falls into loops; dropping the ending without a scene break makes the
    model write an ending again at once. `least` are the words from which an end is taken (`NEAR` of
    those asked for, if not given). `draft` is a text of the user's own that the story goes on from:
    its words count, and no part of it is ever set aside. `rounds` are the tokens of an earlier run,
    those between two scene breaks together (see `rounds_of`), whose thinking had been restarted
    `attempt` times: every round ends again as it did then, so that the same ending is set aside.
    `max_new_tokens` of the request limits all tokens, those of an earlier run included.
    """
    text = _Text(words, NEAR * words if least is None else least, draft)
    request = replace(request, opening=engine.encode(draft) if draft else ())
    for number in range(MOST_ROUNDS):
        known = rounds[number] if number < len(rounds) else ()
        run = _round(engine, request, text, known, attempt)
        attempt = 0
        try:
            finish = yield from run
        except KeyboardInterrupt:
            yield from text.release()
            raise
        finish = replace(finish, extended=number)
        if finish.reason != "stop":
            yield from text.release()
            yield finish
            return
        if text.closed or text.is_long_enough or not text.grew:
            yield from text.closing_text()
            yield finish
            return
        yield from text.go_on(engine.encode)


def _round(
    engine: Engine,
    request: GenerationRequest,
    text: "_Text",
    after: tuple[int, ...],
    restarts: int,
) -> Generator[Event, None, Finish]:
    """Let the model write until it ends or the text is full; return how it ended.

    A loop in the held paragraph is cut away, and what follows is drawn anew.
    """
    text.begin_round()
    for attempt in range(TRIES):
        drawn = replace(request, sampling=request.sampling.redrawn(attempt))
        finish = yield from _stretch(engine, drawn, text, after, restarts)
        if finish.reason != "loop" or attempt + 1 == TRIES or not text.cut_back():
            break
        yield text.held()
        after, restarts = (), 0
    return finish


def _stretch(
    engine: Engine,
    request: GenerationRequest,
    text: "_Text",
    after: tuple[int, ...],
    restarts: int,
) -> Generator[Event, None, Finish]:
    """Go on with the text in one run of the model; return how that ended."""
    known = len(text.ids)
    request = replace(
        request,
        max_new_tokens=request.max_new_tokens - len(after) - text.made,
        after=(*text.ids, *after),
        may_stop=text.may_stop,
    )
    run = write_story(engine, request, attempt=restarts)
    with closing(run):
        for event in run:
            if isinstance(event, Finish):
                return event
            if known > 0 and isinstance(event, Chunk):
                known -= len(event.ids)  # given out already in an earlier round
                continue
            yield from text.add(event)
            yield text.held()
            if text.closed:
                return Finish("stop")
    return Finish("interrupted")


def rounds_of(answer: Iterable[Event]) -> list[tuple[int, ...]]:
    """The tokens that the model wrote in each round of an earlier run: between two scene breaks."""
    rounds: list[tuple[int, ...]] = [()]
    for event in answer:
        if isinstance(event, Inserted) and event.kind == "scene break":
            rounds.append(())
        elif isinstance(event, Chunk):
            rounds[-1] += event.ids
    return rounds


class _Text:
    """The story so far: tokens, words, the paragraph that is still held, the ending set aside.

    `draft` is what stands before it. It counts as written, and none of its tokens are in `ids`.
    """

    def __init__(self, words: int, least: float, draft: str) -> None:
        self.ids: list[int] = []
        self.made = 0  # tokens, those of endings that were dropped included
        self.closed = False
        self._words, self._least = words, least
        self._given = WordCounter()
        self._held: list[Chunk] = []
        self._ready: deque[Chunk] = deque()
        self._ending = ""
        self._rounds = 0
        self._at_start = 0  # words when the round began
        self._given.add(draft)
        self._paragraphs = self._paragraphs_before = len(_BREAKS.split(draft)) if draft else 0

    @property
    def is_long_enough(self) -> bool:
        """Whether the story with its held paragraph is near enough to the target to end."""
        return self._total() >= self._least

    @property
    def grew(self) -> bool:
        """Whether this round has brought any words; in the first one a draft counts."""
        return self._total() > self._at_start

    def begin_round(self) -> None:
        self._rounds += 1
        self._paragraphs_before = self._paragraphs
        self._at_start = self._total() if self._rounds > 1 else 0

    def may_stop(self) -> bool:
        """In the first round always; later not before an episode has been told."""
        return self._rounds == 1 or self._total() - self._at_start >= LEAST_EPISODE

    def add(self, event: Event) -> Iterator[Event]:
        """Take what the model wrote; give out what can no longer be the ending."""
        if isinstance(event, Restart):
            self.made -= len(self.ids)
            self.ids.clear()
        if not isinstance(event, Chunk):
            yield event
            return
        self.ids += event.ids
        self.made += len(event.ids)
        if event.kind == "thinking":
            yield event
            return
        if event.text.strip() and _BREAK.search(self._held_text()):
            self._pass_held()
            self.closed = self._fits_now()
        if not self.closed:  # else what was just begun is left out
            self._held.append(event)
            self.closed = self._is_past() and self._ends_a_sentence()
        yield from self._give_out()

    def cut_back(self) -> bool:
        """Drop the loop that the held paragraph ends in; False where none of it is held."""
        text, kept = "", 0
        left = good_length(self._held_text())
        for chunk in self._held:
            text += chunk.text
            kept += len(text) <= left
        dropped = self._held[kept:]
        del self.ids[len(self.ids) - sum(len(chunk.ids) for chunk in dropped) :]
        del self._held[kept:]
        return bool(dropped)

    def held(self) -> Held:
        """The paragraph that is not given out yet."""
        return Held(tuple(self._held))

    def release(self) -> Iterator[Event]:
        """Give out the held paragraph, and what an interrupt has kept from being given out."""
        self._pass_held()
        yield from self._give_out()

    def _pass_held(self) -> None:
        for chunk in self._held:
            self._given.add(chunk.text)
        self._paragraphs += bool(self._held)
        self._ready += self._held
        self._held = []

    def _give_out(self) -> Iterator[Event]:
        if self._ready:
            yield Held()  # first, so that no text is ever there twice
        while self._ready:
            yield self._ready.popleft()

    def closing_text(self) -> Iterator[Event]:
        """The end of the story: what is held, and after a closed story the ending set aside."""
        gap = "\n\n" if self._held else ""
        own_ending = bool(self._held) and not self.closed
        yield from self.release()
        if self._ending and not own_ending:
            yield Inserted("ending", gap + self._ending)

    def go_on(self, encode: Callable[[str], tuple[int, ...]]) -> Iterator[Event]:
        """Set the ending aside and begin a new scene in its place."""
        # Behind a draft the break of the first paragraph comes together with its text.
        behind = self._rounds == 1 and self._given.count and _LEADING_BREAK.match(self._held_text())
        lead = "\n\n" if behind else ""
        if self._paragraphs > self._paragraphs_before or behind:
            self._ending = self._held_text().strip()
            dropped = sum(len(chunk.ids) for chunk in self._held)
            del self.ids[len(self.ids) - dropped :]
            self._held = []
            yield Held()
        else:  # a single paragraph is the story, or the episode, itself
            yield from self.release()
            lead = "\n\n"
        scene = encode(lead + SCENE_BREAK)
        self.ids += scene
        self._given.add(lead + SCENE_BREAK)
        yield Inserted("scene break", lead + SCENE_BREAK, scene)

    def _is_past(self) -> bool:
        """Whether the story has to close within this paragraph."""
        if self._ending:
            return self._total() + count_words(self._ending) >= PAST * self._words
        return self._total() >= EDGE * self._words

    def _fits_now(self) -> bool:
        """Whether closing here is nearer to the target than another paragraph would be."""
        given = self._given.count
        if not self._ending:
            return given >= PAST * self._words
        paragraph = given / self._paragraphs
        return given + count_words(self._ending) + paragraph / 2 >= self._words

    def _total(self) -> int:
        return self._given.count + count_words(self._held_text())

    def _held_text(self) -> str:
        return "".join(chunk.text for chunk in self._held)

    def _ends_a_sentence(self) -> bool:
        return bool(self._held) and bool(_SENTENCE.search(self._held[-1].text))
