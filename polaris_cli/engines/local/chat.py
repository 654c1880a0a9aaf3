"""Messages become the token ids of a prompt, by the model's own chat template.

What users write can never act as a control token: a premise with `<|im_end|>` or `<think>` in it
reaches the model as those characters. Knows tokenizers, not models.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from polaris_cli.engines.local.loading_errors import run_errors
from polaris_cli.errors import ModelUnavailable, UsageError
from polaris_cli.request.prompts import Message
from polaris_cli.streaming.thinking import CLOSE, OPEN

_PLACE = "\ue000{}\ue000"  # stands for the text of a message; a private character, in no template
Cut = Callable[[str], Iterator[int]]

_PLACES = re.compile("\ue000(\\d+)\ue000")


class Chat:
    """Words prompts for one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._controls = _controls(tokenizer)
        inner = "|".join(re.escape(text) for text in self._controls)
        self._control = re.compile(f"(?={inner})") if inner else None

    def prompt_ids(self, messages: Sequence[Message], *, thinking: bool) -> list[int]:
        """The ids of the prompt that asks for the next turn.

        The template's own tokens are taken as tokens, the messages' texts as text. Raises
        UsageError for a text that the tokenizer cannot but read as a control token.
        """
        contents = [message.content.strip() for message in messages]
        fixed = self._rendered(messages, thinking=thinking)
        expected = self._count_controls(self._encode([_PLACES.sub("", fixed)]))
        # Cutting a text inside each control token is enough unless the tokenizer rewrites text
        # (letters to lower case, wide forms to narrow ones); cutting after each character is.
        for cut in (self._before_controls, _everywhere):
            ids = self._encode(_pieces(fixed, contents, cut))
            if self._count_controls(ids) == expected:
                return ids
        raise UsageError(
            "The premise holds a character that this model reads as a control token.",
            hint="Leave special characters out of the premise.",
        )

    def text_ids(self, text: str) -> tuple[int, ...]:
        """The ids of a text within an answer, in which no control token is read as one."""
        for cut in (self._before_controls, _everywhere):
            ids = self._encode(_pieces(_PLACE.format(0), [text], cut))
            if not self._count_controls(ids):
                return tuple(ids)
        raise UsageError(
            "The text holds a character that this model reads as a control token.",
            hint="Leave special characters out of the text.",
        )

    def opens_thinking(self, *, thinking: bool) -> bool:
        """Whether the prompt ends inside the thinking, so that the answer begins there."""
        rendered = self._rendered((Message("user", "."),), thinking=thinking)
        return rendered.rfind(OPEN) > rendered.rfind(CLOSE)

    def _rendered(self, messages: Sequence[Message], *, thinking: bool) -> str:
        """The prompt with a place for each message's text.

        A model without a chat template is a base model: it gets the texts alone, to go on from.
        """
        places = [_PLACE.format(number) for number in range(len(messages))]
        if not self._tokenizer.chat_template:
            return self._start() + "\n\n".join(places) + "\n\n"
        turns = zip(messages, places, strict=True)
        chat = [{"role": message.role, "content": place} for message, place in turns]
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
            )
        except Exception as error:  # a template is a program of its own, and may raise anything
            raise ModelUnavailable(
                f"The model's chat template refuses the prompt: {error}.",
                hint="Choose another model: polaris models",
            ) from error
        return rendered

    def _start(self) -> str:
        """What the tokenizer itself puts before every text."""
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

    def _before_controls(self, text: str) -> Iterator[int]:
        """The places inside every control token spelt in `text`, right after its first letter."""
        found = self._control.finditer(text) if self._control else ()
        return (match.start() + 1 for match in found)


def _controls(tokenizer: Any) -> dict[str, int]:
    """All added tokens but single characters, which mean themselves: "<think>" as "<|im_end|>"."""
    added: dict[str, int] = tokenizer.get_added_vocab()
    return {text: id_ for text, id_ in added.items() if len(text) > 1}


def _everywhere(text: str) -> Iterator[int]:
    return iter(range(1, len(text)))


def _pieces(fixed: str, contents: Sequence[str], cut: Cut) -> Iterator[str]:
    """The whole prompt, cut inside the contents only, where `cut` says."""
    rest = ""
    for number, part in enumerate(_PLACES.split(fixed)):
        if number % 2 == 0:
            rest += part
            continue
        text, start = contents[int(part)], 0
        for end in cut(text):
            yield rest + text[start:end]
            rest, start = "", end
        rest += text[start:]
    yield rest
