"""What an engine is: `Engine`, from a `GenerationRequest` to a stream of thinking and story.

Knows nothing of lengths, chapters or files, and none of the engines.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from polaris_cli.events import AnswerEvent
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling

MayStop = Callable[[], bool]


def always() -> bool:
    """The model may end its answer at any time."""
    return True


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model wrote, as it really ran: what the report and the records say of it.

    `kernel` is what multiplies a quantized model's matrices, for instance "torch int4".
    """

    name: str
    id: str
    revision: str | None = None
    engine: str = "local"
    quantization: str = "none"
    dtype: str = ""
    device: str = ""
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What an engine is asked for once: an answer to `messages`.

    `max_new_tokens` limits thinking and story together, not counting `after`. `opening` are tokens
    that the answer begins with, read as a part of the prompt: the story continues them, and they
    are not streamed. `after` are the tokens of an answer begun earlier: they are streamed first,
    and the answer goes on as it would have then. While `may_stop` says no, the model may not end
    its answer.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    max_new_tokens: int
    opening: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    may_stop: MayStop = always


class Engine(Protocol):
    """A loaded model, or a connection to one.

    `context` is the most tokens that fit it, prompt and answer together. `notes` are worth telling
    the user once it is loaded.
    """

    info: ModelInfo
    context: int
    load_seconds: float
    notes: tuple[str, ...]

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        """Yield thinking and story as they are written, then one `Finish`.

        Closing the generator stops the work at once.
        """

    def encode(self, text: str) -> tuple[int, ...]:
        """The tokens of a text within an answer."""

    def count_tokens(self, messages: tuple[Message, ...], sampling: Sampling) -> int:
        """How many tokens the prompt of these messages has."""
