"""Grouped-query attention for one token, with the query heads of a group as rows of one matrix.

In grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) several query heads share a key
head. On a CPU, the stock implementation copies the keys for each query head; as rows of one matrix,
the query heads read the keys once. Registered with transformers as `NAME`; does not know which
models use it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "polaris_grouped_query"


def grouped_attention_forward(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """The same result as transformers' "sdpa" attention.

    Shapes as in transformers' attention interface: `query` is (rows, heads, tokens, head size),
    `key` and `value` have fewer heads, and the output is (rows, tokens, heads, head size).
    """
    rows, heads, tokens, size = query.shape
    key_heads = key.shape[1]
    if tokens > 1 or attention_mask is not None or key_heads == heads or options.get("dropout"):
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return output, None
    query = query.reshape(rows, key_heads, heads // key_heads, size)
    output = F.scaled_dot_product_attention(query, key, value, scale=options.get("scaling"))
    return output.reshape(rows, 1, heads, -1), None


def register() -> str:
    """Register the function with transformers; return its name for `set_attn_implementation`."""
    AttentionInterface.register(NAME, grouped_attention_forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME
