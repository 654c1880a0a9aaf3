"""Tiny models and tokenizers made on the spot, for the tests of everything that runs a model."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3_5ForCausalLM, Qwen3_5TextConfig

torch.set_num_threads(1)  # models this small only lose time by sharing a step

END, END_OF_TEXT = "<|im_end|>", "<|endoftext|>"


def byte_tokenizer(*, tags: bool = True, special_tags: bool = False) -> Any:
    """A tokenizer with one token a byte, the two end tokens and, with `tags`, the think tags."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END, END_OF_TEXT])
    if tags:
        added = [AddedToken(tag, special=special_tags) for tag in ("<think>", "</think>")]
        tokenizer.add_tokens(added)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)


def qwen(seed: int = 0, **changes: Any) -> Any:
    """A random Qwen3.5 text model in float32: three linear attention layers, one full."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": 260,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 16,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_num_key_heads": 4,
        "linear_num_value_heads": 4,
        "max_position_embeddings": 4096,
        "initializer_range": 0.1,
        "tie_word_embeddings": True,
    }
    return Qwen3_5ForCausalLM(Qwen3_5TextConfig(**{**settings, **changes})).eval()


class Reciter(torch.nn.Module):
    """A model that recites: after n tokens beyond the prompt it wants `script[n]` next."""

    def __init__(self, script: Sequence[int], prompt: int, size: int = 260) -> None:
        super().__init__()
        self.script, self.prompt, self.size = list(script), prompt, size
        self.embedding = torch.nn.Embedding(size, 1)
        self.device = torch.device("cpu")
        text_config = SimpleNamespace(max_position_embeddings=10_000, eos_token_id=None)
        self.config = SimpleNamespace(get_text_config=lambda: text_config, eos_token_id=None)
        self.generation_config = SimpleNamespace(eos_token_id=None)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding

    def forward(
        self, input_ids: torch.Tensor, past_key_values: int | None = None, **_: Any
    ) -> SimpleNamespace:
        seen = (past_key_values or 0) + input_ids.shape[1]
        logits = torch.full((1, 1, self.size), -20.0)
        if seen >= self.prompt:
            logits[..., self.script[seen - self.prompt]] = 20.0
        return SimpleNamespace(logits=logits, past_key_values=seen)
