"""A story to be written: `Job`, a request with everything that is settled before a model is loaded.

Knows what belongs together; not how it is settled (`prepare`), nor how a story is written.
"""

from dataclasses import dataclass, field

from polaris_cli.events import Event, Plan, Reason
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.budget import Budget
from polaris_cli.request.prompts import Message
from polaris_cli.request.settings import Setting
from polaris_cli.request.story_request import StoryRequest

BYTES_PER_TOKEN = 5  # of English; the exact count comes with the tokenizer


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier run wrote of a story: its events, and how that run ended."""

    events: tuple[Event, ...]
    finish: Reason


@dataclass(frozen=True, slots=True)
class Job:
    """A request that can go to a model, and what is known of it beforehand.

    `messages` ask for the story, or for its plan if it is written in chapters. `budget` rests on an
    estimate of the prompt's length. `plan` is the plan to write by, if there is one already.
    `earlier` is set for a story that is taken up again. `settings` holds each value with its
    source, `notes` are worth telling the user before the model is loaded.
    """

    request: StoryRequest
    reference: ModelRef
    messages: tuple[Message, ...]
    budget: Budget
    plan: Plan | None = None
    earlier: Earlier | None = None
    settings: dict[str, Setting] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """The longest sequence that may result, prompt and output, in tokens (an estimate)."""
        return prompt_estimate(self.request, self.messages) + self.budget.max_new_tokens


def prompt_estimate(request: StoryRequest, messages: tuple[Message, ...]) -> int:
    """About how many tokens the prompt has, with the draft that the answer goes on from."""
    texts = [message.content for message in messages]
    texts += [request.draft.text] if request.draft else []
    return sum(len(text.encode()) for text in texts) // BYTES_PER_TOKEN
