"""Text and token ids with a server that has the tokenizer.

`<|im_end|>` or `<think>` in a premise reaches the model as ordinary characters: a text that may be
a control token is cut after its first character, and the parts are turned into tokens one by one.
Knows no server's paths.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from polaris_cli.engines.channels import uses_channels
from polaris_cli.engines.system_role import Chat
from polaris_cli.events import Piece
from polaris_cli.request.prompts import Message
from polaris_cli.streaming.thinking import ends_inside

BLOCK = 32  # tokens of an earlier answer that are turned into text at once
PARTIAL = "\ufffd"  # what a server writes for the bytes of half a character
CUT = "\ufdd0"  # a code point that no text uses: Unicode reserves it for uses like this one

_CONTROL = re.compile(r"(?=<[^<>\s]{1,80}>|\[/?[A-Z_]{2,40}\])")


class RemoteTokenizer(Protocol):
    """The part of a server that turns text into tokens."""

    def rendered(self, chat: Chat, *, thinking: bool) -> str:
        """The prompt as the model's chat template writes it."""

    def chat_ids(self, chat: Chat, *, thinking: bool) -> list[int]:
        """The token ids of that prompt."""

    def tokenize(self, text: str, *, start: bool = False) -> list[int]:
        """The ids of a text, control tokens included; `start`: with those that start a prompt."""

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""


def prompt_ids(
    tokenizer: RemoteTokenizer, messages: Sequence[Message], *, thinking: bool
) -> list[int]:
    """The token ids of the prompt for the next turn."""
    chat = as_chat(messages)
    if not any(CUT in message["content"] for message in chat):
        return tokenizer.chat_ids(chat, thinking=thinking)
    text = tokenizer.rendered(chat, thinking=thinking)
    first, *rest = text.split(CUT)
    ids = tokenizer.tokenize(first, start=True)
    for part in rest:
        ids += tokenizer.tokenize(part)
    return ids


def text_ids(tokenizer: RemoteTokenizer, text: str) -> tuple[int, ...]:
    """The token ids of a text within an answer, without control tokens."""
    parts = filter(None, cut(text).split(CUT))
    return tuple(id_ for part in parts for id_ in tokenizer.tokenize(part))


def pieces_of(
    tokenizer: RemoteTokenizer,
    ids: Sequence[int],
    close_id: int | None = None,
    before: Sequence[int] = (),
) -> Iterator[Piece]:
    """Yield the text of an answer's token ids, up to `BLOCK` at a time; `before` is the prompt.

    A piece ends after `close_id`, the token that closes the thinking. None ends in half a
    character: the tokens of one at the very end are left out.
    """
    start, before = 0, before[-BLOCK:]
    while start < len(ids):
        end = min(start + BLOCK, len(ids))
        if close_id in ids[start:end]:
            end = ids.index(close_id, start) + 1
        while (text := _text_after(tokenizer, before, ids[start:end])).endswith(PARTIAL):
            if end < len(ids):
                end += 1
            else:
                ids, end = ids[:-1], end - 1
        yield Piece(text, end - start, ids=tuple(ids[start:end]))
        before, start = ids[start:end], end


def _text_after(tokenizer: RemoteTokenizer, before: Sequence[int], ids: Sequence[int]) -> str:
    """The text of ids that follow others: some tokenizers drop a space where a text starts."""
    if not before:
        return tokenizer.detokenize(ids)
    known, whole = tokenizer.detokenize(before), tokenizer.detokenize([*before, *ids])
    return whole[len(known) :] if whole.startswith(known) else tokenizer.detokenize(ids)


def opens_thinking(tokenizer: RemoteTokenizer, *, thinking: bool) -> bool:
    """Whether the prompt ends inside the thinking, so that the answer starts with thinking."""
    return ends_inside(_example(tokenizer, thinking=thinking))


def answers_in_channels(tokenizer: RemoteTokenizer) -> bool:
    """Whether the model writes its answer in channels, which only the server separates."""
    return uses_channels(_example(tokenizer, thinking=True))


def _example(tokenizer: RemoteTokenizer, *, thinking: bool) -> str:
    return tokenizer.rendered(as_chat([Message("user", ".")]), thinking=thinking)


def as_chat(messages: Sequence[Message]) -> Chat:
    """The messages as the API takes them, cut where they may be control tokens."""
    return [{"role": message.role, "content": cut(message.content.strip())} for message in messages]


def cut(text: str) -> str:
    """The text with a cut after the first character of everything that may be a control token."""
    text = text.replace(CUT, "")
    places = [match.start() + 1 for match in _CONTROL.finditer(text)]
    parts = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    return CUT.join(parts)
