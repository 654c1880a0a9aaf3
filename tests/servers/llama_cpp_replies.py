"""What llama.cpp's server says to a client that probes for it, with a vocabulary of bytes.

As in the real server (see `llama_cpp`), a character of several tokens comes in one event with the
last of its ids, and `tokens_predicted` alone tells how many there were.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.servers.replies import DELTAS, Answer, Request, Script, event, said, streamed, talking

END, END_ID = "<|end|>", 256
CONTEXT = 4096
PROPS = {
    "default_generation_settings": {"params": {}, "n_ctx": CONTEXT},
    "total_slots": 1,
    "model_alias": "test-model",
    "model_path": "test-model.gguf",
    "chat_template": "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}",
    "bos_token": "",
    "eos_token": END,
    "build_info": "b0-tests",
}


def ids_of(text: str) -> list[int]:
    """A token for each byte, one for the end."""
    parts = re.split(f"({re.escape(END)})", text)
    return [i for part in parts for i in ([END_ID] if part == END else part.encode())]


def applied(messages: Iterable[dict[str, str]]) -> str:
    """The prompt of a chat, ready for the assistant's turn."""
    turns = "".join(f"{m['role']}: {m['content']}{END}" for m in messages)
    return f"{turns}assistant: "


def completion(deltas: Iterable[str], prompt: int = 0, limit: int = -1) -> list[bytes]:
    """The events of /completion: one for each character, one for the end token, the last one.

    `prompt` is its number of tokens; a `limit` on the new ones ends the answer before, -1 is none.
    """
    events = []
    written, reason = 0, "limit"
    for text, token, count in _steps("".join(deltas)):
        if 0 <= limit < written + count:
            written = limit  # the start of a character counts, though it is not sent
            break
        written += count
        events.append(event(_step(text, token, written, prompt)))
        reason = "eos" if token == END_ID else reason
    return [*events, event(_last(reason, written, prompt))]


def _steps(text: str) -> Iterator[tuple[str, int, int]]:
    """Each character with the last of its ids and their number, then the end."""
    for character in text:
        data = character.encode()
        yield character, data[-1], len(data)
    yield "", END_ID, 1


def _step(text: str, token: int, written: int, prompt: int) -> dict[str, Any]:
    chosen = {"id": token, "token": text, "bytes": list(text.encode()), "logprob": -0.5}
    return {
        "index": 0,
        "content": text,
        "tokens": [token],
        "stop": False,
        "id_slot": -1,
        "tokens_predicted": written,
        "tokens_evaluated": prompt,
        "completion_probabilities": [chosen | {"top_logprobs": [chosen]}],
    }


def _last(reason: str, written: int, prompt: int) -> dict[str, Any]:
    return {
        "index": 0,
        "content": "",
        "tokens": [],
        "stop": True,
        "stop_type": reason,
        "stopping_word": "",
        "truncated": False,
        "tokens_predicted": written,
        "tokens_evaluated": prompt,
        "timings": {"cache_n": 0, "prompt_n": prompt, "predicted_n": written},
    }


def answering(deltas: Sequence[str] = DELTAS) -> Answer:
    """A good answer to /completion, always streamed, or to a chat."""

    def answer(request: Request) -> Script:
        asked = request.json or {}
        if not request.path.endswith("/completion"):
            return talking(deltas)(request)
        prompt = asked.get("prompt", "")
        size = len(ids_of(prompt) if isinstance(prompt, str) else prompt)
        return streamed(completion(deltas, size, asked.get("n_predict", -1)))

    return answer


def _apply_template(request: Request) -> Script:
    return said({"prompt": applied(request.json["messages"])})


def _tokenize(request: Request) -> Script:
    return said({"tokens": ids_of(request.json["content"])})


ROUTES: dict[str, Answer | Script] = {
    "/health": said({"status": "ok"}),
    "/props": said(PROPS),
    "/apply-template": _apply_template,
    "/tokenize": _tokenize,
}
