"""An engine that replays given text: for tests, examples and documentation.

    engine = ScriptedEngine(["a plan", "</think>", "Once", " upon a time."])

Loads no model.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from polaris_cli.engines.base import Capabilities, Deviation, GenerationRequest, ModelInfo
from polaris_cli.errors import PolarisError
from polaris_cli.events import AnswerEvent, Finish, Piece, RawEvent, Reason
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import split_thinking

SCRIPTED_CAN = Capabilities(thinking_budget=False)
SCRIPTED = ModelInfo(name="scripted", id="scripted", engine="scripted")


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: its pieces, then `error` is raised if set, else it ends with `finish`."""

    pieces: Sequence[str | Piece]
    finish: Reason = "stop"
    error: Exception | None = None


class ScriptedEngine:
    """Replays `scripts`, one per call; after the last one, it is repeated.

    `opened` says whether the prompt opens the thinking if it is on. `finish` is the finish reason
    of scripts given as pieces only, `delay` the seconds before each piece, `tokens_per_piece` the
    tokens of a piece given as a string, `context` the maximum number of tokens it reports.
    `requests` are those received so far; `running` is the number of streams not yet ended or
    closed.
    """

    def __init__(
        self,
        *scripts: Script | Sequence[str | Piece],
        opened: bool = True,
        finish: Reason = "stop",
        delay: float = 0.0,
        tokens_per_piece: int = 1,
        context: int = 262_144,
        info: ModelInfo = SCRIPTED,
        notes: tuple[str, ...] = (),
        capabilities: Capabilities = SCRIPTED_CAN,
        deviations: tuple[Deviation, ...] = (),
    ) -> None:
        self.info = info
        self.context = context
        self.load_seconds = 0.0
        self.notes = notes
        self.capabilities = capabilities
        self._deviations = deviations
        self.requests: list[GenerationRequest] = []
        self.running = 0
        self._scripts = [
            s if isinstance(s, Script) else Script(s, finish) for s in scripts or ((),)
        ]
        self._opened = opened
        self._delay = delay
        self._tokens_per_piece = tokens_per_piece

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        """Replay the next script up to `max_new_tokens`. Raises the script's error.

        `after` is replayed first, one piece per token. `min_new_tokens` is ignored.
        """
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        self.requests.append(request)
        prompt_tokens = self.count_tokens(request.messages, request.sampling)
        raw = self._replay(script, request, Finish(script.finish, prompt_tokens))
        opened = self._opened and request.sampling.thinks and not request.opening
        return split_thinking(raw, opened=opened)

    def _piece(self, text: str) -> Piece:
        return Piece(text, self._tokens_per_piece, ids=self.encode(text))

    def _replay(
        self, script: Script, request: GenerationRequest, end: Finish
    ) -> Iterator[RawEvent]:
        left = request.max_new_tokens
        self.running += 1
        try:
            yield from (Piece(chr(id_), 1, ids=(id_,)) for id_ in request.after)
            for given in script.pieces:
                piece = given if isinstance(given, Piece) else self._piece(given)
                left -= piece.tokens
                if left < 0:
                    yield replace(end, reason="length")
                    return
                if self._delay:
                    time.sleep(self._delay)
                yield piece
            if script.error:
                raise script.error
            error = PolarisError("The script ends in an error.") if end.reason == "error" else None
            yield replace(end, error=error)
        finally:
            self.running -= 1

    def encode(self, text: str) -> tuple[int, ...]:
        """The code points of the characters, which serve as token ids here."""
        return tuple(map(ord, text))

    def count_tokens(self, messages: tuple[Message, ...], sampling: Sampling) -> int:
        """The length of the prompt, counting each word as a token."""
        return sum(len(message.content.split()) for message in messages)

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """Those given."""
        return self._deviations

    def close(self) -> None:
        """Nothing to free."""
