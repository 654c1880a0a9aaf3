"""Stories in chapters: a plan first, then chapter after chapter, each at a length that suits.

Drives an engine several times and gives out one stream of events. Knows how a story is put
together; not how a model runs (engines), nor how a plan is read (`plan`).
"""

import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.events import (
    Chapter,
    ChapterStart,
    Chunk,
    Event,
    Finish,
    Held,
    Inserted,
    Plan,
    Planned,
    Restart,
    closing,
    text_of,
)
from polaris_cli.models.catalogue import ModelProfile
from polaris_cli.request.budget import token_budget
from polaris_cli.request.prompts import FORM_NAMES, Message, chapter_prompt, plan_prompt
from polaris_cli.request.story_request import Sampling, StoryRequest
from polaris_cli.story.extending import extended, rounds_of
from polaris_cli.story.job import Job
from polaris_cli.story.length import MOST_SHARE, NEAR, PAST, Pace, closed_after
from polaris_cli.story.plan import even_plan, is_complete, parse_plan
from polaris_cli.story.single_pass import ids_of, since_restart, write_story
from polaris_cli.words import count_words

TRIES = 3  # at an plan, before a plain one is taken
PLAN_TOKENS = 2_000


@dataclass(slots=True)
class ChapterDraft:
    """A chapter that has been written, or is being written: its events so far, but the heading."""

    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The chapter's text, without its heading."""
        return "".join(map(text_of, self.events))

    @property
    def words(self) -> int:
        """Words of the text."""
        return count_words(self.text)


def drafts_in(events: Iterable[Event]) -> list[ChapterDraft]:
    """The chapters in the events of an earlier run, the last of them perhaps unfinished."""
    drafts: list[ChapterDraft] = []
    for event in events:
        if isinstance(event, ChapterStart):
            drafts.append(ChapterDraft())
        elif drafts and not (isinstance(event, Inserted) and event.kind == "heading"):
            drafts[-1].events.append(event)
    return drafts


def in_chapters(job: Job, engine: Engine) -> Iterator[Event]:
    """Stream a story in chapters: first its plan, then each chapter at a length that suits.

    After every chapter the words that are left are shared out again over the chapters that are
    left, and the ask is corrected by what the model has delivered so far, so that errors do not
    add up. A chapter that an earlier run ended in a loop is written anew.
    """
    plan = job.plan
    if plan:
        yield Planned(plan)
    else:
        plan = yield from _make_plan(job, engine)
    if plan:
        book = _Book(engine, job.request, job.reference.profile, plan)
        yield from book.write(_earlier(job))


def _earlier(job: Job) -> list[ChapterDraft]:
    """The chapters of an earlier run, but for a last one that ended in a loop."""
    if not (job.earlier and job.plan):
        return []
    drafts = drafts_in(job.earlier.events)
    return drafts[:-1] if job.earlier.finish == "loop" else drafts


def _make_plan(job: Job, engine: Engine) -> Generator[Event, None, Plan | None]:
    """Ask for a plan until it can be read, then give it out; None when the run broke off.

    What the model writes for it counts as thinking.
    """
    request, count = job.request, job.request.chapters
    assert count
    for attempt in range(TRIES):
        if attempt:
            yield Restart(attempt)
        sampling = replace(request.sampling, seed=_seed(request.sampling, -attempt))
        limit = PLAN_TOKENS + max(sampling.thinking_budget, 0) * sampling.thinks
        run = write_story(engine, GenerationRequest(job.messages, sampling, limit))
        answer = yield from _answer(run, count)
        if answer is None:
            return None
        plan = parse_plan(answer, request.words)
        if plan and abs(len(plan.chapters) - count) <= count // 4:
            yield Planned(plan)
            return plan
    plan = even_plan(request.premise, request.words, count)
    yield Planned(plan, note="The model made no plan that can be used; a plain one is taken.")
    return plan


def _answer(run: Iterator[Event], count: int) -> Generator[Event, None, str | None]:
    """Give out an answer as thinking and return its text; None when the run broke off.

    Nothing is read after the line of the last chapter: small models go on with the story.
    """
    answer = ""
    with closing(run):
        for event in run:
            if isinstance(event, Chunk):
                yield replace(event, kind="thinking")
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
    """The writing of the chapters of one plan."""

    def __init__(
        self, engine: Engine, request: StoryRequest, profile: ModelProfile, plan: Plan
    ) -> None:
        self._engine, self._request, self._profile = engine, request, profile
        self._plan = plan
        self._done: list[ChapterDraft] = []

    def write(self, earlier: list[ChapterDraft]) -> Iterator[Event]:
        """Write what is not written yet, chapter by chapter, then give out one `Finish`."""
        chapters = self._plan.chapters
        pace = Pace(self._request.words, len(chapters), self._profile.good_words[1])
        finish = Finish("stop")
        for number, chapter in enumerate(chapters, 1):
            share = pace.share(chapters[number - 1 :])
            ask = pace.ask(share)
            if number < len(earlier):  # the last of them may be unfinished
                run = iter(earlier[number - 1].events)
            else:
                begun = earlier[number - 1] if number == len(earlier) else ChapterDraft()
                title = count_words(self._heading(chapter, ""))
                left = pace.left - title if number == len(chapters) else None
                run = self._stream(number, ask, share, left, begun)
            finish = yield from self._pass_on(number, run)
            if finish.reason != "stop":
                break
            pace.take(ask, self._done[-1].words + count_words(self._heading(chapter, "")))
        yield finish

    def _stream(
        self, number: int, ask: int, share: int, left: int | None, begun: ChapterDraft
    ) -> Iterator[Event]:
        """One chapter, from what is `begun` of it; the last is held to the words that are `left`,
        since no other can make up for it."""
        messages, limit = self._call(number, ask)
        sampling = replace(self._request.sampling, seed=_seed(self._request.sampling, number))
        attempt, answer = since_restart(begun.events)
        request = GenerationRequest(messages, sampling, limit)
        if left is None:
            request = replace(request, after=ids_of(answer))
            run = write_story(self._engine, request, attempt=attempt)
            return closed_after(run, round(MOST_SHARE * share))
        least = left - round((1 - NEAR) * self._request.words)
        # It closes as soon as the words are there, not beyond them: PAST is for a whole story.
        words = max(round(left / PAST), 1)
        return extended(
            self._engine,
            replace(request, max_new_tokens=limit + len(ids_of(answer))),
            words=words,
            least=least,
            rounds=rounds_of(answer),
            attempt=attempt,
        )

    def _pass_on(self, number: int, run: Iterator[Event]) -> Generator[Event, None, Finish]:
        """Give out one chapter with its heading; return how it ended."""
        before = self._done[-1].text if self._done else ""
        chapter = self._plan.chapters[number - 1]
        draft, begun = ChapterDraft(), False
        self._done.append(draft)
        yield ChapterStart(number, chapter.title)
        with closing(run):
            for event in run:
                if isinstance(event, Finish):
                    return _judged(event, draft)
                if not begun and _brings_story(event):
                    begun = True
                    yield Inserted("heading", self._heading(chapter, before))
                if not isinstance(event, Held):
                    draft.events.append(event)
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
        yield Message("user", plan_prompt(self._request, len(self._plan.chapters)))
        yield Message("assistant", self._plan.as_lines())
        for earlier, draft in enumerate(self._done, 1):
            yield self._ask(earlier, draft.words)
            text, summary = draft.text.strip(), f"{self._plan.chapters[earlier - 1].summary}."
            if earlier >= number - whole:
                yield Message("assistant", text)
            else:
                yield Message("assistant", summary, full_text=text)
        yield self._ask(number, ask)

    def _ask(self, number: int, words: int) -> Message:
        chapters = self._plan.chapters
        named = chapters[number - 1]
        form = FORM_NAMES[self._request.form]
        prompt = chapter_prompt(number, len(chapters), named.title, words, named.summary, form)
        return Message("user", prompt)


def _brings_story(event: Event) -> bool:
    """Whether the text of a chapter begins with this event."""
    if isinstance(event, Held):
        return bool(event.chunks)
    return bool(text_of(event))


def _judged(finish: Finish, chapter: ChapterDraft) -> Finish:
    """How a chapter's end counts for the story.

    One cut off at its token limit is merely short, which the next ones make up for; but a model
    that writes no text at all must not go on through a row of empty chapters.
    """
    written = bool(chapter.text.strip())
    if finish.reason == "length" and written:
        return replace(finish, reason="stop")
    return finish if written or finish.reason != "stop" else replace(finish, reason="length")
