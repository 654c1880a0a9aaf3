"""Weights in 4 and 8 bits.

Knows linear layers; nothing of prompts or text.

    quantizers:    the ways to store a matrix, and the fastest here
    packed_linear: linear layers over torch's own kernels
    apply:         which layers are stored so
"""
