"""Grouped-query attention for one token, with the query heads of a group as rows of one matrix.

Several query heads share each key head. The stock kernel for processors copies the keys once for
each of them; as rows of one query they read the keys once. Known to transformers by `NAME`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "polaris_folded"


def folded(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers' "sdpa" does; the shapes are those of an attention interface."""
    rows, heads, tokens, size = query.shape
    key_heads = key.shape[1]
    if tokens > 1 or attention_mask is not None or key_heads == heads or options.get("dropout"):
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return output, None
    query = query.reshape(rows, key_heads, heads // key_heads, size)
    output = F.scaled_dot_product_attention(query, key, value, scale=options.get("scaling"))
    return output.reshape(rows, 1, heads, -1), None


def register() -> str:
    """Make the function known to transformers; return the name to load a model with."""
    AttentionInterface.register(NAME, folded)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME
