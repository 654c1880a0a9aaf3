"""Faster forward passes that replace those of transformers where they give the same result.

Works on single modules of a model; does not know about tokens or text.

    patching:          replaces module forwards, after testing them
    one_token:         forward passes of Qwen3.5's modules for a decode step of one token
    matmul:            faster matrix products on a CPU
    cuda_graph:        captures a decode step as a CUDA graph
    grouped_attention: grouped-query attention for one token
"""
