"""Faster forward passes that replace those of transformers where they give the same result.

Works on single modules of a model; does not know about tokens or text.

    patching:          replaces module forwards, after testing them
    layer_trial:       runs and times a decode step of single layers, to test them
    timing:            times work on a device
    one_token:         forward passes of Qwen3.5's modules for a decode step of one token
    fused:             the same with Triton's kernels, for CUDA
    triton_ops:        Triton kernels for norms, MLP and linear attention
    triton_attention:  Triton kernels for full attention
    triton_matvec:     Triton kernels for products with a matrix in 4 or 8 bits
    triton_sampling:   Triton kernels that choose a token
    matmul:            faster matrix products on a CPU
    cuda_graph:        captures a decode step as a CUDA graph
    grouped_attention: grouped-query attention for one token
"""
