"""Stories in parts: each chapter at a length that the model writes well, in one conversation.

Calls an engine several times and yields one stream of events. Does not know how a model runs
(`engines`), how a plan is made (`planning`), or what a chapter's prompt says (`wording`).
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import count

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.events import (
    Again,
    Chapter,
    ChapterStart,
    Chunk,
    Event,
    Finish,
    Held,
    Inserted,
    Plan,
    Planned,
    closing,
    text_of,
)
from polaris_cli.request.budget import token_budget, usual_tokens
from polaris_cli.request.prompts import Message, part_prompt
from polaris_cli.story.chapter_drafts import (
    WrittenChapter,
    earlier_chapters,
    ends_finished,
    planning_of,
)
from polaris_cli.story.conversation import Conversation
from polaris_cli.story.decayed import RETRIES, beginning_of, without_decay
from polaris_cli.story.extending import extended, rounds_of
from polaris_cli.story.growing_plan import GrowingPlan
from polaris_cli.story.job import Job
from polaris_cli.story.length import (
    ACCEPT_END_AT,
    CHAPTER_SENTENCE_AT,
    CLOSE_PARAGRAPH_AT,
    LengthTarget,
    Pace,
    close_at,
    words_for_ending,
)
from polaris_cli.story.planning import make_plan
from polaris_cli.story.single_pass import ids_of, seed_of_call, since_restart, stream_answer
from polaris_cli.story.wording import Wording, wording_for
from polaris_cli.words import story_words


def in_chapters(job: Job, engine: Engine) -> Iterator[Event]:
    """Stream a story in chapters: first its plan, then each chapter.

    After every chapter, the remaining words are divided among the remaining chapters, and the
    number of words to request is corrected by what the model has delivered so far, so that errors
    do not add up. If more is left than the remaining chapters will deliver, a chapter is inserted.
    If an earlier run ended in a loop, its last chapter goes on from the text before that.
    """
    plan = job.plan if job.earlier or not job.plan else job.plan.as_start()
    if plan:
        yield from planning_of(job)
        yield Planned(plan)
    else:
        plan = yield from make_plan(job, engine)
    if plan:
        wording = wording_for(job.request, plan.after(0))
        yield from ChapterWriter(job, engine, plan, wording).write(earlier_chapters(job, engine))


def in_parts(
    job: Job, engine: Engine, opening: tuple[int, ...], earlier: list[WrittenChapter]
) -> Iterator[Event]:
    """Stream a story in one pass; if it ends too early, go on with further parts.

    `opening` are the token ids of the draft that the first part continues, `earlier` the parts of
    an earlier run. The further parts are asked for in the same conversation, each by a step of the
    story's arc.
    """
    request = job.request
    plan = Plan("", "", (Chapter("", request.words, ""),))

    def ask(number: int, total: int, chapter: Chapter, words: int) -> str:
        if number == 1:
            return job.messages[-1].content
        return part_prompt(request, number, total, words, chapter.summary)

    writer = ChapterWriter(job, engine, plan, Wording((), ask), opening, in_one_pass=True)
    yield from writer.write(earlier)


class ChapterWriter:
    """Writes the chapters of one plan; `opening` are the token ids that the first one continues.

    `in_one_pass`: the plan is only how much is asked for, so it is not shown, and a token limit
    ends the story.
    """

    def __init__(
        self,
        job: Job,
        engine: Engine,
        plan: Plan,
        wording: Wording,
        opening: tuple[int, ...] = (),
        *,
        in_one_pass: bool = False,
    ) -> None:
        self._engine, self._request, self._profile = engine, job.request, job.reference.profile
        self._opening = opening
        self._draft = job.request.draft.text if job.request.draft else ""
        # The user wants more of an earlier run that ended by itself: the model goes on within its
        # last chapter if it can, else that one stays and others follow.
        self._finished = ends_finished(job, engine)
        self._in_one_pass = in_one_pass
        planned = len(plan.after(0).chapters)
        self._pace = Pace(job.request.words, planned, self._profile.good_words[1])
        self._plan = GrowingPlan(
            plan, job, self._pace, finished=self._finished, shown=not in_one_pass
        )
        self._conversation = Conversation(job, engine, wording, opening, tells_plan=not in_one_pass)
        self._done: list[WrittenChapter] = []
        self._may_cut = not self._profile.continues  # the end of the story, once, for an ending
        self._ending = 0  # words of an ending in place of an end of this chapter that is too long
        self._lacks_ending = False

    def write(self, earlier: list[WrittenChapter]) -> Iterator[Event]:
        """Replay the earlier chapters, continue the last, write the rest; yield one `Finish`."""
        finish = Finish("stop")
        for number in count(1):
            new = number > len(earlier)
            if number <= len(earlier) + 1 and not self._in_one_pass:
                self._plan.recall(number - 1)
            if new or self._in_one_pass:  # a pass records no plan: it grows as before
                yield from self._plan.grow(
                    len(self._done), new=new, lacks_ending=self._lacks_ending
                )
            if number > len(self._plan.chapters):
                break
            finish = yield from self._write_chapter(number, earlier)
            if not self._goes_on(finish) or (new and self._is_silent()):
                break
        yield finish

    def _goes_on(self, finish: Finish) -> bool:
        """Whether the story goes on after a chapter that ended so.

        A chapter cut off at its token limit is only short, which later chapters make up for.
        """
        if finish.reason == "length" and not self._in_one_pass:
            return bool(self._done[-1].text.strip())
        return finish.reason == "stop"

    def _is_silent(self) -> bool:
        """Whether the model wrote nothing for two chapters in a row, for the first, or for a
        further part of a pass.

        A single empty chapter is left out; a model that goes on so would have no others. To a draft
        it may add nothing at first, as to a story that has ended.
        """
        if self._draft and len(self._done) == 1:
            return False
        last = self._done[-1 if self._in_one_pass else -2 :]
        return not any(part.text.strip() for part in last)

    def _write_chapter(
        self, number: int, earlier: list[WrittenChapter]
    ) -> Generator[Event, None, Finish]:
        """Yield a chapter, or the same as in the earlier run; return how it ended."""
        chapter = self._plan.chapters[number - 1]
        share = self._pace.share(self._plan.chapters[number - 1 :])
        requested = self._pace.words_to_request(share, after_overrun=self._lacks_ending)
        if number < len(earlier) + self._finished:  # else the last of them is unfinished
            run = iter(earlier[number - 1].events)
        else:
            so_far = earlier[number - 1] if number == len(earlier) else WrittenChapter()
            run = self._generate(number, requested, share, so_far)
        prompt = self._conversation.prompt(self._plan.current, number, requested)
        finish = yield from self._stream_chapter(number, run, prompt)
        heading = self._heading(chapter, "") if self._done[-1].text else ""
        added = story_words(heading + (self._draft if number == 1 else ""))
        self._note_length(requested, self._done[-1].words + added, finish)
        return finish

    def _note_length(self, requested: int, delivered: int, finish: Finish) -> None:
        """Count a chapter; if its end was cut away, an ending is missing."""
        missing = self._pace.missing - delivered
        self._lacks_ending = finish.closed and 0 < self._ending <= missing
        if self._lacks_ending:
            self._may_cut, requested = False, delivered
        self._pace.record(requested, delivered)

    def _generate(
        self, number: int, requested: int, share: int, so_far: WrittenChapter
    ) -> Iterator[Event]:
        """Write one chapter, continuing the text `so_far`."""
        target = self._target(number, share)
        messages, limit = self._messages_and_limit(requested, share, target)
        sampling = self._request.sampling
        sampling = replace(sampling, seed=seed_of_call(sampling, number))
        attempt, answer = since_restart(so_far.events)
        opening = self._opening if number == 1 else ()
        request = GenerationRequest(messages, sampling, limit, opening)
        is_last = number == len(self._plan.chapters)
        if is_last and self._profile.continues and self._engine.capabilities.token_ids:
            return self._continued(request, answer, attempt)
        if self._engine.capabilities.token_ids:
            request = replace(request, after=ids_of(answer))
        # The first part of an untitled plan may begin with the title of the story.
        title = self._plan.chapters[number - 1].title or ("" if number > 1 else None)

        def write(request: GenerationRequest) -> Iterator[Event]:
            answer = stream_answer(self._engine, request, attempt=attempt, title=title)
            return close_at(answer, target)

        return without_decay(
            write,
            request,
            beginning_of(event for chapter in self._done for event in chapter.events),
            narrative=self._request.narrative,
            retries=RETRIES if self._engine.capabilities.token_ids else 0,
            keep=self._words_before_ending(number, is_last=is_last),
            target=target,
        )

    def _words_before_ending(self, number: int, *, is_last: bool) -> int:
        """How many words of a chapter stay if it becomes too long; 0 for all."""
        heading = story_words(self._heading(self._plan.chapters[number - 1], ""))
        missing = self._request.words - self._written_before(number) - heading
        self._ending = words_for_ending(missing) if is_last and self._may_cut else 0
        return missing - self._ending if self._ending else 0

    def _written_before(self, number: int) -> int:
        """The words of the story before the text of a chapter."""
        return story_words(self._draft) if number == 1 else self._pace.written

    def _target(self, number: int, share: int) -> LengthTarget:
        if number < len(self._plan.chapters):
            return LengthTarget.of_chapter(share)
        written = self._written_before(number)
        return LengthTarget.of_ending(self._request.words, self._request.band, written)

    def _continued(
        self, request: GenerationRequest, answer: list[Event], attempt: int
    ) -> Iterator[Event]:
        """Write the last chapter with a model that is trained to go on after its ending."""
        title = story_words(self._heading(self._plan.chapters[-1], ""))
        remaining = self._pace.remaining - title
        # `extended` closes at CLOSE_PARAGRAPH_AT times its words, not at the words themselves.
        words = max(round(remaining / CLOSE_PARAGRAPH_AT), 1)
        return extended(
            self._engine,
            replace(request, max_new_tokens=request.max_new_tokens + len(ids_of(answer))),
            words=words,
            minimum=remaining - round((1 - ACCEPT_END_AT) * self._request.words),
            rounds=rounds_of(answer),
            attempt=attempt,
        )

    def _stream_chapter(
        self, number: int, run: Iterator[Event], prompt: str
    ) -> Generator[Event, None, Finish]:
        """Yield one chapter with its heading; return how it ended."""
        draft = self._draft if number > 1 else ""  # the first chapter goes on within it
        before = next((one.text for one in reversed(self._done) if one.text), draft)
        chapter = self._plan.chapters[number - 1]
        heading = self._heading(chapter, before)
        written, started = WrittenChapter(prompt=prompt), False
        self._done.append(written)
        yield ChapterStart(number, chapter.title)
        with closing(run):
            for event in run:
                if isinstance(event, Finish):
                    return event
                if not started and isinstance(event, Held):
                    event = _headed(event, heading)
                if not started and text_of(event):
                    started = True
                    yield Inserted("heading", heading)
                if event == Again("extended"):  # a scene within the chapter, not a further chapter
                    continue
                if not isinstance(event, Held | Again):
                    written.events.append(event)
                yield event
        return Finish("stop")

    def _heading(self, chapter: Chapter, before: str) -> str:
        """The line breaks and the heading between the text before and a chapter's text."""
        breaks = len(before) - len(before.rstrip("\n"))
        gap = "\n" * max(0, 2 - breaks) if before else ""
        has_heading = chapter.title and self._request.headings
        return f"{gap}## {chapter.title}\n\n" if has_heading else gap

    def _messages_and_limit(
        self, requested: int, share: int, target: LengthTarget
    ) -> tuple[tuple[Message, ...], int]:
        """The conversation that asks for the next chapter, and the limit of new tokens."""
        context, sampling = self._engine.context, self._request.sampling
        per_word = self._profile.tokens_per_word
        words = max(requested, round(CHAPTER_SENTENCE_AT * share))
        messages, prompt_tokens = self._conversation.messages(
            self._plan.current,
            self._done,
            requested,
            usual=usual_tokens(words, sampling, per_word),
            least=math.ceil(words * per_word),
        )
        budget = token_budget(
            words,
            sampling,
            context=context,
            prompt_tokens=prompt_tokens,
            tokens_per_word=per_word,
            chapter=requested,
        )
        # A short last chapter may become several times as long as asked, to the end of the band.
        longest = usual_tokens(math.ceil(target.sentence), sampling, per_word)
        return messages, max(budget.max_new_tokens, min(longest, context - prompt_tokens))


def _headed(event: Held, heading: str) -> Held:
    """The text held at the start of a chapter with its heading: if all of it decays, none stays."""
    title = Chunk("story", heading)
    chunks, given = ((title, *held) if held else () for held in (event.chunks, event.given))
    return replace(event, chunks=chunks, given=given)
