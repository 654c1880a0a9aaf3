"""Stories in chapters: a plan first, then each chapter at a length that the model writes well.

Calls an engine several times and yields one stream of events. Does not know how a model runs
(`engines`) or how a plan is read (`plan`).
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
from polaris_cli.story.length import (
    ACCEPT_END_AT,
    CLOSE_PARAGRAPH_AT,
    MAX_CHAPTER_SHARE,
    Pace,
    close_after,
)
from polaris_cli.story.plan import even_plan, is_complete, parse_plan
from polaris_cli.story.single_pass import ids_of, since_restart, stream_answer
from polaris_cli.words import count_words

TRIES = 3  # attempts at a plan before a generic one is used
PLAN_TOKENS = 2_000  # limit for a plan, without its thinking


@dataclass(slots=True)
class ChapterDraft:
    """A finished or unfinished chapter: its events so far, without the heading."""

    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The chapter's text, without its heading."""
        return "".join(map(text_of, self.events))

    @property
    def words(self) -> int:
        """Words of the text."""
        return count_words(self.text)


def chapter_drafts(events: Iterable[Event]) -> list[ChapterDraft]:
    """The chapters in the events of an earlier run; the last one may be unfinished."""
    chapters: list[ChapterDraft] = []
    for event in events:
        if isinstance(event, ChapterStart):
            chapters.append(ChapterDraft())
        elif chapters and not (isinstance(event, Inserted) and event.kind == "heading"):
            chapters[-1].events.append(event)
    return chapters


def in_chapters(job: Job, engine: Engine) -> Iterator[Event]:
    """Stream a story in chapters: first its plan, then each chapter.

    After every chapter, the remaining words are divided among the remaining chapters, and the
    number of words to request is corrected by what the model has delivered so far, so that errors
    do not add up. If an earlier run ended in a loop, its last chapter is written again.
    """
    plan = job.plan
    if plan:
        yield Planned(plan)
    else:
        plan = yield from _make_plan(job, engine)
    if plan:
        writer = _ChapterWriter(engine, job.request, job.reference.profile, plan)
        yield from writer.write(_earlier_chapters(job))


def _earlier_chapters(job: Job) -> list[ChapterDraft]:
    """The chapters of an earlier run; a last one that ended in a loop is empty again."""
    if not (job.earlier and job.plan):
        return []
    chapters = chapter_drafts(job.earlier.events)
    looped = chapters and job.earlier.finish == "loop"
    return [*chapters[:-1], ChapterDraft()] if looped else chapters


def _make_plan(job: Job, engine: Engine) -> Generator[Event, None, Plan | None]:
    """Ask for a plan until one can be read; yield and return it, or None if the run was cut off.

    The text of the answers is streamed as thinking.
    """
    request, count = job.request, job.request.chapters
    assert count
    for attempt in range(TRIES):
        if attempt:
            yield Restart(attempt)
        sampling = replace(request.sampling, seed=_seed_of_call(request.sampling, -attempt))
        limit = PLAN_TOKENS + max(sampling.thinking_budget, 0) * sampling.thinks
        run = stream_answer(engine, GenerationRequest(job.messages, sampling, limit))
        answer = yield from _plan_answer(run, count)
        if answer is None:
            return None
        plan = parse_plan(answer, request.words)
        if plan and abs(len(plan.chapters) - count) <= count // 4:
            yield Planned(plan)
            return plan
    plan = even_plan(request.premise, request.words, count)
    yield Planned(plan, note="The model did not write a usable plan; a generic one is used.")
    return plan


def _plan_answer(run: Iterator[Event], count: int) -> Generator[Event, None, str | None]:
    """Yield an answer as thinking and return its text, or None if the run was cut off.

    Stops after the line of the last chapter: small models continue with the story itself.
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


def _seed_of_call(sampling: Sampling, number: int) -> int:
    """A different seed for each call, so that chapters do not share random numbers."""
    return (sampling.seed + number * 1_000_003) % 2**63


class _ChapterWriter:
    """Writes the chapters of one plan."""

    def __init__(
        self, engine: Engine, request: StoryRequest, profile: ModelProfile, plan: Plan
    ) -> None:
        self._engine, self._request, self._profile = engine, request, profile
        self._plan = plan
        self._done: list[ChapterDraft] = []

    def write(self, earlier: list[ChapterDraft]) -> Iterator[Event]:
        """Replay the earlier chapters, continue the last, write the rest; yield one `Finish`."""
        chapters = self._plan.chapters
        pace = Pace(self._request.words, len(chapters), self._profile.good_words[1])
        finish = Finish("stop")
        for number, chapter in enumerate(chapters, 1):
            share = pace.share(chapters[number - 1 :])
            requested = pace.words_to_request(share)
            if number < len(earlier):  # the last of them may be unfinished
                run = iter(earlier[number - 1].events)
            else:
                so_far = earlier[number - 1] if number == len(earlier) else ChapterDraft()
                title = count_words(self._heading(chapter, ""))
                remaining = pace.remaining - title if number == len(chapters) else None
                run = self._generate(number, requested, share, remaining, so_far)
            finish = yield from self._stream_chapter(number, run)
            if finish.reason != "stop":
                break
            pace.record(requested, self._done[-1].words + count_words(self._heading(chapter, "")))
        yield finish

    def _generate(
        self, number: int, requested: int, share: int, remaining: int | None, so_far: ChapterDraft
    ) -> Iterator[Event]:
        """Write one chapter, continuing the text `so_far`.

        `remaining` is set only for the last chapter, which must end at this number of words, as no
        later one can make up for it.
        """
        messages, limit = self._messages_and_limit(number, requested)
        sampling = replace(
            self._request.sampling, seed=_seed_of_call(self._request.sampling, number)
        )
        attempt, answer = since_restart(so_far.events)
        request = GenerationRequest(messages, sampling, limit)
        if remaining is None or not self._engine.capabilities.token_true:
            request = replace(request, after=ids_of(answer))
            run = stream_answer(self._engine, request, attempt=attempt)
            return close_after(run, round(MAX_CHAPTER_SHARE * share))
        minimum = remaining - round((1 - ACCEPT_END_AT) * self._request.words)
        # `extended` closes at CLOSE_PARAGRAPH_AT times its words, not at the words themselves.
        words = max(round(remaining / CLOSE_PARAGRAPH_AT), 1)
        return extended(
            self._engine,
            replace(request, max_new_tokens=limit + len(ids_of(answer))),
            words=words,
            minimum=minimum,
            rounds=rounds_of(answer),
            attempt=attempt,
        )

    def _stream_chapter(self, number: int, run: Iterator[Event]) -> Generator[Event, None, Finish]:
        """Yield one chapter with its heading; return how it ended."""
        before = self._done[-1].text if self._done else ""
        chapter = self._plan.chapters[number - 1]
        written, started = ChapterDraft(), False
        self._done.append(written)
        yield ChapterStart(number, chapter.title)
        with closing(run):
            for event in run:
                if isinstance(event, Finish):
                    return _chapter_finish(event, written)
                if not started and _has_story_text(event):
                    started = True
                    yield Inserted("heading", self._heading(chapter, before))
                if not isinstance(event, Held):
                    written.events.append(event)
                yield event
        return Finish("stop")

    def _heading(self, chapter: Chapter, before: str) -> str:
        """The line breaks and the heading between the text before and a chapter's text."""
        breaks = len(before) - len(before.rstrip("\n"))
        gap = "\n" * max(0, 2 - breaks) if before else ""
        return f"{gap}## {chapter.title}\n\n" if self._request.headings else gap

    def _messages_and_limit(self, number: int, requested: int) -> tuple[tuple[Message, ...], int]:
        """The conversation that asks for a chapter, and the limit of new tokens.

        As many of the latest chapters as the context has room for are in it in full, up to
        `recall` of the model's profile; of the others only the summary.
        """
        context = self._engine.context
        for whole in range(min(number - 1, self._profile.recall), -1, -1):
            messages = tuple(self._conversation(number, requested, whole))
            prompt_tokens = self._engine.count_tokens(messages, self._request.sampling)
            wanted = token_budget(
                requested,
                self._request.sampling,
                context=sys.maxsize if whole else context,
                prompt_tokens=prompt_tokens,
                tokens_per_word=self._profile.tokens_per_word,
            )
            if prompt_tokens + wanted.max_new_tokens <= context:
                break
        return messages, wanted.max_new_tokens

    def _conversation(self, number: int, requested: int, whole: int) -> Iterator[Message]:
        yield Message("user", plan_prompt(self._request, len(self._plan.chapters)))
        yield Message("assistant", self._plan.as_lines())
        for earlier, written in enumerate(self._done, 1):
            yield self._chapter_prompt(earlier, written.words)
            text, summary = written.text.strip(), f"{self._plan.chapters[earlier - 1].summary}."
            if earlier >= number - whole:
                yield Message("assistant", text)
            else:
                yield Message("assistant", summary, full_text=text)
        yield self._chapter_prompt(number, requested)

    def _chapter_prompt(self, number: int, words: int) -> Message:
        chapters = self._plan.chapters
        named = chapters[number - 1]
        form = FORM_NAMES[self._request.form]
        prompt = chapter_prompt(number, len(chapters), named.title, words, named.summary, form)
        return Message("user", prompt)


def _has_story_text(event: Event) -> bool:
    """Whether the event has story text, held or not."""
    if isinstance(event, Held):
        return bool(event.chunks)
    return bool(text_of(event))


def _chapter_finish(finish: Finish, chapter: ChapterDraft) -> Finish:
    """The finish of a chapter, as it counts for the story.

    A chapter cut off at its token limit is only short, which later chapters make up for. A chapter
    without text ends the story, or a model that writes nothing would produce only empty chapters.
    """
    has_text = bool(chapter.text.strip())
    if finish.reason == "length" and has_text:
        return replace(finish, reason="stop")
    return finish if has_text or finish.reason != "stop" else replace(finish, reason="length")
