"""What a client asks a vLLM, and what a real one answered: the files in `recorded_vllm`.

    python -m tests.servers.vllm_recording URL MODEL

asks the server started by `vllm_cpu` with `--api-key secret` and writes its answers anew. Tests
ask `vllm_replay` the same and compare. Knows the shape of an answer, not what it means.
"""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("recorded_vllm")
KEY = "secret"

CHAT = [{"role": "user", "content": "Name one color."}]
TURN = "<|im_start|>user\nName one color.<|im_end|>\n<|im_start|>assistant\n"
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
EXACT = {"temperature": 0, "logprobs": 1, "return_token_ids": True, "skip_special_tokens": False}
WHOLE = {"prompt": TURN, "max_tokens": 4, **EXACT}
STREAMED = {**WHOLE, **STREAM}
SAMPLED = {"temperature": 0.8, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1}
ANSWER = {"messages": CHAT, "max_tokens": 4, **SAMPLED, "presence_penalty": 0.5, "seed": 7}
FORCED = {"logit_bias": {"<|im_end|>": 100}, "max_tokens": 6}
DONE = {"prompt": f"{TURN}The color is red.", "max_tokens": 2}
FORBIDDEN = {**DONE, "logit_bias": {"<|im_end|>": -100}}
THINK = {"chat_template_kwargs": {"enable_thinking": True}}
NO_THINK = {"chat_template_kwargs": {"enable_thinking": False}}


@dataclass(frozen=True)
class Request:
    """A request to a server: GET without a body. `key` is the API key that it carries."""

    path: str
    body: dict[str, Any] | None = None
    key: str = KEY


@dataclass(frozen=True)
class Answer:
    """A server's answer, as it came."""

    status: int
    content_type: str
    text: str


PLAIN = {
    "version": Request("/version"),
    "models": Request("/v1/models"),
    "health": Request("/health"),
    "tokenize chat": Request("/tokenize", {"messages": CHAT, "add_generation_prompt": True}),
    "tokenize chat, thinking": Request("/tokenize", {"messages": CHAT, **THINK}),
    "tokenize chat, no thinking": Request("/tokenize", {"messages": CHAT, **NO_THINK}),
    "tokenize text": Request(
        "/tokenize",
        {"prompt": "café 😀<|im_end|>", "return_token_strs": True, "add_special_tokens": False},
    ),
    "detokenize": Request("/detokenize", {"tokens": [72, 105, 33]}),
}
COMPLETIONS = {
    "completion": STREAMED,
    "completion, whole": WHOLE,
    "completion, plain": {"prompt": TURN, "max_tokens": 2, **STREAM},
    "completion, without usage": {"prompt": TURN, "max_tokens": 2, "stream": True},
    "completion, unknown field": {"prompt": TURN, "max_tokens": 1, "dry_multiplier": 1},
    "completion, end by itself": {**STREAMED, **DONE},
    "completion, end": {**STREAMED, **FORCED},
    "completion, end ignored": {**STREAMED, **FORCED, "max_tokens": 2, "ignore_eos": True},
    "completion, end later": {**STREAMED, **FORCED, "min_tokens": 2},
    "completion, end forbidden": {**STREAMED, **FORBIDDEN},
    "completion, stop text": {**STREAMED, "max_tokens": 20, "stop": ["o", "\n"]},
    "completion, several bytes": {**STREAMED, "prompt": "😀🦊 你好 😀🦊 你好 😀", "max_tokens": 8},
}
CHATS = {
    "chat": {**ANSWER, **STREAM},
    "chat, whole": ANSWER,
    "chat, thinking": {**ANSWER, **STREAM, **THINK, "max_tokens": 9, "logit_bias": {"</think>": 2}},
    "chat, no thinking": {**ANSWER, **STREAM, **NO_THINK},
    "chat, end": {**ANSWER, **STREAM, **NO_THINK, **FORCED, "min_tokens": 2, "min_p": 0},
}
BAD_COMPLETIONS: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": -1},
    "top_p": {"top_p": 2},
    "max_tokens": {"max_tokens": 5000},
    "max_tokens of 0": {"max_tokens": 0},
    "min_tokens": {"min_tokens": 5},
    "type": {"max_tokens": "many"},
    "long prompt": {"prompt": "word " * 5000},
    "empty prompt": {"prompt": ""},
    "unknown token": {"prompt": [10_000_000]},
    "unknown token biased": {"logit_bias": {"10000000": 1}},
    "model": {"model": "unknown"},
}
ERRORS = {
    **{name: Request("/v1/completions", {**STREAMED, **b}) for name, b in BAD_COMPLETIONS.items()},
    "stream options": Request("/v1/completions", {**STREAMED, "stream": False}),
    "no messages": Request("/v1/chat/completions", {"max_tokens": 3}),
    "long chat": Request(
        "/v1/chat/completions", {**ANSWER, "messages": [{**CHAT[0], "content": "word " * 5000}]}
    ),
    "path": Request("/v1/stories", {}),
    "method": Request("/v1/completions"),
    "key": Request("/v1/completions", STREAMED, key="wrong"),
    "key for models": Request("/v1/models", key="wrong"),
    "key for tokenize": Request("/tokenize", {"prompt": "a"}, key="wrong"),
}
REQUESTS = {
    **PLAIN,
    **{name: Request("/v1/completions", body) for name, body in COMPLETIONS.items()},
    **{name: Request("/v1/chat/completions", body) for name, body in CHATS.items()},
    **{f"error, {name}": request for name, request in ERRORS.items()},
}


def ask(url: str, request: Request) -> Answer:
    """Send the request; text in a completion's prompt, and tokens in a bias, are sent as ids."""
    body = _with_ids(url, request.body) if request.path.startswith("/v1/") else request.body
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {request.key}"}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url + request.path, data, headers))
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read().decode()
        return Answer(answer.status, answer.headers.get("Content-Type", ""), text)


def ids_of(url: str, text: str) -> list[int]:
    """The server's token ids of a text."""
    asked = Request("/tokenize", {"prompt": text, "add_special_tokens": False})
    tokens: list[int] = json.loads(ask(url, asked).text)["tokens"]
    return tokens


def _with_ids(url: str, body: dict[str, Any] | None) -> dict[str, Any] | None:
    changed = dict(body or {})
    if isinstance(changed.get("prompt"), str):
        changed["prompt"] = ids_of(url, changed["prompt"])
    bias = changed.get("logit_bias", {})
    if any(not name.isdecimal() for name in bias):
        changed["logit_bias"] = {str(ids_of(url, name)[0]): value for name, value in bias.items()}
    return None if body is None else changed


def recorded(model: str) -> dict[str, Answer]:
    """What the real server answered to each of `REQUESTS`."""
    read = json.loads((FOLDER / f"{model}.json").read_text("utf-8"))
    return {name: Answer(**answer) for name, answer in read.items()}


def events(answer: Answer) -> Iterator[Any]:
    """The JSON of an answer, or of each event of a stream; its last, "[DONE]", as a string."""
    if not answer.content_type.startswith("text/event-stream"):
        yield json.loads(answer.text) if answer.text else None
        return
    for line in filter(None, answer.text.split("\n\n")):
        data = line.removeprefix("data: ")
        yield data if data == "[DONE]" else json.loads(data)


def main() -> None:
    """Write the answers of the server at URL."""
    url, model = sys.argv[1:]
    answers = {name: asdict(ask(url, request)) for name, request in REQUESTS.items()}
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(answers, indent=1, ensure_ascii=False)
    (FOLDER / f"{model}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
