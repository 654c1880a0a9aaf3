"""The JSON that vLLM answers: events of a stream, whole answers, errors.

The order of the keys is vLLM's too. Knows no HTTP and not where tokens come from.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.byte_tokens import THINK_END, thinking_opened

Json = dict[str, Any]
_FINGERPRINT = {"system_fingerprint": "vllm-0.32.0-00000000"}
CREATED = 1_795_000_000


class Refused(Exception):
    """A request that is answered with an error; `late` if a stream has begun by then."""

    def __init__(self, status: int, answer: Json, *, late: bool = False) -> None:
        super().__init__(status, answer)
        self.status = status
        self.answer = answer
        self.late = late


def error(message: str, param: str | None = None, kind: str = "BadRequestError") -> Json:
    """The JSON of an error with the status of its kind."""
    code = 404 if kind == "NotFoundError" else 400
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True)
class Token:
    """A token that was generated: `text` is what it adds to the answer, `name` what it is."""

    id: int
    text: str
    name: str
    logprob: float
    finish: str | None = None


def usage(prompt: int, completion: int) -> Json:
    """The numbers of tokens."""
    total = prompt + completion
    return {"prompt_tokens": prompt, "total_tokens": total, "completion_tokens": completion}


def completion_events(
    body: Json, model: str, prompt: Sequence[int], events: Iterable[Sequence[Token]]
) -> Iterator[Json]:
    """The events of a completion that is streamed."""
    frame = _frame("cmpl-0", "text_completion", model)
    offset = count = 0
    for tokens in events:
        choice = _completion_choice(body, tokens, offset, prompt if not count else None)
        offset += sum(len(token.name) for token in tokens)
        count += len(tokens)
        ends = tokens[-1].finish and not _wants_usage(body)
        yield {**frame, "choices": [choice], **(_FINGERPRINT if ends else {})}
    if _wants_usage(body):
        yield {**frame, "choices": [], "usage": usage(len(prompt), count), **_FINGERPRINT}


def completion(
    body: Json, model: str, prompt: Sequence[int], events: Iterable[Sequence[Token]]
) -> Json:
    """A completion in one piece."""
    tokens = [token for event in events for token in event]
    choice = _completion_choice(body, tokens, 0, prompt)
    ids = choice.pop("token_ids"), choice.pop("prompt_token_ids")
    more = {"token_ids": ids[0], "prompt_logprobs": None, "prompt_token_ids": ids[1]}
    return {
        **_frame("cmpl-0", "text_completion", model),
        "choices": [{**choice, **more, "routed_experts": None}],
        "service_tier": None,
        **_FINGERPRINT,
        "usage": usage(len(prompt), len(tokens)) | _no_details(),
        **dict.fromkeys(("kv_transfer_params", "ec_transfer_params", "metrics")),
    }


def _completion_choice(
    body: Json, tokens: Sequence[Token], offset: int, prompt: Sequence[int] | None
) -> Json:
    shows = body.get("return_token_ids")
    return {
        "index": 0,
        "text": "".join(token.text for token in tokens),
        "logprobs": None if body.get("logprobs") is None else _logprobs(tokens, offset),
        "finish_reason": tokens[-1].finish,
        "stop_reason": None,
        "prompt_token_ids": list(prompt) if shows and prompt else None,
        "token_ids": [token.id for token in tokens] if shows else None,
    }


def _logprobs(tokens: Sequence[Token], offset: int) -> Json:
    """The log-probabilities of tokens, the first of which stands `offset` characters in."""
    names = [token.name for token in tokens]
    return {
        "text_offset": [offset + len("".join(names[:n])) for n in range(len(names))],
        "token_logprobs": [token.logprob for token in tokens],
        "tokens": names,
        "top_logprobs": [{token.name: token.logprob} for token in tokens],
    }


def chat_events(
    body: Json, model: str, prompt: Sequence[int], events: Iterable[Sequence[Token]]
) -> Iterator[Json]:
    """The events of a chat's answer that is streamed."""
    frame = _frame("chatcmpl-0", "chat.completion.chunk", model)
    shows = body.get("return_token_ids")
    first = {"index": 0, "delta": {"role": "assistant", "content": ""}}
    choice = {**first, "logprobs": None, "finish_reason": None}
    ids = list(prompt) if shows else None
    yield {**frame, "choices": [choice], "prompt_token_ids": ids, "prompt_text": None}
    thinks, count, thought = thinking_opened(prompt), 0, 0
    for tokens in events:
        delta, thinks, new = _delta(tokens, thinks)
        count, thought = count + len(tokens), thought + new
        if delta or shows or tokens[-1].finish:
            yield {**frame, "choices": [_chat_choice(tokens, delta, bool(shows))]}
    if _wants_usage(body):
        numbers = usage(len(prompt), count) | _reasoning(thought)
        yield {**frame, "choices": [], "usage": numbers, **_FINGERPRINT}


def _chat_choice(tokens: Sequence[Token], delta: Json, shows: bool) -> Json:
    finish = tokens[-1].finish
    return {
        "index": 0,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish,
        **({"stop_reason": None} if finish else {}),
        "token_ids": [token.id for token in tokens] if shows else None,
    }


def _delta(tokens: Sequence[Token], thinks: bool) -> tuple[Json, bool, int]:
    """What tokens add to an answer, whether it still thinks, and how many of them are thinking."""
    ids = [token.id for token in tokens]
    end = ids.index(THINK_END) if thinks and THINK_END in ids else None
    thought = len(ids[:end]) if thinks else 0
    rest = tokens if not thinks else [] if end is None else tokens[end + 1 :]
    delta = {"reasoning": "".join(t.text for t in tokens[:thought])} if thought else {}
    if rest:
        delta["content"] = "".join(token.text for token in rest)
    return delta, thinks and end is None, thought


def chat(body: Json, model: str, prompt: Sequence[int], events: Iterable[Sequence[Token]]) -> Json:
    """A chat's answer in one piece."""
    tokens = [token for event in events for token in event]
    delta, _, thought = _delta(tokens, thinking_opened(prompt))
    ids = [token.id for token in tokens]
    shows = body.get("return_token_ids")
    message = {"role": "assistant", "content": delta.get("content")}
    message |= dict.fromkeys(("refusal", "annotations", "audio", "function_call"))
    choice = {"index": 0, "message": {**message, "reasoning": delta.get("reasoning")}}
    choice |= {"logprobs": None, "finish_reason": tokens[-1].finish, "stop_reason": None}
    choice |= {"token_ids": ids if shows else None, "routed_experts": None}
    return {
        **_frame("chatcmpl-0", "chat.completion", model),
        "choices": [choice],
        "service_tier": None,
        **_FINGERPRINT,
        "usage": usage(len(prompt), len(ids)) | _no_details() | _reasoning(thought),
        "prompt_logprobs": None,
        "prompt_token_ids": list(prompt) if shows else None,
        **dict.fromkeys(("prompt_text", "kv_transfer_params", "ec_transfer_params", "metrics")),
    }


def _frame(identity: str, kind: str, model: str) -> Json:
    return {"id": identity, "object": kind, "created": CREATED, "model": model}


def _wants_usage(body: Json) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))


def _no_details() -> Json:
    return dict.fromkeys(("prompt_tokens_details", "completion_tokens_details"))


def _reasoning(tokens: int) -> Json:
    return {"completion_tokens_details": {"reasoning_tokens": tokens}}


def models(model: str, context: int) -> Json:
    """The list of the only model."""
    rights = ("create_engine", "sampling", "logprobs", "search_indices", "view", "fine_tuning")
    permission = {"id": "modelperm-0", "object": "model_permission", "created": CREATED}
    permission |= {f"allow_{right}": True for right in rights}
    permission |= {"organization": "*", "group": None, "is_blocking": False}
    entry = {"id": model, "object": "model", "created": CREATED, "owned_by": "vllm"}
    entry |= {"root": f"./{model}", "parent": None, "max_model_len": context}
    return {"object": "list", "data": [{**entry, "permission": [permission]}]}
