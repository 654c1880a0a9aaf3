"""The demo model's tokenizer: byte-level BPE, trained on text from the story grammar.

Its alphabet is all 256 bytes, so it can encode and decode any UTF-8 text. Its special tokens are
the same strings as Qwen3.5's. Does not know the model.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer

from polaris_cli.demo.tasks import sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
THINK, THINK_END = "<think>", "</think>"
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
# Line breaks; words and punctuation with the space before them; single digits; other white space.
PIECES = r"\n+| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+| +|\s"


def _texts(seed: int, examples: int) -> Iterator[str]:
    rng = Random(seed)
    for _ in range(examples):
        for turn in sample(rng).turns:
            yield turn.content
            yield turn.thinking or ""


def train_tokenizer(vocab_size: int, seed: int, examples: int) -> Tokenizer:
    """Train on `examples` training examples; the same seed gives the same tokenizer."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Sequence(
        [Split(Regex(PIECES), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = ByteDecoder()
    trainer = BpeTrainer(
        vocab_size=vocab_size - 5,
        min_frequency=2,
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed, examples), trainer)
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text in (END_OF_TEXT, START, END)]
    )
    tokenizer.add_tokens(
        [AddedToken(text, normalized=False, special=False) for text in (THINK, THINK_END)]
    )
    return tokenizer


def as_pretrained(tokenizer: Tokenizer) -> "PreTrainedTokenizerFast":
    """The tokenizer as a transformers tokenizer, with its chat template."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END_OF_TEXT,
        chat_template=TEMPLATE.read_text("utf-8"),
        clean_up_tokenization_spaces=False,
        model_max_length=32768,
    )
