"""The local engine: a loaded transformers model that streams text.

`loading` loads the model, `chat` makes the prompt, `decode` runs the decoding loop.
"""

import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, cast

import torch

from polaris_cli.engines.base import (
    Capabilities,
    Deviation,
    GenerationRequest,
    ModelInfo,
    fewer_threads,
)
from polaris_cli.engines.kernels.patching import patch_forwards
from polaris_cli.engines.local.chat import Chat
from polaris_cli.engines.local.cpu_threads import nothing
from polaris_cli.engines.local.decode import context_length, decode
from polaris_cli.engines.local.generation import TokenizedRequest, sampler_class
from polaris_cli.engines.local.loading import LoadedModel, load_model
from polaris_cli.engines.local.lockstep import Lockstep
from polaris_cli.engines.local.prefix_cache import PrefixCache
from polaris_cli.engines.local.shared_steps import SharedSteps
from polaris_cli.engines.local.static_forward import can_capture
from polaris_cli.engines.local.trial import rows_worth
from polaris_cli.engines.local.vocabulary import vocabulary_of
from polaris_cli.events import AnswerEvent
from polaris_cli.models.reference import ModelRef
from polaris_cli.request.prompts import Message, has_answer
from polaris_cli.request.story_request import Quantize, Sampling, StoryRequest


class LocalEngine:
    """A loaded model on this machine; see `polaris_cli.engines.base.Engine`."""

    capabilities = Capabilities()

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        info: ModelInfo,
        load_seconds: float,
        *,
        static: bool = False,
        room: int = 0,
        notes: tuple[str, ...] = (),
        on_close: Callable[[], None] = nothing,
    ) -> None:
        self.info = info
        self.notes = notes
        self.context = context_length(model)
        self.load_seconds = load_seconds
        self._model = model
        self._static, self._room = static, room  # tokens of a whole story
        self._chat = Chat(tokenizer)
        self._vocabulary = vocabulary_of(model, tokenizer)
        self._prefix_cache = PrefixCache()
        self._on_close = weakref.finalize(self, on_close)  # at the latest when nobody has it

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        """Yield the model's answer as it is generated, then one `Finish`."""
        # A cache changes the last digits of the logits, and the same seed must give the same story:
        # only later answers of a story start from it.
        if not (request.after or has_answer(request.messages)):
            self._prefix_cache.clear()
        return decode(
            self._model,
            self._vocabulary,
            self._tokenized(request),
            static=self._static,
            room=self._room,
            prefix_cache=self._prefix_cache,
        )

    def _tokenized(self, request: GenerationRequest) -> TokenizedRequest:
        messages, sampling, opening = request.messages, request.sampling, request.opening
        inside = self._chat.opens_thinking(thinking=sampling.thinks)
        # Some templates always open the thinking; it must be closed before an opening.
        closing = self._vocabulary.closing_ids if opening and inside else ()
        opening = (*closing, *opening)
        summarized = "\n\n".join(message.full_text for message in messages if message.full_text)
        prompt = self._chat.prompt_ids(messages, thinking=sampling.thinks)
        turn_start = self._chat.turn_start(messages, prompt, thinking=sampling.thinks)
        return TokenizedRequest(
            prompt_ids=[*prompt, *opening],
            sampling=sampling,
            max_new_tokens=request.max_new_tokens,
            inside_thinking=inside and not opening,
            opening=opening,
            after=request.after,
            summarized=self.encode(summarized),
            min_new_tokens=request.min_new_tokens,
            turn_start=turn_start,
            earlier=self._earlier(messages, turn_start),
        )

    def _earlier(self, messages: Sequence[Message], turn_start: int) -> int:
        """About how many tokens the turns before the last question of a conversation have."""
        if not has_answer(messages):
            return 0
        return max(turn_start - len(self.encode(messages[-1].content)), 0)

    def encode(self, text: str) -> tuple[int, ...]:
        """The token ids of a text within an answer."""
        return self._chat.text_ids(text)

    def count_tokens(self, messages: tuple[Message, ...], sampling: Sampling) -> int:
        """The length of the prompt for these messages, in tokens."""
        return len(self._chat.prompt_ids(messages, thinking=sampling.thinks))

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """A smaller number of threads; the other engines are compared with this one."""
        return fewer_threads(self.info.threads, torch.get_num_threads())

    def close(self) -> None:
        """Free the model's memory."""
        for name in ("_model", "_prefix_cache"):
            vars(self).pop(name, None)
        self._on_close()


class LockstepEngine(LocalEngine):
    """A loaded model that several threads use at once: each step is one token for all of them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._steps = SharedSteps(Lockstep(self._model, self._vocabulary))

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        """Yield the model's answer as it is generated, then one `Finish`."""
        return self._steps.stream(self._tokenized(request))

    def rows_worth(self, most: int) -> int:
        """How many answers at once it generates best, at most `most`; measured in a few seconds."""
        return rows_worth(self._model, self._vocabulary, most)

    def close(self) -> None:
        """End the answers that still run, and free the model's memory."""
        if steps := vars(self).pop("_steps", None):
            steps.close()
        super().close()


def open_local(
    reference: ModelRef,
    request: StoryRequest,
    tokens: int,
    on_progress: Callable[[float], None] | None = None,
    parallel: int = 1,
) -> LocalEngine:
    """Load a request's model as `load` does."""
    return load(
        reference,
        quantize=request.quantize,
        device=request.device,
        compile=request.compile,
        threads=request.threads,
        context_tokens=tokens,
        on_progress=on_progress,
        parallel=parallel,
    )


def load(
    reference: ModelRef,
    *,
    quantize: Quantize = "auto",
    device: str = "auto",
    compile: bool = True,
    threads: int | None = None,
    context_tokens: int,
    on_progress: Callable[[float], None] | None = None,
    parallel: int = 1,
) -> LocalEngine:
    """Load a model, downloading it first if necessary.

    `compile` allows CUDA graphs, `threads` is the number of CPU threads, which is the process's
    until the engine is closed (None: one for each idle core; on a GPU, torch's own number),
    `context_tokens` is the length of the longest sequence that must fit in memory, `on_progress` is
    called with the share of the weights loaded, 0 to 1, `parallel` is the largest number of answers
    at once. Raises ModelUnavailable if the model cannot be downloaded or read, OutOfMemory if it
    does not fit on the device, UsageError for an unknown device.
    """
    start = time.monotonic()
    loaded = load_model(
        reference,
        quantize=quantize,
        device=device,
        threads=threads,
        context_tokens=context_tokens * parallel,
        on_progress=on_progress,
    )
    with ExitStack() as failed:
        failed.callback(loaded.restore_threads)
        engine = _prepared(reference, loaded, start, compile, context_tokens, parallel)
        failed.pop_all()
    return engine


def _prepared(
    reference: ModelRef,
    loaded: LoadedModel,
    start: float,
    compile: bool,
    context_tokens: int,
    parallel: int,
) -> LocalEngine:
    """The engine of a model whose loading started at `start`."""
    kind = loaded.model.device.type
    notes = loaded.notes
    if kind != "mps":
        notes += patch_forwards(loaded.model).notes
    if parallel == 1:  # its kernels are compiled now, not at the first token
        window = cast(int, reference.profile.settings.get("repetition_window", 0))
        vocabulary = getattr(loaded.model.config.get_text_config(), "vocab_size", 0)
        sampler_class(Sampling(repetition_window=window), loaded.model.device, vocabulary)
    static = parallel == 1 and compile and kind == "cuda" and can_capture(loaded.model)
    seconds = time.monotonic() - start
    engine = LocalEngine if parallel == 1 else LockstepEngine
    return engine(
        loaded.model,
        loaded.tokenizer,
        loaded.info,
        seconds,
        static=static,
        room=min(context_tokens, context_length(loaded.model)),
        notes=notes,
        on_close=loaded.restore_threads,
    )
