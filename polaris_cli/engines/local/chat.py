"""Turns messages into the token ids of a prompt, by the model's chat template.

The user's text can never become a control token: `<|im_end|>` or `<think>` in a premise reaches the
model as ordinary characters. Knows tokenizers. Does not know about models.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from polaris_cli.engines.channels import uses_channels
from polaris_cli.engines.local.control_tokens import control_tokens
from polaris_cli.engines.local.loading_errors import run_errors
from polaris_cli.engines.system_role import Chat as ChatMessages
from polaris_cli.engines.system_role import starts_with_system, without_system
from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.request.prompts import Message
from polaris_cli.streaming.thinking import TAG_TOKENS, ends_inside

_PLACE = "\ue000{}\ue000"  # placeholder for a message's text: private-use characters
Cut = Callable[[str], Iterator[int]]

_PLACES = re.compile("\ue000(\\d+)\ue000")


class Chat:
    """Makes prompts for one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        found = control_tokens(tokenizer).items()
        # A single character is ordinary text: it cannot be cut.
        self._controls = {text: id_ for text, id_ in found if len(text) > 1}
        inner = "|".join(re.escape(text) for text in self._controls)
        self._control = re.compile(f"(?={inner})") if inner else None

    def prompt_ids(
        self, messages: Sequence[Message], *, thinking: bool, next_turn: bool = True
    ) -> list[int]:
        """The token ids of the prompt, up to the start of the next turn, or without `next_turn`.

        Control tokens come only from the template, never from the messages. Raises UsageError for
        a character that the tokenizer reads as a control token.
        """
        contents = [message.content.strip() for message in messages]
        rendered = self._rendered(messages, thinking=thinking, next_turn=next_turn)
        expected = self._count_controls(self._encode([_PLACES.sub("", rendered)]))
        # Encoding a text in parts, split inside each control token, is enough unless the tokenizer
        # normalizes text (lower case, wide to narrow forms). Then every character is encoded alone.
        for cut in (self._inside_controls, _everywhere):
            ids = self._encode(_pieces(rendered, contents, cut))
            if self._count_controls(ids) == expected:
                return ids
        raise UsageError(
            "The premise contains a character that this model reads as a control token.",
            hint="Leave special characters out of the premise.",
        )

    def turn_start(self, messages: Sequence[Message], prompt: list[int], *, thinking: bool) -> int:
        """How many ids of these messages' `prompt` come before the next turn; 0 if unknown."""
        before = self.prompt_ids(messages, thinking=thinking, next_turn=False)
        return len(before) if prompt[: len(before)] == before else 0

    def text_ids(self, text: str) -> tuple[int, ...]:
        """The token ids of a text within an answer, without control tokens.

        Raises UsageError for a character that the tokenizer reads as a control token.
        """
        for cut in (self._inside_controls, _everywhere):
            ids = self._encode(_pieces(_PLACE.format(0), [text], cut))
            if not self._count_controls(ids):
                return tuple(ids)
        raise UsageError(
            "The text contains a character that this model reads as a control token.",
            hint="Leave special characters out of the text.",
        )

    def opens_thinking(self, *, thinking: bool) -> bool:
        """Whether the prompt ends inside the thinking, so that the answer starts with thinking."""
        return ends_inside(self._rendered((Message("user", "."),), thinking=thinking))

    def answers_in_channels(self) -> bool:
        """Whether the model writes its answer in channels, as gpt-oss does."""
        return uses_channels(self._rendered((Message("user", "."),), thinking=True))

    def end_of_answer(self) -> int | None:
        """The id of the control token that the template writes behind an answer, if there is one.

        It may also be the one that begins the user's next turn.
        """
        turns = [Message(role, "") for role in ("user", "assistant", "user")]
        with suppress(ModelUnavailable):  # it takes one turn only
            rendered = self._rendered(turns, thinking=False, next_turn=False)
            behind = rendered.partition(_PLACE.format(1))[2].lstrip()
            found = max(filter(behind.startswith, self._controls), key=len, default="")
            return None if found in TAG_TOKENS else self._controls.get(found)
        return None

    def _rendered(
        self, messages: Sequence[Message], *, thinking: bool, next_turn: bool = True
    ) -> str:
        """The prompt with a placeholder for each message's text.

        A model without a chat template is a base model: it gets only the texts, to continue them.
        Raises ModelUnavailable if the template fails.
        """
        places = [_PLACE.format(number) for number in range(len(messages))]
        if not self._tokenizer.chat_template:
            return self._prefix() + "\n\n".join(places) + "\n\n"
        turns = zip(messages, places, strict=True)
        chat = [{"role": message.role, "content": place} for message, place in turns]
        return self._by_template(chat, thinking=thinking, next_turn=next_turn)

    def _by_template(self, chat: ChatMessages, *, thinking: bool, next_turn: bool) -> str:
        """The chat by the template, without a system message if the template refuses it with one.

        Raises ModelUnavailable if the template fails.
        """
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=next_turn, enable_thinking=thinking
            )
        except Exception as error:  # a template is a program, and may raise any exception
            if starts_with_system(chat):
                plain = without_system(chat)
                return self._by_template(plain, thinking=thinking, next_turn=next_turn)
            raise ModelUnavailable(
                f"The model's chat template rejects the prompt: {error}.",
                hint="Choose another model: polaris models",
            ) from error
        return rendered

    def _prefix(self) -> str:
        """The text of the BOS token if the tokenizer adds one, else ""."""
        start = self._tokenizer.bos_token_id
        first = self._tokenizer.encode("a")[:1]
        return str(self._tokenizer.bos_token) if start is not None and first == [start] else ""

    def _encode(self, pieces: Iterable[str]) -> list[int]:
        ids: list[int] = []
        for piece in filter(None, pieces):
            with run_errors():
                ids += self._tokenizer.encode(piece, add_special_tokens=False)
        return ids

    def _count_controls(self, ids: Sequence[int]) -> list[int]:
        known = set(self._controls.values())
        return [id_ for id_ in ids if id_ in known]

    def _inside_controls(self, text: str) -> Iterator[int]:
        """The positions after the first character of each control token spelled out in `text`."""
        found = self._control.finditer(text) if self._control else ()
        return (match.start() + 1 for match in found)


def _everywhere(text: str) -> Iterator[int]:
    return iter(range(1, len(text)))


def _pieces(rendered: str, contents: Sequence[str], cut: Cut) -> Iterator[str]:
    """The prompt in parts to encode one by one; only the contents are cut, at `cut`'s positions."""
    rest = ""
    for number, part in enumerate(_PLACES.split(rendered)):
        if number % 2 == 0:
            rest += part
            continue
        text, start = contents[int(part)], 0
        for end in cut(text):
            yield rest + text[start:end]
            rest, start = "", end
        rest += text[start:]
    yield rest
