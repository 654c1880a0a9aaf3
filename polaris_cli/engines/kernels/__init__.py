"""Faster forward passes, put in place of transformers' own where they give the same.

Knows single modules of a model; nothing of tokens or text.

    patching:          replaces module forwards after a trial
    one_token:         Qwen3.5's modules for one token
    matmul:            matrix products
    cuda_graph:        recording a step on a card
    grouped_attention: grouped-query attention for one token
"""
