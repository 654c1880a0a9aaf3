"""The requests of llama.cpp's server: `LlamaCpp`, a `TokenServer`.

What a setting means there, beside the local engine (`local.sampling`):

| setting | llama.cpp |
|---|---|
| temperature, top_k, top_p, min_p | the same, in the same order |
| repetition_penalty, repetition_window | the same: prompt and answer, within the window |
| presence_penalty | also for the prompt's tokens, and only within the window |
| dry_multiplier | later in a repetition, also inside words, without more for recent text |
| seed | its own random numbers: the same seed gives another text than the local engine |
| thinking_budget, max_new_tokens | the same |
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from polaris_cli.engines.base import DRY_GROWTH, Deviation
from polaris_cli.engines.system_role import Chat
from polaris_cli.events import Finish, Piece, RawEvent
from polaris_cli.models.connection import Connection
from polaris_cli.models.shapes import Shape
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import TAG_TOKENS

# Tokens of a repetition without a DRY penalty. It also applies inside words here, so a small number
# breaks names: with 2, as in the local engine, "Finnlel" became "Finnlee", "Finnleh", "Finnelel".
# With 3, smollm2 repeats half as much in 2,400 words, but invents names to avoid those that it has:
# 38 in 11 stories in place of 16, "Ereluctant" and "KYLARZASONESIA" among them.
DRY_FREE = 5
SAMPLERS = ["penalties", "dry", "temperature", "top_k", "top_p", "min_p"]
SEEDS = 2**32 - 1  # the largest number is "random"

# What is read of an event.
EVENT: Shape = {
    "content": str,
    "tokens": [int],
    "tokens_predicted": int,
    "completion_probabilities": [{"logprob": float}],
    "stop_type": str,
}


class LlamaCpp:
    """A llama.cpp server; see `polaris_cli.engines.endpoint.token_engine.TokenServer`."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection, self._model = connection, model

    def rendered(self, chat: Chat, *, thinking: bool) -> str:
        """The prompt as the model's chat template writes it."""
        body = {
            "model": self._model,
            "messages": chat,
            "chat_template_kwargs": {"enable_thinking": thinking},
        }
        return str(self._connection.value("/apply-template", body, "prompt", str))

    def chat_ids(self, chat: Chat, *, thinking: bool) -> list[int]:
        """The token ids of that prompt."""
        return self.tokenize(self.rendered(chat, thinking=thinking), start=True)

    def tokenize(self, text: str, *, start: bool = False) -> list[int]:
        """The ids of a text, control tokens included; `start`: with those that start a prompt."""
        body = {"model": self._model, "content": text, "add_special": start, "parse_special": True}
        return list(self._connection.value("/tokenize", body, "tokens", [int]))

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        body = {"model": self._model, "tokens": list(ids)}
        return str(self._connection.value("/detokenize", body, "content", str))

    def generate(
        self,
        ids: Sequence[int],
        sampling: Sampling,
        max_tokens: int,
        *,
        may_end: bool = True,
        reuse: bool = True,
    ) -> Iterator[RawEvent]:
        """Yield what continues `ids`, then a `Finish`."""
        body = completion(ids, sampling, max_tokens, may_end=may_end, reuse=reuse)
        body = {"model": self._model, **body}
        return self._pieces(self._connection.events("/completion", body, EVENT))

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """The settings that llama.cpp does not apply as the local engine does."""
        return tuple(deviations(sampling))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _pieces(self, events: Generator[dict[str, Any], None, None]) -> Iterator[RawEvent]:
        known, held = 0, Piece("", 0)  # a token without text may be the end token
        with closing(events):
            for event in events:
                if event.get("stop"):
                    ended = event.get("stop_type") in ("eos", "word")
                    if held.tokens and not ended:
                        yield held
                    yield Finish("stop" if ended else "length")
                    return
                text, count = event.get("content") or "", event.get("tokens_predicted") or 0
                ids = (*held.ids, *self._ids_of(text, event.get("tokens") or [], count - known))
                log_probs = (*held.log_probs, *_log_probs(event))
                held, known = Piece(text, len(ids), ids=ids, log_probs=log_probs), count
                if text:
                    yield held
                    held = Piece("", 0)
        raise self._connection.cut_off()

    def _ids_of(self, text: str, sent: list[int], count: int) -> tuple[int, ...]:
        """The ids of a piece of `count` tokens.

        The server sends only the last id of a character that takes several tokens.
        """
        if len(sent) == count:
            return tuple(sent)
        return tuple(self.tokenize(text))


def _log_probs(event: Mapping[str, Any]) -> Iterator[float]:
    """The log-probabilities in an event; the server leaves out all but the last of a character of
    several tokens."""
    for token in event.get("completion_probabilities") or ():
        if (log_prob := token.get("logprob")) is not None:  # JSON has no infinity
            yield log_prob


def completion(
    ids: Sequence[int], sampling: Sampling, max_tokens: int, *, may_end: bool, reuse: bool
) -> dict[str, Any]:
    """The request that continues `ids`; the arguments are those of `TokenServer.generate`."""
    return {
        "prompt": list(ids),
        "n_predict": max_tokens,
        "ignore_eos": not may_end,
        "cache_prompt": reuse,
        "return_tokens": True,
        "n_probs": 1,  # the log-probability of the chosen token
        "preserved_tokens": TAG_TOKENS,  # control tokens whose text it sends
        **settings(sampling, len(ids) + max_tokens),
    }


def settings(sampling: Sampling, tokens: int) -> Mapping[str, Any]:
    """The sampling settings as llama.cpp names them; all of them, as it has defaults of its own.

    `tokens` is the most that prompt and answer can have.
    """
    return {
        "samplers": SAMPLERS,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": sampling.repetition_window or tokens,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": 0.0,
        "dry_multiplier": sampling.dry_multiplier,
        "dry_base": DRY_GROWTH,
        "dry_allowed_length": DRY_FREE,
        "dry_penalty_last_n": tokens,
        "seed": sampling.seed % SEEDS,
    }


def deviations(sampling: Sampling) -> Iterator[Deviation]:
    """What llama.cpp does otherwise with these settings."""
    if sampling.presence_penalty:
        yield Deviation("presence_penalty", "llama.cpp also applies it to the prompt's tokens")
    if sampling.dry_multiplier:
        told = f"llama.cpp applies it from {DRY_FREE} repeated tokens on, also inside words"
        yield Deviation("dry_multiplier", told)
