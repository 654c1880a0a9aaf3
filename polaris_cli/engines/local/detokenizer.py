"""Incremental detokenizing: `TextDecoder`.

Never splits a character. The whole text equals what the tokenizer decodes from all tokens at once,
without half a character at its end. Knows tokenizers. Does not know about models.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tokenizers.decoders import DecodeStream

from polaris_cli.engines.local.vocabulary import Vocabulary
from polaris_cli.events import Piece

PARTIAL = "\ufffd"  # what tokenizers decode the bytes of half a character to
Step = Callable[[int], str | None]


class TextDecoder:
    """Turns tokens into pieces of text, with the think tags but without other control tokens.

    Tokens of an incomplete character are held back for the next piece. `opening` are the token ids
    before the first one; their text is not returned, but a space after them is kept.
    """

    def __init__(self, vocabulary: Vocabulary, opening: Sequence[int] = ()) -> None:
        self._tokenizer = vocabulary.tokenizer
        self._step = _stepper(vocabulary.tokenizer)
        self._skipped = vocabulary.control_ids
        self._ids: list[int] = []
        self._emitted = 0  # characters in the pieces so far
        self._held = 0  # tokens at the end of _ids that are in no piece yet
        for token in opening:
            self._decode_next(token)

    @property
    def count(self) -> int:
        """The number of tokens added so far."""
        return len(self._ids)

    def add(self, token: int) -> Piece | None:
        """Add one token; return the text that it completes, or None."""
        self._ids.append(token)
        self._held += 1
        text = None if token in self._skipped else self._decode_next(token)
        return self._piece(text) if text else None

    def flush(self) -> Piece | None:
        """The text still held back, without half a character at its end; None if there is none."""
        if not self._held:
            return None
        return self._piece(self._decode(self._ids)[self._emitted :].rstrip(PARTIAL))

    def _decode_next(self, token: int) -> str | None:
        try:
            return self._step(token)
        except Exception as error:  # tokenizers raises nothing narrower
            if "prefix" not in str(error):
                raise
            # Invalid bytes changed the decoding of text already returned: restart after it.
            self._step = _stepper(self._tokenizer)
            return self._decode(self._ids[-self._held :])

    def _decode(self, ids: list[int]) -> str:
        return _text(self._tokenizer, [id_ for id_ in ids if id_ not in self._skipped])

    def _piece(self, text: str) -> Piece:
        held, self._held = self._held, 0
        self._emitted += len(text)
        return Piece(text, tokens=held, ids=tuple(self._ids[-held:]))


def _stepper(tokenizer: Any) -> Step:
    """A function from the next token to the text that it completes, or None."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return _Window(tokenizer)
    stream = DecodeStream(skip_special_tokens=False)
    return lambda token: stream.step(backend, token)


class _Window:
    """For tokenizers in pure Python: decodes the new tokens together with those of the last piece.

    Some tokenizers drop a space at the start of a text, so the new tokens are not enough.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._before: list[int] = []
        self._new: list[int] = []

    def __call__(self, token: int) -> str | None:
        self._new.append(token)
        before = _text(self._tokenizer, self._before)
        text = _text(self._tokenizer, self._before + self._new)
        if text.endswith(PARTIAL) or len(text) <= len(before):
            return None
        self._before, self._new = self._new, []
        return text[len(before) :]


def _text(tokenizer: Any, ids: list[int]) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text
