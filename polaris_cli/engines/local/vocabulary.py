"""The tokens of a tokenizer that need special treatment during decoding: `Vocabulary`.

Knows tokenizers, and the model settings that name end tokens. Computed once per loaded model.
"""

import sys
from functools import cached_property
from typing import Any

from polaris_cli.engines.local.chat import Chat
from polaris_cli.engines.local.control_tokens import control_tokens
from polaris_cli.streaming.thinking import TAG_TOKENS, as_written, closing_tag

END_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|im_start|>")


class Vocabulary:
    """A tokenizer and its special token ids.

    `stop_ids` end an answer. `close_id` is the token that closes the thinking, such as `</think>`
    (None if there is none), `closing_ids` are the tokens of that tag as chat templates write it.
    `control_ids` have no text: turns, tools, images. The tags of the thinking are not among them,
    as they are read as text.
    """

    def __init__(self, tokenizer: Any, stop_ids: frozenset[int] = frozenset()) -> None:
        self.tokenizer = tokenizer
        self.stop_ids = stop_ids
        tag = closing_tag(lambda text: token_id(tokenizer, text) is not None)
        self.close_id = token_id(tokenizer, tag)
        self.closing_ids = tuple(tokenizer.encode(as_written(tag), add_special_tokens=False))
        self.control_ids = frozenset(
            id_ for text, id_ in control_tokens(tokenizer).items() if text not in TAG_TOKENS
        )

    @cached_property  # a large vocabulary takes a tenth of a second, and only DRY needs it
    def word_continuations(self) -> tuple[int, ...]:
        """The ids of the tokens that continue a word: those that start with a letter from a to z.

        A token at the start of a word starts with a mark for the space, or with a capital after a
        line break or a quotation mark. Other scripts are not included, as byte-level tokenizers
        encode their letters as bytes.
        """
        known = self.tokenizer.get_vocab().items()
        return tuple(id_ for token, id_ in known if token[:1].isascii() and token[:1].islower())


def vocabulary_of(model: Any, tokenizer: Any) -> Vocabulary:
    """The vocabulary of a loaded model."""
    return Vocabulary(tokenizer, stop_ids(model, tokenizer))


def stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The ids of all end tokens: from the tokenizer, its chat template, the model's configs and
    `END_TOKENS`.

    No single source is complete: the generation config may be missing, and a config may name only
    one of two end tokens. A token that starts a new turn also ends the answer.
    """
    configs = (model.config, model.config.get_text_config(), model.generation_config)
    found: list[Any] = [getattr(config, "eos_token_id", None) for config in configs]
    found += [tokenizer.eos_token_id, Chat(tokenizer).end_of_answer()]
    found += (token_id(tokenizer, token) for token in END_TOKENS)
    lists = (ids if isinstance(ids, list) else [ids] for ids in found)
    # A damaged config may have any value; only valid ids are kept.
    size = getattr(model.config.get_text_config(), "vocab_size", sys.maxsize)
    return frozenset(int(id_) for ids in lists for id_ in ids if id_ in range(size))


def token_id(tokenizer: Any, text: str) -> int | None:
    """The id of the token with exactly this text, or None.

    Does not call `get_vocab`: building a dictionary of 248,000 tokens takes 0.2 s.
    """
    found = tokenizer.convert_tokens_to_ids(text)
    known = found is not None and tokenizer.convert_ids_to_tokens(found) == text
    return found if known else None
