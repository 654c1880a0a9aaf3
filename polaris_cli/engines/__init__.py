"""Engines turn a prompt into a stream of text.

They know no stories, words or files.

    base:     the `Engine` protocol and `ModelInfo`
    opening:  `open_engine`, which imports an engine when it is used
    local:    models in this process, by transformers
    kernels:  faster forward passes on a processor
    quantize: weights in 4 and 8 bits
    kv_cache: a cache of keys and values that grows in steps
    releases: names that differ between releases of transformers
    scripted: replays given text, for tests
    doctor:   what this machine can run
"""
