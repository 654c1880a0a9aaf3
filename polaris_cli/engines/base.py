"""What an engine is: `Engine`, from a prompt to a stream of text, and `ModelInfo` on its model.

Knows nothing of stories, words or files, and none of the engines.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from polaris_cli.events import RawEvent
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling

MayEnd = Callable[[], bool]


def always() -> bool:
    """The model may end its answer whenever it wants to."""
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


class Engine(Protocol):
    """A loaded model, or a connection to one.

    `stream` yields pieces of text as they come and ends with one `Finish`; closing the generator
    stops the work at once. `opens_thinking` says whether the text begins inside the thinking
    when thinking is on (the template has already opened the tag). `max_new_tokens` limits
    thinking and story together, not counting `after`.

    `opening` are tokens that the answer begins with, read as a part of the prompt: the story's text
    goes on behind them, and they are not given out. `after` are the tokens of an answer begun
    earlier: the stream gives them out first, as one run with what follows. While `may_end` says no,
    the model may not end its answer. `encode` words text as the tokens of an answer. `notes` are
    worth telling the user once it is loaded.
    """

    info: ModelInfo
    context: int
    load_seconds: float
    notes: tuple[str, ...]

    def stream(
        self,
        messages: tuple[Message, ...],
        sampling: Sampling,
        max_new_tokens: int,
        *,
        opening: Sequence[int] = (),
        after: Sequence[int] = (),
        may_end: MayEnd = always,
    ) -> Iterator[RawEvent]: ...

    def opens_thinking(self, sampling: Sampling) -> bool: ...

    def encode(self, text: str) -> tuple[int, ...]: ...

    def count_tokens(self, messages: tuple[Message, ...], sampling: Sampling) -> int: ...
