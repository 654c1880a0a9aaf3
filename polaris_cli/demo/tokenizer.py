"""The demo model's tokenizer: the common words of its stories as wholes, other words in letters.

So a common word cannot be misspelt, and a noun of the premise that the model has never seen is made
of tokens that it has seen often, which it can copy. All 256 bytes are tokens too: any UTF-8 text
can be encoded and decoded. The special tokens are the same strings as Qwen3.5's. Does not know the
model.
"""

import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, PreTokenizer, Sequence, Split

from polaris_cli.demo import words as w
from polaris_cli.demo.lists import PHRASES, SENTENCES
from polaris_cli.demo.tasks import sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
THINK, THINK_END = "<think>", "</think>"
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
SPACE = "Ġ"  # how byte-level tokenizers write a space
LETTERS = [SPACE + letter for letter in string.ascii_letters]
# Line breaks; words and punctuation with the space before them; single digits; other white space.
PIECES = r"\n+| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+| +|\s"


def _texts(seed: int, examples: int) -> Iterator[str]:
    rng = Random(seed)
    for _ in range(examples):
        for turn in sample(rng).turns:
            yield turn.content
            yield turn.thinking or ""


def train_tokenizer(vocab_size: int, seed: int, examples: int) -> Tokenizer:
    """Train on `examples` training examples; the same seed gives the same tokenizer.

    `vocab_size` is the largest number of tokens: bytes, letters with a space before them, special
    tokens and, for the rest, the most frequent words.
    """
    splitting = Sequence(
        [Split(Regex(PIECES), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    # " a" and " I" are words; one that begins with such a letter begins with a token for the space.
    merges = [(SPACE, letter) for letter in string.ascii_letters if letter not in "aAI"]
    known = [*sorted(ByteLevel.alphabet()), *LETTERS]
    words = common_words(splitting, seed, examples, vocab_size - 5 - len(known))
    vocabulary = {piece: number for number, piece in enumerate([*known, *words])}
    # ignore_merges: a piece that is in the vocabulary needs no merges.
    tokenizer = Tokenizer(BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = splitting
    tokenizer.decoder = ByteDecoder()
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text in (END_OF_TEXT, START, END)]
    )
    tokenizer.add_tokens(
        [AddedToken(text, normalized=False, special=False) for text in (THINK, THINK_END)]
    )
    return tokenizer


def common_words(splitting: PreTokenizer, seed: int, examples: int, count: int) -> list[str]:
    """The `count` most frequent pieces of the training text, without single letters.

    Also without the nouns and verbs that the model is to copy, unless they stand elsewhere too:
    spelt in letters, they teach it to spell.
    """
    counts: Counter[str] = Counter()
    for text in _texts(seed, examples):
        counts.update(piece for piece, _ in splitting.pre_tokenize_str(text))
    copied = _words(splitting, w.RARE_NOUNS, w.RARE_VERBS, w.EXTRA_NOUNS, w.ODD_WORDS)
    copied -= _words(
        splitting, w.TRADES, w.THINGS, w.PLACES, *SENTENCES.values(), *PHRASES.values()
    )
    for piece in list(counts):
        word = _word_of(piece)
        if len(piece) < 2 or piece in LETTERS or copied & {word, word.removesuffix("s")}:
            del counts[piece]
    return sorted(piece for piece, _ in counts.most_common(count))


def _words(splitting: PreTokenizer, *lists: list[str]) -> set[str]:
    texts = (text for entries in lists for text in entries)
    return {_word_of(piece) for text in texts for piece, _ in splitting.pre_tokenize_str(text)}


def _word_of(piece: str) -> str:
    """A piece in lower case, without the space before it."""
    return piece.removeprefix(SPACE).lower()


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
