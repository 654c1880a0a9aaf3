"""A tokenizer without a vocabulary: each byte of a text is a token, and each control token.

Its chat template is that of Qwen3.5: the prompt opens thinking, or closes it at once. Knows
neither a model nor a server.
"""

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence

CONTROL = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
START, END, THINK, THINK_END = range(256, 256 + len(CONTROL))
SIZE = 256 + len(CONTROL)
SPECIAL = {START, END}  # what `skip_special_tokens` skips
OPENED, CLOSED = "<think>\n", "<think>\n\n</think>\n\n"
_HEADER = "<|im_start|>assistant\n"
_PARTS = re.compile("(" + "|".join(map(re.escape, CONTROL)) + ")")


def encode(text: str) -> list[int]:
    """The token ids of a text."""
    ids: list[int] = []
    for part in _PARTS.split(text):
        ids += [256 + CONTROL.index(part)] if part in CONTROL else part.encode()
    return ids


def decode(ids: Iterable[int]) -> str:
    """The text of token ids; bytes that make no character become U+FFFD."""
    decoder = Decoder()
    return "".join(map(decoder.text, ids)) + decoder.rest()


class Decoder:
    """Turns one token after another into text: a character comes with its last byte."""

    def __init__(self) -> None:
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")

    def text(self, token: int) -> str:
        """What the token adds to the text, "" within a character."""
        if token > 255:
            return self.rest() + CONTROL[token - 256]
        return self._bytes.decode(bytes([token]))

    def rest(self) -> str:
        """U+FFFD for a character that has begun, and forget it."""
        return self._bytes.decode(b"", final=True)


def token_string(token: int) -> str:
    """A token as `/tokenize` names it: a byte as the character of that number."""
    return CONTROL[token - 256] if token > 255 else chr(token)


def prompt_of(messages: Sequence[Mapping[str, str]], thinks: bool, generation: bool) -> list[int]:
    """The token ids of a chat, with the opening of the answer if `generation` is set."""
    turns = [f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages]
    opening = _HEADER + (OPENED if thinks else CLOSED)
    return encode("".join(turns) + opening * generation)


def answer_so_far(prompt: Sequence[int]) -> list[int]:
    """What a chat's prompt holds behind the opening of the last answer, [] if it is no chat."""
    header = encode(_HEADER)
    places = [n for n in range(len(prompt)) if list(prompt[n : n + len(header)]) == header]
    written = list(prompt[places[-1] + len(header) :]) if places else []
    for opening in (encode(CLOSED), encode(OPENED)):
        if written[: len(opening)] == opening:
            return written[len(opening) :]
    return written


def thinking_opened(prompt: Sequence[int]) -> bool:
    """Whether the prompt opens thinking that it does not close: its answer begins with it."""
    tags = [token for token in prompt if token in (THINK, THINK_END)]
    return tags[-1:] == [THINK]
