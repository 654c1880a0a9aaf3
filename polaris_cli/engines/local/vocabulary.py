"""What matters of a tokenizer's vocabulary while a model writes: `Vocabulary`.

Knows tokenizers and the settings that name end tokens; computed once, when a model is loaded.
"""

import re
import sys
from functools import cached_property
from typing import Any

from polaris_cli.streaming.thinking import CLOSE, CLOSING, OPEN

END_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|im_start|>")

# As "<|video_pad|>" and "</tool_response>": added tokens may be ordinary words or spaces, too.
_CONTROL = re.compile(r"</?[|\w][^<>\s]*>|\[/?[A-Z_]+\]")


class Vocabulary:
    """The tokens with a meaning of their own.

    `stop_ids` end a text, `close_id` is the token that ends the thinking (None where it takes
    several), `closing_ids` are those that end it as the chat template writes it. `control_ids`
    stand for no text: turns, tools, pictures; think tags are read as text.
    """

    def __init__(self, tokenizer: Any, stop_ids: frozenset[int] = frozenset()) -> None:
        self.tokenizer = tokenizer
        self.stop_ids = stop_ids
        self.close_id = token_id(tokenizer, CLOSE)
        self.closing_ids = tuple(tokenizer.encode(CLOSING, add_special_tokens=False))
        self.control_ids = frozenset(
            id_
            for id_, token in tokenizer.added_tokens_decoder.items()
            if (token.special or _CONTROL.fullmatch(token.content))
            and token.content not in (OPEN, CLOSE)
        )

    @cached_property  # a large vocabulary takes a tenth of a second, and only DRY needs it
    def word_insides(self) -> tuple[int, ...]:
        """The tokens that continue a word: they begin with one of the letters a to z.

        At the start of a word tokenizers put a mark for the space, and after a line break or a
        quotation mark it is a capital. Other scripts are left out: their letters look like bytes.
        """
        known = self.tokenizer.get_vocab().items()
        return tuple(id_ for token, id_ in known if token[:1].isascii() and token[:1].islower())


def vocabulary_of(model: Any, tokenizer: Any) -> Vocabulary:
    """The vocabulary of a loaded model."""
    return Vocabulary(tokenizer, stop_ids(model, tokenizer))


def stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token id that ends a text: the tokenizer's and those of the model's settings.

    Neither is enough: a model's folder may lack the generation settings, and a config may name
    only one of two end tokens. A model that begins a turn has ended its own.
    """
    configs = (model.config, model.config.get_text_config(), model.generation_config)
    found: list[Any] = [getattr(config, "eos_token_id", None) for config in configs]
    found += [tokenizer.eos_token_id, *(token_id(tokenizer, token) for token in END_TOKENS)]
    lists = (ids if isinstance(ids, list) else [ids] for ids in found)
    # A damaged setting may hold anything; what is no token can never be chosen.
    size = getattr(model.config.get_text_config(), "vocab_size", sys.maxsize)
    return frozenset(int(id_) for ids in lists for id_ in ids if id_ in range(size))


def token_id(tokenizer: Any, text: str) -> int | None:
    """The id of the token that is spelt so, None where there is none.

    Asks for the one token: making a dictionary of 248,000 tokens takes 0.2 s.
    """
    found = tokenizer.convert_tokens_to_ids(text)
    known = found is not None and tokenizer.convert_ids_to_tokens(found) == text
    return found if known else None
