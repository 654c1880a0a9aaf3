"""Engines turn a prompt into a stream of text.

The engines proper know no stories and no lengths; loading and `doctor` read a model's files.

    base:     the `Engine` protocol and `ModelInfo`
    opening:  `open_engine`, which imports an engine only when it is used
    local:    models in this process, with transformers
    kernels:  faster forward passes
    quantize: weights in 4 and 8 bits
    kv_cache: a KV cache that grows in steps
    releases: names that differ between releases of transformers
    scripted: replays given text, for tests
    doctor:   what this machine can run
"""
