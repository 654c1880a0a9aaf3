"""The chapters of a story so far: `WrittenChapter`, and those of an earlier run.

Knows events, and the engine to find where a loop begins. Does not know how a chapter is asked for
or written (`chapters`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from polaris_cli.engines.base import Engine, GenerationRequest
from polaris_cli.events import ChapterStart, Chunk, Event, Inserted, Restart, text_of
from polaris_cli.story.job import Job
from polaris_cli.story.single_pass import before_loop, ids_of, since_restart
from polaris_cli.words import story_words


@dataclass(slots=True)
class WrittenChapter:
    """A finished or unfinished chapter: its events so far, without the heading.

    `prompt` is what asked for it; it stays the same in later prompts, so that an engine can keep
    its cache of the conversation.
    """

    events: list[Event] = field(default_factory=list)
    prompt: str = ""

    @property
    def text(self) -> str:
        """The chapter's text, without its heading."""
        return "".join(map(text_of, self.events))

    @property
    def words(self) -> int:
        """Words of the text."""
        return story_words(self.text)


def chapter_drafts(events: Iterable[Event]) -> list[WrittenChapter]:
    """The chapters in the events of an earlier run; the last one may be unfinished."""
    chapters: list[WrittenChapter] = []
    for event in events:
        if isinstance(event, ChapterStart):
            chapters.append(WrittenChapter())
        elif chapters and not (isinstance(event, Inserted) and event.kind == "heading"):
            chapters[-1].events.append(event)
    return chapters


def ends_finished(job: Job, engine: Engine) -> bool:
    """Whether the last chapter of an earlier run, which ended by itself, stays as it is.

    It does not with a model that is trained to go on within it, if the engine can continue a text.
    """
    ended = bool(job.earlier and job.earlier.finish == "stop")
    return ended and not (job.reference.profile.continues and engine.capabilities.token_ids)


def planning_of(job: Job) -> Iterator[Event]:
    """What the model wrote before the first chapter of an earlier run, with its tokens."""
    events = job.earlier.events if job.earlier else ()
    before = takewhile(lambda event: not isinstance(event, ChapterStart), events)
    return (event for event in before if isinstance(event, Chunk))


def earlier_parts(job: Job, engine: Engine) -> list[WrittenChapter]:
    """The parts of an earlier run, without its draft; it may have been a single pass."""
    if not job.earlier:
        return []
    written = [event for event in job.earlier.events if not _is_draft(event)]
    return _without_loop(job, engine, chapter_drafts(written) or [WrittenChapter(written)])


def _is_draft(event: Event) -> bool:
    return isinstance(event, Inserted) and event.kind == "draft"


def earlier_chapters(job: Job, engine: Engine) -> list[WrittenChapter]:
    """The chapters of an earlier run."""
    if not (job.earlier and job.plan):
        return []
    return _without_loop(job, engine, chapter_drafts(job.earlier.events))


def _without_loop(job: Job, engine: Engine, drafts: list[WrittenChapter]) -> list[WrittenChapter]:
    """The drafts; if the last ended in a loop, only the text before that.

    An engine that cannot continue a text writes the whole draft again.
    """
    if not (drafts and job.earlier and job.earlier.finish == "loop"):
        return drafts
    attempt, answer = since_restart(drafts[-1].events)
    replay = GenerationRequest(job.messages, job.request.sampling, 0)
    kept = before_loop(engine, replay, ids_of(answer)) if engine.capabilities.token_ids else ()
    restart = [Restart(attempt)] if attempt else []
    return [*drafts[:-1], WrittenChapter([*restart, Chunk("story", "", ids=kept)])]
