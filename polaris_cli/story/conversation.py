"""The conversation that asks for a chapter, as much of it as the context has room for.

Knows the chapters so far and how they are asked for. Does not know how a chapter is written
(`chapters`) or how many words it should have (`length`).
"""

from collections.abc import Iterator, Sequence

from polaris_cli.engines.base import Engine
from polaris_cli.events import Plan
from polaris_cli.request.prompts import Message, sentence
from polaris_cli.story.chapter_drafts import WrittenChapter
from polaris_cli.story.job import Job
from polaris_cli.story.wording import Wording


class Conversation:
    """The messages that ask for the chapters of a story, one after the other.

    `opening` are the token ids of the user's draft, with which the first chapter starts.
    `tells_plan`: the plan tells of a chapter that is not shown in full, else its last paragraph.
    """

    def __init__(
        self,
        job: Job,
        engine: Engine,
        wording: Wording,
        opening: tuple[int, ...],
        *,
        tells_plan: bool,
    ) -> None:
        self._engine, self._wording, self._tells_plan = engine, wording, tells_plan
        self._sampling, self._recall = job.request.sampling, job.reference.profile.recall
        self._draft = job.request.draft.text if job.request.draft else ""
        self._opening = opening

    def prompt(self, plan: Plan, number: int, words: int) -> str:
        """What asks for a chapter of `words` words."""
        chapters = plan.chapters
        return self._wording.ask(number, len(chapters), chapters[number - 1], words)

    def messages(
        self, plan: Plan, done: Sequence[WrittenChapter], words: int, *, usual: int, least: int
    ) -> tuple[tuple[Message, ...], int]:
        """The messages that ask for the next chapter, and their length in tokens.

        As many of the latest chapters as the context has room for are in it in full, beside `usual`
        tokens of the answer, and up to `recall` of the model's profile; the others are only told
        of. If there is no room for `least` tokens even then, the oldest are left out.
        """
        number = len(done) + 1
        ask = Message("user", self.prompt(plan, number, words))
        for whole, first in self._shown(number):
            messages = (*self._earlier(plan, done, whole, first), ask)
            tokens = self._engine.count_tokens(messages, self._sampling)
            tokens += len(self._opening) if number == 1 else 0
            if tokens + (usual if whole else least) <= self._engine.context:
                break
        return messages, tokens

    def _shown(self, number: int) -> Iterator[tuple[int, int]]:
        """What may be shown, less and less: how many of the latest chapters in full, and the first
        chapter of all."""
        yield from ((whole, 1) for whole in range(min(number - 1, self._recall), -1, -1))
        yield from ((0, first) for first in range(2, number + 1))

    def _earlier(
        self, plan: Plan, done: Sequence[WrittenChapter], whole: int, first: int
    ) -> Iterator[Message]:
        """The messages of the chapters from `first` on, the latest `whole` of them in full."""
        yield from self._wording.preface
        for number, written in enumerate(done, 1):
            text = ((self._draft if number == 1 else "") + written.text).strip()
            if not text or number < first:
                continue
            yield Message("user", written.prompt)
            if number > len(done) - whole:
                yield Message("assistant", text)
                continue
            summary = sentence(plan.chapters[number - 1].summary)
            short = summary if self._tells_plan else text.rpartition("\n\n")[2]
            yield Message("assistant", short, full_text=text)
