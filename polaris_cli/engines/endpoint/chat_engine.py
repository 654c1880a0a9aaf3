"""An engine over chat completions, which every OpenAI-compatible server has: `ChatEngine`.

Such a server takes messages and gives text: it cannot continue an answer or limit its thinking. A
setting that it refuses is left out, or a limit lowered, and the request repeated. Knows the API,
not the servers, but for what some of them ignore silently and how they word a refusal.
"""

import re
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from polaris_cli.engines.base import Capabilities, Deviation, GenerationRequest, ModelInfo
from polaris_cli.engines.endpoint.thinking_marks import ThinkingMarks, trial
from polaris_cli.engines.system_role import starts_with_system, without_system
from polaris_cli.errors import EndpointError
from polaris_cli.events import AnswerEvent, Chunk, Finish, Kind, Piece, RawEvent, closing
from polaris_cli.models.connection import Connection
from polaris_cli.models.server_events import BROKEN_OFF, DONE
from polaris_cli.models.servers import Server
from polaris_cli.models.shapes import Shape, fits
from polaris_cli.request.prompts import Message
from polaris_cli.request.story_request import Sampling
from polaris_cli.streaming.thinking import split_thinking

# Finish reasons, without regard to case. Any other one, such as those for a limit (`length`,
# `max_tokens`, `model_length`), says that the model was not at its end.
AT_THE_END = {
    "stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "tool_calls",
    "function_call",
}  # fmt: skip
FILTERED = {
    "content_filter", "sensitive", "refusal", "safety", "recitation", "blocklist",
    "prohibited_content", "spii",
}  # fmt: skip
REFUSED = {400, 422}  # HTTP statuses for a request with a wrong field
SEEDS = 2**31 - 1  # some servers take no larger seed
SWITCHES = {"chat_template_kwargs", "reasoning_effort"}  # the fields that turn the thinking off
LIMITS = {"max_tokens", "max_completion_tokens"}  # the names of the limit of new tokens
# The largest limit, as the refusals of several servers say it: "at most 16384 completion tokens",
# "a value <= 12288", "less than or equal to `8192`", "200000 > 64000", "the range is [1, 8192]",
# "9000 > 4096 - 30", which is the context without the prompt.
LARGEST = re.compile(r"(?:at most|<=|or equal to|>|\[\d+,)\s*`?(\d+)(?: - (\d+))?")
# "maximum context length is 4096", "context length of only 4096", "context size (4096 tokens)".
CONTEXT = re.compile(r"context (?:length|size|window)(?: is| of| only)* \(?(\d[\d,]*)")
PROMPT = re.compile(r"(\d+) (?:in the messages|of text input)")  # its length, beside the context
ABOUT_LENGTH = re.compile(r"context|max_(?:completion_)?tokens", re.IGNORECASE)

# For an estimate of a prompt's length that is rarely too small: a token of English has about 4
# bytes, one of Chinese 3 or more, and a chat template adds some tokens to each message.
BYTES_PER_TOKEN, TOKENS_PER_MESSAGE = 3, 16

# What is read of an event.
EVENT: Shape = {
    "choices": [{"delta": dict, "message": dict, "finish_reason": str}],
}
USAGE: Shape = {"prompt_tokens": int, "completion_tokens": int}
# What no server of the API has.
MISSING = {
    "dry_multiplier": "a chat server has no DRY penalty",
    "repetition_window": "a chat server's penalties look back over the whole text",
}
# What a kind of server accepts without applying it; found by trying, in Ollama's source, and in
# llama.cpp, which calls it repeat_penalty.
IGNORED: Mapping[str, tuple[str, ...]] = {
    "llama.cpp": ("repetition_penalty",),
    "transformers": ("presence_penalty",),
    "Ollama": ("top_k", "min_p", "repetition_penalty"),
}
# What a kind of server applies to some models only.
DOUBTFUL: Mapping[str, Mapping[str, str]] = {
    "transformers": {"temperature": "only if the model's generation_config.json has do_sample"}
}
# Kinds of servers that send the thinking in a field of its own.
LABELLING = ("transformers", "Ollama")


class ChatEngine:
    """A model on a chat server; see `polaris_cli.engines.base.Engine`."""

    capabilities = Capabilities(token_ids=False, thinking_budget=False)

    def __init__(
        self, connection: Connection, server: Server, info: ModelInfo, context: int
    ) -> None:
        self.info, self.context = info, context
        self._connection, self._server = connection, server
        self.load_seconds = 0.0
        self.notes: tuple[str, ...] = ()
        self._refused: set[str] = set()
        self._largest_limit = context
        self._takes_system = True
        self._marks = ThinkingMarks(labelled=server.kind in LABELLING)

    def try_out(self, sampling: Sampling) -> None:
        """Let the model answer with a word, to know whether a story can stream at once.

        Raises EndpointError if the server gives no answer.
        """
        if self._marks.opened(sampling) is None:
            self._marks.learn(self._answer(trial(sampling)), sampling)

    def stream(self, request: GenerationRequest) -> Iterator[AnswerEvent]:
        """Yield the model's answer as it is generated, then one `Finish`."""
        answer, sampling = self._answer(request), request.sampling
        with closing(answer):
            events = split_thinking(answer, opened=self._marks.opened(sampling))
            yield from _counted(self._marks.noting(events, sampling))

    def encode(self, text: str) -> tuple[int, ...]:
        """Nothing: a chat server takes no token ids."""
        return ()

    def count_tokens(self, messages: tuple[Message, ...], sampling: Sampling) -> int:
        """A cautious estimate of the length of the prompt, in tokens."""
        size = sum(len(message.content.encode("utf-8", "replace")) for message in messages)
        return size // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE * len(messages)

    def deviations(self, sampling: Sampling) -> tuple[Deviation, ...]:
        """The settings that the server does not have, is known to ignore, or has refused."""
        wanted = set(fields_of(sampling))
        found = {name: text for name, text in MISSING.items() if getattr(sampling, name)}
        ignored = wanted & set(IGNORED.get(self._server.kind, ()))
        found |= dict.fromkeys(sorted(ignored), f"{self._server.name} ignores it")
        found |= dict.fromkeys(sorted(wanted & self._refused), "the server refuses it")
        if sampling.thinks and sampling.thinking_budget >= 0:
            found["thinking_budget"] = "a chat server cannot limit the thinking"
        if not sampling.thinks and self._may_think(sampling):
            found["thinking"] = "the server cannot turn it off"
        ignoring = (Deviation(name, text, ignored=True) for name, text in found.items())
        doubtful = dict(DOUBTFUL.get(self._server.kind, {}) if sampling.temperature else {})
        if self._largest_limit < self.context:
            doubtful["max_new_tokens"] = f"the server allows at most {self._largest_limit:,}"
        return (*ignoring, *(Deviation(name, text) for name, text in doubtful.items()))

    def close(self) -> None:
        """Close the connection to the server."""
        self._connection.close()

    def _may_think(self, sampling: Sampling) -> bool:
        """Whether the model thinks with these settings, or may as the switch was refused."""
        unknown = self._marks.opened(sampling) is None
        return self._marks.thought(sampling) or bool(unknown and self._refused & SWITCHES)

    def _answer(self, request: GenerationRequest) -> Iterator[RawEvent]:
        try:
            yield from self._pieces(request)
        except EndpointError as error:
            yield Finish("error", self.count_tokens(request.messages, request.sampling), error)

    def _pieces(self, request: GenerationRequest) -> Iterator[RawEvent]:
        prompt_tokens = self.count_tokens(request.messages, request.sampling)
        counted, reason, labelled, done = 0, None, False, False
        usage: Mapping[str, int] = {}
        characters = getincrementaldecoder("utf-16-le")("replace")
        for event in self._events(request):
            done = event is DONE
            if fits(told := event.get("usage") or {}, USAGE):
                usage = told or usage
            choice = _first(event)
            for piece in pieces_of(choice, labelled=labelled):
                labelled = labelled or piece.kind == "thinking"
                counted += 1
                # An emoji may come as two halves of UTF-16, each in an event of its own.
                halves = piece.text.encode("utf-16-le", "surrogatepass")
                yield replace(piece, text=characters.decode(halves))
            reason = choice.get("finish_reason") or reason
        prompt_tokens = usage.get("prompt_tokens") or prompt_tokens
        if counted and (written := usage.get("completion_tokens")):
            yield Piece("", written - counted)  # a delta may hold several tokens, or a part of one
        yield self._finish(reason, prompt_tokens, done=done)

    def _finish(self, reason: str | None, prompt_tokens: int, *, done: bool) -> Finish:
        """The finish; an answer without a reason has ended only if the server says that it has."""
        if reason is None and not done:
            return Finish("error", prompt_tokens, self._connection.cut_off())
        name = (reason or "stop").casefold()
        if name in BROKEN_OFF:
            return Finish("error", prompt_tokens, self._connection.stopped(reason))
        if name in FILTERED:
            told, hint = "The server's content filter ended the answer.", "Change the premise."
            error = EndpointError(told, hint=hint)
            return Finish("error", prompt_tokens, error)
        return Finish("stop" if name in AT_THE_END else "length", prompt_tokens)

    def _events(self, request: GenerationRequest) -> Iterator[dict[str, Any]]:
        """The events of the answer; the request is changed and repeated if a refusal says how."""
        while True:
            body = self._body(request)
            try:
                yield from self._connection.events("chat/completions", body, EVENT, _ends)
                return
            except EndpointError as error:
                if error.status not in REFUSED or not self._adapts_to(error.words, body):
                    if ABOUT_LENGTH.search(error.words):
                        error.hint = "Ask for a shorter answer: --max-new-tokens NUMBER"
                    raise

    def _adapts_to(self, refusal: str, body: Mapping[str, Any]) -> bool:
        """Whether a refusal says what to change in the request; if so, later requests have it."""
        if 0 < (context := _stated_context(refusal)) < self.context:
            self.context = context
        elif largest := _allowed_limit(refusal, body):
            self._largest_limit = largest
        elif named := _named(refusal, body):
            self._refused |= named
        elif starts_with_system(body["messages"]) and not ABOUT_LENGTH.search(refusal):
            self._takes_system = False  # which a refusal says in many ways
        else:
            return False
        return True

    def _body(self, request: GenerationRequest) -> dict[str, Any]:
        sampling = request.sampling
        limit = "max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"
        fields = {
            limit: self._most_new_tokens(request),
            "stream_options": {"include_usage": True},
            **self._thinking(sampling),
            **fields_of(sampling),
            **_format(request),
        }
        kept = {name: value for name, value in fields.items() if name not in self._refused}
        chat = [{"role": each.role, "content": each.content} for each in request.messages]
        if not self._takes_system and starts_with_system(chat):
            chat = without_system(chat)
        return {"model": self.info.id, "messages": chat, **kept}

    def _most_new_tokens(self, request: GenerationRequest) -> int:
        room = self.context - self.count_tokens(request.messages, request.sampling) - 1
        return max(min(request.max_new_tokens, room, self._largest_limit), 1)

    def _thinking(self, sampling: Sampling) -> dict[str, Any]:
        """The fields that turn the thinking on or off; Ollama ignores those for the template."""
        fields: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": sampling.thinks}}
        if self._server.kind == "Ollama" and not sampling.thinks:
            fields["reasoning_effort"] = "none"
        return fields


def _counted(events: Iterator[AnswerEvent]) -> Iterator[AnswerEvent]:
    """The events; the server's correction of the count leaves no kind with fewer than 0 tokens."""
    told = Counter[Kind]()
    for event in events:
        if isinstance(event, Chunk):
            event = replace(event, tokens=max(event.tokens, -told[event.kind]))
            told[event.kind] += event.tokens
        yield event


def _stated_context(refusal: str) -> int:
    """The context that a refusal states; 0 if none."""
    found = CONTEXT.search(refusal)
    return int(found[1].replace(",", "")) if found else 0


def _allowed_limit(refusal: str, body: Mapping[str, Any]) -> int:
    """The limit of new tokens that a refusal allows, smaller than the one asked for; 0 if none."""
    asked = next(body[name] for name in LIMITS if name in body)
    found = LARGEST.findall(refusal) if _words(refusal) & LIMITS else []
    found += [(_stated_context(refusal), prompt) for prompt in PROMPT.findall(refusal)]
    allowed = (int(most) - int(prompt or 0) for most, prompt in found)
    return max((number for number in allowed if 0 < number < asked), default=0)


def _named(refusal: str, body: Mapping[str, Any]) -> set[str]:
    """The fields that a refusal names, to be left out; the answer's format if it names none.

    The limit of new tokens changes its name, but is never left out.
    """
    words = _words(refusal)
    if "reasoning" in words:  # what Ollama calls the field
        words.add("reasoning_effort")
    named = words & set(body) - {"model", "messages", "max_completion_tokens"}
    return named or (set() if words & LIMITS else {"response_format"} & set(body))


def _words(refusal: str) -> set[str]:
    """The words of a refusal; names in camelCase, such as xAI's, as the API writes them."""
    return set(re.findall(r"\w+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", refusal).lower()))


def _format(request: GenerationRequest) -> dict[str, Any]:
    """The field that asks for an answer by a JSON schema."""
    if request.schema is None:
        return {}
    named = {"name": "answer", "strict": True, "schema": request.schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def fields_of(sampling: Sampling) -> dict[str, Any]:
    """The sampling settings as the API names them, without those that are off."""
    values = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed % SEEDS,
    }
    off = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0}
    chosen = {name: getattr(sampling, name) for name in off}
    return values | {name: value for name, value in chosen.items() if value != off[name]}


def pieces_of(choice: Mapping[str, Any], *, labelled: bool) -> Iterator[Piece]:
    """The thinking and the story in one choice of an event.

    `labelled`: thinking has come in a field of its own, so the rest is story.
    """
    # Some servers repeat the whole text in a message beside the last delta.
    delta = choice.get("delta", choice.get("message")) or {}
    content = delta.get("content")
    thinking = delta.get("reasoning_content") or delta.get("reasoning")
    if thinking := _text_in(thinking) or _text_in(content, "thinking"):
        yield Piece(thinking, 1, "thinking")
        labelled = True
    if story := _text_in(content):
        kind: Kind | None = "story" if labelled else None
        yield Piece(story, 1, kind)


def _text_in(content: object, kind: str = "text") -> str:
    """The text of one kind in a content: a text itself, or a list of parts, as Mistral sends it."""
    if isinstance(content, str):
        return content if kind == "text" else ""
    parts = content if isinstance(content, list) else ()
    chosen = (part for part in parts if isinstance(part, dict) and part.get("type") == kind)
    return "".join(_text_in(part.get(kind)) for part in chosen)


def _ends(event: Mapping[str, Any]) -> bool:
    """Whether an event has the finish reason of a complete answer, whatever follows."""
    reason = (_first(event).get("finish_reason") or "").casefold()
    return bool(reason) and reason not in BROKEN_OFF | FILTERED


def _first(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first of the answers that an event brings a part of; an empty one if it brings none."""
    choices = event.get("choices") or ()
    return next((choice for choice in choices if not choice.get("index")), {})
