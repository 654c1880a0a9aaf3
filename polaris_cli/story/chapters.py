"""Stories in chapters: an outline first, then chapter after chapter, each at a length that suits.

Drives an engine several times and gives out one stream of events. Knows how a story is put
together; not how a model runs (engines), nor how an outline is read (`outline`).
"""

import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace

from polaris_cli.engines.base import Engine
from polaris_cli.events import (
    RESTART,
    Chapter,
    Chunk,
    Event,
    Finish,
    Held,
    Outline,
    Outlined,
    closing,
)
from polaris_cli.models.catalogue import ModelProfile
from polaris_cli.request.budget import token_budget
from polaris_cli.request.prompts import FORM_NAMES, Message, chapter_prompt, plan_prompt
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.extending import extended, rounds_of
from polaris_cli.story.job import Job
from polaris_cli.story.length import MOST_SHARE, NEAR, PAST, Pace, closed_after
from polaris_cli.story.outline import even_outline, is_complete, parse_outline
from polaris_cli.story.single_pass import turn_of, write_story
from polaris_cli.words import count_words

TRIES = 3  # at an outline, before a plain one is taken
OUTLINE_TOKENS = 2_000


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
        return tuple(id_ for chunk in turn_of(self.chunks) for id_ in chunk.ids)

    @property
    def words(self) -> int:
        """Words of the text."""
        return count_words(self.text)


def told_in(chunks: Iterable[Chunk]) -> list[Told]:
    """The chapters in the chunks of an earlier run, as `in_chapters` gave them out.

    A chapter begins with its thinking, or with its heading, which has no tokens; thinking
    without tokens belongs to the outline, or says that a chapter's was begun anew.
    """
    told: list[Told] = []
    for chunk in chunks:
        if chunk.kind == "thinking" and not chunk.ids:
            if told and chunk == RESTART:
                told[-1].chunks.append(chunk)
            continue
        opens = chunk.kind == "thinking" or not chunk.ids
        if opens and (not told or told[-1].text):
            told.append(Told())
        if chunk.ids:
            told[-1].chunks.append(chunk)
    return told


def in_chapters(job: Job, engine: Engine) -> Iterator[Event]:
    """Stream a story in chapters: first its plan, then each chapter at a length that suits.

    After every chapter the words that are left are shared out again over the chapters that are
    left, and the ask is corrected by what the model has delivered so far, so that errors do not
    add up. A chapter that an earlier run ended in a loop is written anew.
    """
    outline = job.plan
    if outline:
        yield Outlined(outline)
    else:
        outline = yield from _outlined(job, engine)
    if outline:
        book = _Book(engine, job.request, job.reference.profile, outline)
        yield from book.write(_told(job))


def _told(job: Job) -> list[Told]:
    """The chapters of an earlier run, the last of them perhaps unfinished."""
    if not (job.earlier and job.plan):
        return []
    told = told_in(event for event in job.earlier.events if isinstance(event, Chunk))
    return told[:-1] if job.earlier.finish == "loop" else told


def _outlined(job: Job, engine: Engine) -> Generator[Event, None, Outline | None]:
    """Ask for an outline until it can be read, then give it out; None when the run broke off.

    What the model writes for it counts as thinking.
    """
    request, count = job.request, job.request.chapters
    assert count
    for attempt in range(TRIES):
        sampling = replace(request.sampling, seed=_seed(request.sampling, -attempt))
        limit = OUTLINE_TOKENS + max(sampling.thinking_budget, 0) * sampling.thinks
        run = write_story(engine, job.messages, sampling, limit)
        answer = yield from _answer(run, count)
        if answer is None:
            return None
        yield RESTART
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


def _seed(sampling: Sampling, number: int) -> int:
    """A seed of its own for every call, so that chapters do not share their draws."""
    return (sampling.seed + number * 1_000_003) % 2**63


class _Book:
    """The writing of the chapters of one outline."""

    def __init__(
        self, engine: Engine, request: StoryRequest, profile: ModelProfile, outline: Outline
    ) -> None:
        self._engine, self._request, self._profile = engine, request, profile
        self._outline = outline
        self._done: list[Told] = []

    def write(self, told: list[Told]) -> Iterator[Event]:
        """Write what is not told yet, chapter by chapter, then give out one `Finish`."""
        chapters = self._outline.chapters
        pace = Pace(self._request.words, len(chapters), self._profile.good_words[1])
        finish = Finish("stop")
        for number, chapter in enumerate(chapters, 1):
            share = pace.share(chapters[number - 1 :])
            ask = pace.ask(share)
            if number < len(told):  # the last one told may be unfinished
                yield from self._tell(number, iter(told[number - 1].chunks))
            else:
                begun = told[number - 1] if number == len(told) else Told()
                title = count_words(self._heading(chapter, ""))
                left = pace.left - title if number == len(chapters) else None
                run = self._stream(number, ask, share, left, begun)
                finish = yield from self._tell(number, run)
            if finish.reason != "stop":
                break
            pace.take(ask, self._done[-1].words + count_words(self._heading(chapter, "")))
        yield finish

    def _stream(
        self, number: int, ask: int, share: int, left: int | None, begun: Told
    ) -> Iterator[Event]:
        """One chapter, from what is `begun` of it; the last is held to the words that are `left`,
        since no other can make up for it."""
        messages, limit = self._call(number, ask)
        sampling = replace(self._request.sampling, seed=_seed(self._request.sampling, number))
        sampling = sampling.redrawn(begun.chunks.count(RESTART))
        if left is None:
            run = write_story(self._engine, messages, sampling, limit, after=begun.ids)
            return closed_after(run, round(MOST_SHARE * share))
        least = left - round((1 - NEAR) * self._request.words)
        # It closes as soon as the words are there, not beyond them: PAST is for a whole story.
        words = max(round(left / PAST), 1)
        limit += len(begun.ids)
        rounds = rounds_of(begun.chunks)
        call = (self._engine, messages, sampling, limit)
        return extended(*call, words=words, least=least, after=rounds)

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
                if not begun and _brings_story(event):
                    begun = True
                    yield Chunk("story", opening)
                if isinstance(event, Chunk):
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
        for whole in range(min(number - 1, self._profile.recall), -1, -1):
            messages = tuple(self._conversation(number, ask, whole))
            prompt_tokens = self._engine.count_tokens(messages, self._request.sampling)
            wanted = token_budget(
                ask,
                self._request.sampling,
                context=sys.maxsize if whole else context,
                prompt_tokens=prompt_tokens,
                tokens_per_word=self._profile.tokens_per_word,
            )
            if prompt_tokens + wanted.max_new_tokens <= context:
                break
        return messages, wanted.max_new_tokens

    def _conversation(self, number: int, ask: int, whole: int) -> Iterator[Message]:
        yield Message("user", plan_prompt(self._request, len(self._outline.chapters)))
        yield Message("assistant", self._outline.as_lines())
        for earlier, told in enumerate(self._done, 1):
            yield self._ask(earlier, told.words)
            text, summary = told.text.strip(), f"{self._outline.chapters[earlier - 1].summary}."
            if earlier >= number - whole:
                yield Message("assistant", text)
            else:
                yield Message("assistant", summary, told=text)
        yield self._ask(number, ask)

    def _ask(self, number: int, words: int) -> Message:
        chapters = self._outline.chapters
        named = chapters[number - 1]
        form = FORM_NAMES[self._request.form]
        prompt = chapter_prompt(number, len(chapters), named.title, words, named.summary, form)
        return Message("user", prompt)


def _brings_story(event: Event) -> bool:
    """Whether the text of a chapter begins with this event."""
    if isinstance(event, Held):
        return bool(event.chunks)
    return isinstance(event, Chunk) and event.kind == "story" and bool(event.text)


def _judged(finish: Finish, chapter: Told) -> Finish:
    """How a chapter's end counts for the story.

    One cut off at its token limit is merely short, which the next ones make up for; but a model
    that writes no text at all must not go on through a row of empty chapters.
    """
    written = bool(chapter.text.strip())
    if finish.reason == "length" and written:
        return replace(finish, reason="stop")
    return finish if written or finish.reason != "stop" else replace(finish, reason="length")
