"""A prompt's token ids from a server that has the tokenizer, with no control token of the user's.

`<|im_end|>` or `<think>` in a premise reaches the model as ordinary characters: a text that may be
a control token is cut after its first character, and the parts are turned into tokens one by one.
Knows no server's paths.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from polaris_cli.request.prompts import Message
from polaris_cli.streaming.thinking import CLOSE, OPEN

Chat = list[dict[str, str]]

CUT = "\ufdd0"  # a code point that no text uses: Unicode reserves it for uses like this one

_CONTROL = re.compile(r"(?=<[^<>\s]{1,80}>|\[/?[A-Z_]{2,40}\])")


class RemoteTokenizer(Protocol):
    """The part of a server that turns text into tokens."""

    def rendered(self, chat: Chat, *, thinking: bool) -> str:
        """The prompt as the model's chat template writes it."""

    def tokenize(self, text: str, *, start: bool = False) -> list[int]:
        """The ids of a text, control tokens included; `start`: with those that start a prompt."""


def prompt_ids(
    tokenizer: RemoteTokenizer, messages: Sequence[Message], *, thinking: bool
) -> list[int]:
    """The token ids of the prompt for the next turn."""
    text = tokenizer.rendered(as_chat(messages), thinking=thinking)
    first, *rest = text.split(CUT)
    ids = tokenizer.tokenize(first, start=True)
    for part in rest:
        ids += tokenizer.tokenize(part)
    return ids


def text_ids(tokenizer: RemoteTokenizer, text: str) -> tuple[int, ...]:
    """The token ids of a text within an answer, without control tokens."""
    parts = filter(None, cut(text).split(CUT))
    return tuple(id_ for part in parts for id_ in tokenizer.tokenize(part))


def opens_thinking(tokenizer: RemoteTokenizer, *, thinking: bool) -> bool:
    """Whether the prompt ends inside the thinking, so that the answer starts with thinking."""
    text = tokenizer.rendered(as_chat([Message("user", ".")]), thinking=thinking)
    return text.rfind(OPEN) > text.rfind(CLOSE)


def as_chat(messages: Sequence[Message]) -> Chat:
    """The messages as the API takes them, cut where they may be control tokens."""
    return [{"role": message.role, "content": cut(message.content.strip())} for message in messages]


def cut(text: str) -> str:
    """The text with a cut after the first character of everything that may be a control token."""
    places = [match.start() + 1 for match in _CONTROL.finditer(text.replace(CUT, ""))]
    text = text.replace(CUT, "")
    parts = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    return CUT.join(parts)
