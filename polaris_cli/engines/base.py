"""The protocol of all engines: `Engine` turns a `GenerationRequest` into a stream of events.

Does not know about lengths, chapters, files, or any particular engine.
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
    """The model as it ran, for the report and the records.

    `kernel` is the library and number format of a quantized model's layers, such as "torch int4".
    `threads` is the number of CPU threads; None where it does not matter or is not known.
    """

    name: str
    id: str
    revision: str | None = None
    engine: str = "local"
    quantization: str = "none"
    dtype: str = ""
    device: str = ""
    kernel: str = ""
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One call of an engine: an answer to `messages`.

    `max_new_tokens` limits thinking and story together, without `after`. `opening` are token ids at
    the start of the answer that count as part of the prompt: the story continues them, and they
    are not streamed. `after` are the token ids of an earlier, unfinished answer: they are streamed
    first, and the answer continues as it would have then. While `may_stop` returns False, the model
    cannot end its answer.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    max_new_tokens: int
    opening: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    may_stop: MayStop = always


class Engine(Protocol):
    """A loaded model, or a connection to one.

    `context` is the maximum number of tokens, prompt and answer together. `notes` are for the user
    to read after loading.
    """

    info: ModelInfo
    context: int
    load_seconds: float
    notes: tuple[str, ...]

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        """Yield thinking and story as they are generated, then one `Finish`.

        Closing the generator stops the generation at once.
        """

    def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of a text within an answer."""

    def count_tokens(self, messages: tuple[Message, ...], sampling: Sampling) -> int:
        """The length of the prompt for these messages, in tokens."""
