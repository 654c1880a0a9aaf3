"""Text out of tokens, as they come: `TextDecoder`.

Knows tokenizers, not models: never breaks a character in two, and the whole text equals what the
tokenizer makes of all the tokens at once.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tokenizers.decoders import DecodeStream

from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.events import Piece

Step = Callable[[int], str | None]


class TextDecoder:
    """Turns tokens into pieces of text, the think tags included; other control tokens are silent.

    A token that leaves a character unfinished is held back and joins the next piece. `opening` are
    the tokens before the first, whose text is not given: behind them a space is not dropped.
    """

    def __init__(self, vocabulary: Vocabulary, opening: Sequence[int] = ()) -> None:
        self._tokenizer = vocabulary.tokenizer
        self._step = _stepper(vocabulary.tokenizer)
        self._silent = vocabulary.control_ids
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
