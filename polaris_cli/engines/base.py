"""The protocol of all engines: `Engine` turns a `GenerationRequest` into a stream of events.

Does not know about lengths, chapters, files, or any particular engine.

A new engine is one file and one line in `opening`. This is a complete one; a test runs it:

    class EchoEngine:
        # Writes the premise back, a word at a time.

        info = ModelInfo("echo", "echo", engine="echo")
        capabilities = Capabilities(token_ids=False)
        context = 4096
        load_seconds = 0.0
        notes = ()

        def stream(self, request):
            words = request.messages[-1].content.split()
            prompt_tokens = self.count_tokens(request.messages, request.sampling)
            pieces = (Piece(f"{word} ") for word in words[: request.max_new_tokens])
            finish = Finish("stop" if len(words) <= request.max_new_tokens else "length")
            raw = chain(pieces, [replace(finish, prompt_tokens=prompt_tokens)])
            return split_thinking(raw, opened=False)

        def encode(self, text):
            return ()

        def count_tokens(self, messages, sampling):
            return sum(len(message.content.split()) for message in messages)

        def deviations(self, sampling):
            return (Deviation("temperature", "it always writes the same", ignored=True),)

        def close(self):
            pass
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from polaris_cli.events import AnswerEvent
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling

DRY_GROWTH = 1.3  # of the DRY penalty (see `local.dry`): factor for each further token of a run


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model as it ran, for the report and the records.

    `quantization` is that of the weights, or "none". Of a GGUF file it is the file's type, such as
    "Q4_1"; where the local engine has quantized it again, "Q4_1, 4bit". `device_name` is what the
    machine calls the device, such as "NVIDIA H200"; "" on a server.
    `kernel` is the library and number format of a quantized model's layers, such as "torch int4",
    `server` the kind and version of the server that ran it, `threads` the number of CPU threads.
    """

    name: str
    id: str
    revision: str | None = None
    engine: str = "local"
    quantization: str = "none"
    dtype: str = ""
    device: str = ""
    device_name: str = ""
    kernel: str = ""
    server: str = ""
    threads: int | None = None


def is_file_type(quantization: str) -> bool:
    """Whether a model's quantization is only the type of its GGUF file, which has no small letters:
    the local engine then computes with all weights in its dtype."""
    return quantization.isupper()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, so that its callers ask this and never which engine it is.

    `token_ids`: answers have token ids, and it continues one from them (`opening`, `after` and
    `min_new_tokens` of a request count). `thinking_budget`: it ends the thinking after a number of
    tokens.
    """

    token_ids: bool = True
    thinking_budget: bool = True


@dataclass(frozen=True, slots=True)
class Deviation:
    """A setting that an engine does not apply as the local engine does.

    `text` says what it does instead, for the report. `ignored` is set if the setting has no effect.
    """

    setting: str
    text: str
    ignored: bool = False


def fewer_threads(chosen: int | None, used: int) -> tuple[Deviation, ...]:
    """The deviation of an engine that has `used` fewer threads than were chosen at first."""
    if not chosen or used >= chosen:
        return ()
    told = f"{chosen} at first, {used} at the end, as other programs kept the cores busy"
    return (Deviation("threads", told),)


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One call of an engine: an answer to `messages`.

    `max_new_tokens` limits thinking and story together, without `after`. `opening` are token ids at
    the start of the answer that count as part of the prompt: the story continues them, and they
    are not streamed. `after` are the token ids of an earlier, unfinished answer: they are streamed
    first, and the answer continues as it would have then. The model cannot end it before there are
    `min_new_tokens` new ones. `schema` is a JSON schema for the answer; chat servers follow it.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    max_new_tokens: int
    opening: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    min_new_tokens: int = 0
    schema: Mapping[str, Any] | None = None


@runtime_checkable
class MeasuresRows(Protocol):
    """An engine that can try out how many answers at once it generates best."""

    def rows_worth(self, most: int) -> int:
        """The smallest number that has nearly the highest throughput; at most `most`."""


class Engine(Protocol):
    """A loaded model, or a connection to one.

    `context` is the maximum number of tokens, prompt and answer together. `notes` are for the user
    to read after loading.
    """

    info: ModelInfo
    capabilities: Capabilities
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
        """The length of the prompt for these messages in tokens, or an estimate of it."""

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """The settings that it does not apply as asked, as far as is known by now."""

    def close(self) -> None:
        """Free the model's memory, or close the connection. The engine cannot be used after it.

        A second call does nothing."""
