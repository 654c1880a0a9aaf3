"""The requests of vLLM: `Vllm`, a `TokenServer`.

What a setting means there, beside the local engine (`local.sampling`):

| setting | vLLM |
|---|---|
| temperature, top_k, top_p | the same, in the same order |
| min_p | before top_k and top_p |
| repetition_penalty, presence_penalty | the same; over all tokens, without a window |
| repetition_window, dry_multiplier | none |
| seed | its own random numbers: the same seed gives another text than the local engine |
| thinking_budget, max_new_tokens | the same |
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polaris_cli.engines.base import Deviation
from polaris_cli.engines.system_role import Chat, starts_with_system, without_system
from polaris_cli.errors import EndpointError
from polaris_cli.events import Finish, Piece, RawEvent
from polaris_cli.models.connection import Connection
from polaris_cli.models.server_events import BROKEN_OFF
from polaris_cli.models.shapes import Shape
from polaris_cli.request.story_request import Sampling

REFUSED = 400  # HTTP status of a prompt that the chat template refuses
HOTTEST = 2.0  # the highest temperature that it takes

# What is read of an event.
CHOICE: Shape = {
    "text": str,
    "token_ids": [int],
    "logprobs": {"token_logprobs": [float]},
    "finish_reason": str,
}


class Vllm:
    """A vLLM server; see `polaris_cli.engines.endpoint.token_engine.TokenServer`."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection, self._model = connection, model

    def rendered(self, chat: Chat, *, thinking: bool) -> str:
        """The prompt as the model's chat template writes it."""
        return self.detokenize(self.chat_ids(chat, thinking=thinking))

    def chat_ids(self, chat: Chat, *, thinking: bool) -> list[int]:
        """The token ids of that prompt."""
        body = {"messages": chat, "chat_template_kwargs": {"enable_thinking": thinking}}
        try:
            return self._ids({**body, "add_generation_prompt": True})
        except EndpointError as error:
            if error.status != REFUSED or not starts_with_system(chat):
                raise
        return self.chat_ids(without_system(chat), thinking=thinking)

    def tokenize(self, text: str, *, start: bool = False) -> list[int]:
        """The ids of a text, control tokens included; a prompt's start is in its template."""
        return self._ids({"prompt": text, "add_special_tokens": False}) if text else []

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        body = {"model": self._model, "tokens": list(ids)}
        return str(self._connection.value("/detokenize", body, "prompt", str))

    def generate(
        self,
        ids: Sequence[int],
        sampling: Sampling,
        max_tokens: int,
        *,
        may_end: bool = True,
        reuse: bool = True,
    ) -> Iterator[RawEvent]:
        """Yield what continues `ids`, then a `Finish`; vLLM itself decides on its cache."""
        body = {
            "model": self._model,
            "prompt": list(ids),
            "max_tokens": max_tokens,
            "min_tokens": 0 if may_end else max_tokens,
            "return_token_ids": True,
            "logprobs": 0,  # of the chosen token alone
            "skip_special_tokens": False,
            **settings(sampling),
        }
        for event in self._connection.events("completions", body, {"choices": [CHOICE]}):
            for choice in event.get("choices") or ():
                reason = choice.get("finish_reason") or None
                yield _piece(choice)
                if reason in BROKEN_OFF:
                    raise self._connection.stopped(reason)
                if reason:
                    yield Finish("stop" if reason == "stop" else "length")
                    return
        raise self._connection.cut_off()

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """The settings that vLLM does not apply as the local engine does."""
        return tuple(deviations(sampling))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ids(self, body: Mapping[str, Any]) -> list[int]:
        body = {"model": self._model, **body}
        return list(self._connection.value("/tokenize", body, "tokens", [int]))


def _piece(choice: Mapping[str, Any]) -> Piece:
    """The text and ids in one choice of an event. Raises EndpointError if the text has no ids."""
    text, ids = str(choice.get("text") or ""), choice.get("token_ids")
    if text and ids is None:
        raise EndpointError(
            "This vLLM does not send the token ids that polaris continues from.",
            hint="Update it to vLLM 0.10.2 or later: pip install -U vllm",
        )
    # The end token is not text; of several, `stop_reason` has the id.
    ended = choice.get("finish_reason") == "stop" and not isinstance(choice.get("stop_reason"), str)
    count = max(len(ids or ()) - ended, 0)
    log_probs = (choice.get("logprobs") or {}).get("token_logprobs") or ()
    return Piece(text, count, ids=tuple(ids or ())[:count], log_probs=tuple(log_probs[:count]))


def settings(sampling: Sampling) -> Mapping[str, Any]:
    """The sampling settings as vLLM names them; all of them, as a model may bring defaults."""
    return {
        "temperature": min(sampling.temperature, HOTTEST),
        "top_k": sampling.top_k or -1,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": 0.0,
        "seed": sampling.seed,
    }


def deviations(sampling: Sampling) -> Iterator[Deviation]:
    """What vLLM does otherwise with these settings."""
    if sampling.dry_multiplier:
        yield Deviation("dry_multiplier", "vLLM has no DRY penalty", ignored=True)
    if sampling.repetition_window and sampling.repetition_penalty != 1.0:
        told = "vLLM's penalty looks back over the whole text"
        yield Deviation("repetition_window", told, ignored=True)
    if sampling.temperature > HOTTEST:
        yield Deviation("temperature", f"vLLM takes at most {HOTTEST:g}")
