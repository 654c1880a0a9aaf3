"""A story to write: `Job`, a request and everything that is settled before a model is loaded.

Only holds data: `prepare` settles a job, `writing` writes it.
"""

from dataclasses import dataclass, field

from polaris_cli.events import Event, Plan, Reason
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.budget import Budget
from polaris_cli.request.prompts import Message
from polaris_cli.request.settings import Setting
from polaris_cli.request.story_request import StoryRequest
from polaris_cli.story.result import Place

BYTES_PER_TOKEN = 5  # for English; the exact count needs the tokenizer


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run of a story: its events, and its finish reason.

    `extended` and `rewritten` are those of its record.
    """

    events: tuple[Event, ...]
    finish: Reason
    extended: int = 0
    rewritten: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A request that is ready for a model.

    `messages` ask for the story, or for its plan if it is written in chapters. `budget` is based on
    an estimate of the prompt's length. `plan` is the plan to follow, if there is one already.
    `earlier` is set for a story that is resumed. `settings` has the value and the source of each
    setting, `notes` are for the user to read before the model is loaded. `place` is that of a story
    written with others.
    """

    request: StoryRequest
    reference: ModelRef
    messages: tuple[Message, ...]
    budget: Budget
    plan: Plan | None = None
    earlier: Earlier | None = None
    settings: dict[str, Setting] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    place: Place | None = None

    @property
    def tokens(self) -> int:
        """The maximum length of prompt and output together, in tokens (an estimate)."""
        return prompt_estimate(self.request, self.messages) + self.budget.max_new_tokens


def prompt_estimate(request: StoryRequest, messages: tuple[Message, ...]) -> int:
    """An estimate of the prompt's length in tokens, including the draft that it continues."""
    texts = [message.content for message in messages]
    texts += [request.draft.text] if request.draft else []
    return sum(len(text.encode()) for text in texts) // BYTES_PER_TOKEN
