"""Quantization: weights in 4 and 8 bits.

Works on linear layers; does not know about prompts or text.

    quantizers:    the methods to quantize a matrix, and which is fastest here
    packed_linear: quantized linear layers with torch's own CPU kernels
    triton_linear: the same with Triton's kernels, for CUDA
    apply:         which layers of a model are quantized
"""
