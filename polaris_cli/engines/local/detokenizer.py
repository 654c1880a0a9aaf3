"""Text out of tokens, as they come: `TextDecoder`; which tokens go on with a word.

Knows tokenizers, not models: never breaks a character in two, and the whole text equals what the
tokenizer makes of all the tokens at once.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from tokenizers.decoders import DecodeStream

from polaris_cli.events import Piece
from polaris_cli.streaming.thinking import CLOSE, OPEN

Step = Callable[[int], str | None]

# As "<|video_pad|>" and "</tool_response>": added tokens may be ordinary words or spaces, too.
_CONTROL = re.compile(r"</?[|\w][^<>\s]*>|\[/?[A-Z_]+\]")


class TextDecoder:
    """Turns tokens into pieces of text, the think tags included; other control tokens are silent.

    A token that leaves a character unfinished is held back and joins the next piece. `opening` are
    the tokens before the first, whose text is not given: behind them a space is not dropped.
    """

    def __init__(self, tokenizer: Any, opening: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._step = _stepper(tokenizer)
        self._silent = control_ids(tokenizer)
        self._ids: list[int] = []
        self._given = 0  # characters in the pieces so far
        self._held = 0  # tokens at the end of _ids that are in no piece yet
        for token in opening:
            self._next_text(token)

    @property
    def count(self) -> int:
        """How many tokens came so far."""
        return len(self._ids)

    def add(self, token: int) -> Piece | None:
        """Take one token; return the text that it completed, None while there is none."""
        self._ids.append(token)
        self._held += 1
        text = None if token in self._silent else self._next_text(token)
        return self._piece(text) if text else None

    def rest(self) -> Piece | None:
        """Return what is still held back, as the tokenizer words it; None if there is nothing."""
        if not self._held:
            return None
        return self._piece(self._worded(self._ids)[self._given :])

    def _next_text(self, token: int) -> str | None:
        try:
            return self._step(token)
        except Exception as error:  # tokenizers raises nothing narrower
            if "prefix" not in str(error):
                raise
            # Broken bytes have changed how text already given is read: go on behind them.
            self._step = _stepper(self._tokenizer)
            return self._worded(self._ids[-self._held :])

    def _worded(self, ids: list[int]) -> str:
        return _text(self._tokenizer, [id_ for id_ in ids if id_ not in self._silent])

    def _piece(self, text: str) -> Piece:
        held, self._held = self._held, 0
        self._given += len(text)
        return Piece(text, tokens=held, ids=tuple(self._ids[-held:]))


def token_id(tokenizer: Any, text: str) -> int | None:
    """The id of the token that is spelt so, None where there is none.

    Asks for the one token: the whole vocabulary of 248,000 takes 0.2 s to be made a dictionary.
    """
    found = tokenizer.convert_tokens_to_ids(text)
    known = found is not None and tokenizer.convert_ids_to_tokens(found) == text
    return found if known else None


@lru_cache(maxsize=4)
def control_ids(tokenizer: Any) -> frozenset[int]:
    """The tokens that stand for no text: turns, tools, pictures. Think tags are read as text."""
    return frozenset(
        id_
        for id_, token in tokenizer.added_tokens_decoder.items()
        if (token.special or _CONTROL.fullmatch(token.content))
        and token.content not in (OPEN, CLOSE)
    )


@lru_cache(maxsize=1)  # a large vocabulary takes a tenth of a second
def word_insides(tokenizer: Any) -> tuple[int, ...]:
    """The tokens that go on with a word: they begin with one of the letters a to z.

    Where a word begins, tokenizers put a mark for the space, and after a line break or a quotation
    mark it is a capital. Other scripts are left out: their letters look like bytes here.
    """
    known = tokenizer.get_vocab().items()
    return tuple(id_ for token, id_ in known if token[:1].isascii() and token[:1].islower())


def _stepper(tokenizer: Any) -> Step:
    """Return a function from the next token to the text it completes, fast where possible."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return _Window(tokenizer)
    stream = DecodeStream(skip_special_tokens=False)
    return lambda token: stream.step(backend, token)


class _Window:
    """For tokenizers in plain Python: decodes the last piece's tokens with the new ones.

    The earlier tokens are needed because some tokenizers drop a space at the start of a text.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._before: list[int] = []
        self._new: list[int] = []

    def __call__(self, token: int) -> str | None:
        self._new.append(token)
        known = _text(self._tokenizer, self._before)
        text = _text(self._tokenizer, self._before + self._new)
        if text.endswith("�") or len(text) <= len(known):
            return None
        self._before, self._new = self._new, []
        return text[len(known) :]


def _text(tokenizer: Any, ids: list[int]) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text
