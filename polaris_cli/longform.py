"""Stories that reach the length asked for: going on after an early end, and writing in chapters.

Both drive an engine several times and give out one stream of events. Knows how a story is put
together; not how a model runs (engines), nor how an outline is read (`outline`).
"""

import re
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from polaris_cli.budget import DEFAULT_TOKENS_PER_WORD, token_budget
from polaris_cli.engines import Engine, Message
from polaris_cli.events import Chunk, Event, Finish, Outlined, closing
from polaris_cli.outline import Chapter, Outline, even_outline, is_complete, parse_outline
from polaris_cli.prompts import chapter_prompt, outline_prompt
from polaris_cli.request import Sampling, StoryRequest
from polaris_cli.story import write_story
from polaris_cli.words import WordCounter, count_words

SCENE_BREAK = "* * *\n\n"
NEAR = 0.93  # of the words asked for: an end from here on is taken
PAST = 1.05  # of the words asked for: from here on the story closes at the end of a paragraph
EDGE = 1.12  # of the words asked for: from here on at the end of a sentence
LEAST_EPISODE = 40  # words: no end is allowed earlier after a scene break
MOST_ROUNDS = 200  # a bound that no honest run meets: each adds LEAST_EPISODE words

COMFORT = 0.85  # of the most words a model writes well: what a chapter is planned to have
TRIES = 3  # at an outline, before a plain one is taken
OUTLINE_TOKENS = 2_000
MOST_CORRECTION = 1.6  # of an ask, either way

_BREAK = re.compile(r"\n[^\S\n]*\n\s*$")
_SENTENCE = re.compile(r"[.!?…][\"'”’)\]]*\s*$")  # noqa: RUF001


# --- Going on after an early end -------------------------------------------------------------


def extended(
    engine: Engine,
    messages: tuple[Message, ...],
    sampling: Sampling,
    max_new_tokens: int,
    *,
    words: int,
    least: int | None = None,
    after: Sequence[int] = (),
) -> Iterator[Event]:
    """Stream one story that goes on until it has about `words` words.

    Text comes a paragraph late: when the model ends too early, its last paragraph is an ending,
    which must not stand in the middle. It is set aside, a scene break is put in its place, and the
    same turn goes on from there. The last ending set aside closes the story once it fits; one
    that the model writes near the target is taken as it is. A story that grows past the target
    closes at the end of a paragraph, or of a sentence beyond `EDGE`.

    Measured on the demo model (1,200 words asked): holding the end token back leaves the ending
    in the middle and the text falls into loops; dropping the ending without a scene break makes
    the model write an ending again at once. `least` are the words from which an end is taken
    (`NEAR` of those asked for, if not given), `after` are the tokens of an earlier run.
    """
    draft = _Draft(words, NEAR * words if least is None else least)
    for number in range(MOST_ROUNDS):
        room = max_new_tokens + len(after) - draft.made
        run = _round(engine, messages, sampling, room, draft, after if number == 0 else ())
        try:
            finish = yield from run
        except KeyboardInterrupt:
            yield from draft.release()
            raise
        finish = replace(finish, extended=number)
        if finish.reason != "stop":
            yield from draft.release()
            yield finish
            return
        if draft.closed or draft.is_long_enough or not draft.grew:
            yield from draft.closing_text()
            yield finish
            return
        yield from draft.go_on(engine.encode)


def _round(
    engine: Engine,
    messages: tuple[Message, ...],
    sampling: Sampling,
    room: int,
    draft: "_Draft",
    after: Sequence[int],
) -> Generator[Event, None, Finish]:
    """Let the model write until it ends or the draft is full; return how it ended."""
    draft.begin_round()
    known = len(draft.ids)
    so_far = (*draft.ids, *after)
    run = write_story(engine, messages, sampling, room, after=so_far, may_end=draft.may_end)
    with closing(run):
        for event in run:
            if isinstance(event, Finish):
                return event
            if known > 0 and isinstance(event, Chunk):
                known -= len(event.ids)  # given out already in an earlier round
                continue
            yield from draft.add(event)
            if draft.closed:
                return Finish("stop")
    return Finish("interrupted")


class _Draft:
    """The story so far: tokens, words, the paragraph that is still held, the ending set aside."""

    def __init__(self, words: int, least: float) -> None:
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
        self._paragraphs = self._paragraphs_before = 0

    @property
    def is_long_enough(self) -> bool:
        """Whether the story with its held paragraph is near enough to the target to end."""
        return self._total() >= self._least

    @property
    def grew(self) -> bool:
        """Whether this round has brought any words."""
        return self._total() > self._at_start

    def begin_round(self) -> None:
        self._rounds += 1
        self._paragraphs_before = self._paragraphs
        self._at_start = self._total()

    def may_end(self) -> bool:
        """In the first round always; later not before an episode has been told."""
        return self._rounds == 1 or self._total() - self._at_start >= LEAST_EPISODE

    def add(self, event: Event) -> Iterator[Event]:
        """Take what the model wrote; give out what can no longer be the ending."""
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
        if self.closed:  # what was just begun is left away
            del self.ids[len(self.ids) - len(event.ids) :]
        else:
            self._held.append(event)
            self.closed = self._is_past() and self._ends_a_sentence()
        yield from self._give_out()

    def release(self) -> Iterator[Chunk]:
        """Give out the held paragraph, and what an interrupt has kept from being given out."""
        self._pass_held()
        yield from self._give_out()

    def _pass_held(self) -> None:
        for chunk in self._held:
            self._given.add(chunk.text)
        self._paragraphs += bool(self._held)
        self._ready += self._held
        self._held = []

    def _give_out(self) -> Iterator[Chunk]:
        while self._ready:
            yield self._ready.popleft()

    def closing_text(self) -> Iterator[Chunk]:
        """The end of the story: what is held, and after a closed story the ending set aside."""
        gap = "\n\n" if self._held else ""
        own_ending = bool(self._held) and not self.closed
        yield from self.release()
        if self._ending and not own_ending:
            yield Chunk("story", gap + self._ending)

    def go_on(self, encode: Callable[[str], tuple[int, ...]]) -> Iterator[Chunk]:
        """Set the ending aside and begin a new scene in its place."""
        lead = ""
        if self._paragraphs > self._paragraphs_before:
            self._ending = self._held_text().strip()
            dropped = sum(len(chunk.ids) for chunk in self._held)
            del self.ids[len(self.ids) - dropped :]
            self._held = []
        else:  # a single paragraph is the story, or the episode, itself
            yield from self.release()
            lead = "\n\n"
        scene = encode(lead + SCENE_BREAK)
        self.ids += scene
        self._given.add(lead + SCENE_BREAK)
        yield Chunk("story", lead + SCENE_BREAK, ids=scene)

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


# --- Chapters -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Habits:
    """What is known of a model's way with length.

    `most_words` is what it writes well in one go, `recall` how many earlier chapters it is given
    whole, as far as its context allows.
    """

    most_words: int = 3_000
    tokens_per_word: float = DEFAULT_TOKENS_PER_WORD
    recall: int = 1_000


@dataclass(slots=True)
class Told:
    """A chapter that has been written, or is being written: what its stream brought so far."""

    chunks: list[Chunk] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The chapter's text, without its heading."""
        return "".join(chunk.text for chunk in self.chunks if chunk.kind == "story")

    @property
    def ids(self) -> tuple[int, ...]:
        """The tokens of the turn, thinking included."""
        return tuple(id_ for chunk in self.chunks for id_ in chunk.ids)

    @property
    def words(self) -> int:
        """Words of the text."""
        return count_words(self.text)


def told_in(chunks: Iterable[Chunk]) -> list[Told]:
    """The chapters in the chunks of an earlier run, as `in_chapters` gave them out.

    A chapter begins with its thinking, or with its heading, which has no tokens; thinking
    without tokens belongs to the outline.
    """
    told: list[Told] = []
    for chunk in chunks:
        if chunk.kind == "thinking" and not chunk.ids:
            continue
        opens = chunk.kind == "thinking" or not chunk.ids
        if opens and (not told or told[-1].text):
            told.append(Told())
        if chunk.ids:
            told[-1].chunks.append(chunk)
    return told


def chapter_count(words: int, habits: Habits) -> int:
    """How many chapters a story of `words` takes with such a model."""
    return max(2, -(-words // round(habits.most_words * COMFORT)))


def in_chapters(
    engine: Engine,
    request: StoryRequest,
    count: int,
    habits: Habits,
    outline: Outline | None = None,
    told: Sequence[Told] = (),
) -> Iterator[Event]:
    """Stream a story in `count` chapters: first its outline, then each at a length that suits.

    After every chapter the words that are left are shared out again over the chapters that are
    left, and the ask is corrected by what the model has delivered so far, so that errors do not
    add up. `outline` is one made before, `told` are its chapters of an earlier run, the last of
    them perhaps unfinished.
    """
    if outline:
        yield Outlined(outline)
    else:
        outline = yield from outlined(engine, request, count)
    if outline:
        book = _Book(engine, request, habits, outline)
        yield from book.write(list(told))


def outlined(
    engine: Engine, request: StoryRequest, count: int
) -> Generator[Event, None, Outline | None]:
    """Ask for an outline until it can be read, then give it out; None when the run broke off.

    What the model writes for it counts as thinking.
    """
    ask = outline_ask(request, count)
    for attempt in range(TRIES):
        sampling = replace(request.sampling, seed=_seed(request.sampling, -attempt))
        limit = OUTLINE_TOKENS + max(sampling.thinking_budget, 0) * sampling.thinks
        answer = yield from _answer(write_story(engine, (ask,), sampling, limit), count)
        if answer is None:
            return None
        yield Chunk("thinking", "\n\n")
        outline = parse_outline(answer, request.words)
        if outline and abs(len(outline.chapters) - count) <= count // 4:
            yield Outlined(outline)
            return outline
    outline = even_outline(request.premise, request.words, count)
    yield Outlined(outline, note="The model made no plan that can be used; a plain one is taken.")
    return outline


def _answer(run: Iterator[Event], count: int) -> Generator[Event, None, str | None]:
    """Give out an answer as thinking and return its text; None when the run broke off.

    Nothing is read after the line of the last chapter: small models go on with the story.
    """
    answer = ""
    with closing(run):
        for event in run:
            if isinstance(event, Chunk):
                # Without its tokens: an outline is kept as such, and never taken up half-way.
                yield replace(event, kind="thinking", ids=())
                answer += event.text if event.kind == "story" else ""
                if "\n" in event.text and is_complete(answer, count):
                    break
            elif isinstance(event, Finish) and event.reason in ("interrupted", "error"):
                yield event
                return None
    return answer


def outline_ask(request: StoryRequest, count: int) -> Message:
    """The user's turn that asks for the outline."""
    return Message("user", outline_prompt(request.premise, request.words, count))


def _seed(sampling: Sampling, number: int) -> int:
    """A seed of its own for every call, so that chapters do not share their draws."""
    return (sampling.seed + number * 1_000_003) % 2**63


class _Book:
    """The writing of the chapters of one outline."""

    def __init__(
        self, engine: Engine, request: StoryRequest, habits: Habits, outline: Outline
    ) -> None:
        self._engine, self._request, self._habits = engine, request, habits
        self._outline = outline
        self._done: list[Told] = []

    def write(self, told: list[Told]) -> Iterator[Event]:
        """Write what is not told yet, chapter by chapter, then give out one `Finish`."""
        chapters = self._outline.chapters
        pace = _Pace(self._request.words, len(chapters), self._habits.most_words)
        finish = Finish("stop")
        for number, chapter in enumerate(chapters, 1):
            ask = pace.ask(chapters[number - 1 :])
            if number < len(told):  # the last one told may be unfinished
                yield from self._tell(number, iter(told[number - 1].chunks))
            else:
                after = told[number - 1].ids if number == len(told) else ()
                title = count_words(self._heading(chapter, ""))
                left = pace.left - title if number == len(chapters) else None
                finish = yield from self._tell(number, self._stream(number, ask, left, after))
            if finish.reason != "stop":
                break
            pace.take(ask, self._done[-1].words + count_words(self._heading(chapter, "")))
        yield finish

    def _stream(
        self, number: int, ask: int, left: int | None, after: tuple[int, ...]
    ) -> Iterator[Event]:
        """One chapter; the last has no other to make up for it, and is held to what is `left`."""
        messages, limit = self._call(number, ask)
        sampling = replace(self._request.sampling, seed=_seed(self._request.sampling, number))
        if left is None:
            return write_story(self._engine, messages, sampling, limit, after=after)
        least = left - round((1 - NEAR) * self._request.words)
        goal = {"words": max(left, 1), "least": least}
        return extended(self._engine, messages, sampling, limit, after=after, **goal)

    def _tell(self, number: int, run: Iterator[Event]) -> Generator[Event, None, Finish]:
        """Give out one chapter with its heading; return how it ended."""
        before = self._done[-1].text if self._done else ""
        opening = self._heading(self._outline.chapters[number - 1], before)
        chapter, begun = Told(), False
        self._done.append(chapter)
        with closing(run):
            for event in run:
                if isinstance(event, Finish):
                    return _judged(event, chapter)
                if isinstance(event, Chunk):
                    if event.kind == "story" and event.text and not begun:
                        begun = True
                        yield Chunk("story", opening)
                    chapter.chunks.append(event)
                yield event
        return Finish("stop")

    def _heading(self, chapter: Chapter, before: str) -> str:
        """What stands between the text before, if there is any, and a chapter's own."""
        breaks = len(before) - len(before.rstrip("\n"))
        gap = "\n" * max(0, 2 - breaks) if before else ""
        return f"{gap}## {chapter.title}\n\n" if self._request.headings else gap

    def _call(self, number: int, ask: int) -> tuple[tuple[Message, ...], int]:
        """The conversation that asks for a chapter, and its token limit.

        Earlier chapters stand in it whole as far as the context allows, the oldest in one line.
        """
        context = self._engine.context
        for whole in range(min(number - 1, self._habits.recall), -1, -1):
            messages = tuple(self._conversation(number, ask, whole))
            prompt_tokens = self._engine.count_tokens(messages, self._request.sampling)
            wanted = token_budget(
                ask,
                self._request.sampling,
                context=sys.maxsize if whole else context,
                prompt_tokens=prompt_tokens,
                tokens_per_word=self._habits.tokens_per_word,
            )
            if prompt_tokens + wanted.max_new_tokens <= context:
                break
        return messages, wanted.max_new_tokens

    def _conversation(self, number: int, ask: int, whole: int) -> Iterator[Message]:
        yield outline_ask(self._request, len(self._outline.chapters))
        yield Message("assistant", self._outline.as_lines())
        for earlier, told in enumerate(self._done, 1):
            yield self._ask(earlier, told.words)
            summary = f"{self._outline.chapters[earlier - 1].summary}."
            yield Message("assistant", told.text.strip() if earlier >= number - whole else summary)
        yield self._ask(number, ask)

    def _ask(self, number: int, words: int) -> Message:
        chapters = self._outline.chapters
        named = chapters[number - 1]
        prompt = chapter_prompt(number, len(chapters), named.title, words, named.summary)
        return Message("user", prompt)


def _judged(finish: Finish, chapter: Told) -> Finish:
    """How a chapter's end counts for the story.

    One cut off at its token limit is merely short, which the next ones make up for; but a model
    that writes no text at all must not go on through a row of empty chapters.
    """
    written = bool(chapter.text.strip())
    if finish.reason == "length" and written:
        return replace(finish, reason="stop")
    return finish if written or finish.reason != "stop" else replace(finish, reason="length")


class _Pace:
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

    def ask(self, rest: Sequence[Chapter]) -> int:
        """The words to ask for in the first of the chapters that are left."""
        share = max(self._left, 0) * rest[0].words / sum(chapter.words for chapter in rest)
        rate = self._delivered / self._asked if self._asked and self._delivered else 1.0
        rate = min(max(rate, 1 / MOST_CORRECTION), MOST_CORRECTION)
        return max(min(round(share / rate), self._most), LEAST_EPISODE)

    def take(self, asked: int, delivered: int) -> None:
        """Take a chapter with its heading off what is left, and learn from it."""
        self._left -= delivered
        self._asked += asked
        self._delivered += delivered
