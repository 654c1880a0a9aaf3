"""Engines turn a prompt into a stream of text.

The engines proper know no stories and no lengths; loading and `doctor` read a model's files.

    base:            the `Engine` protocol, with an example, and `ModelInfo`
    opening:         `open_engine`, which imports an engine only when it is used
    channels:        models that write their answer in channels
    system_role:     chat templates that refuse a system message
    thinking_budget: limits the tokens of thinking
    local:           models in this process, with transformers
    kernels:         faster forward passes
    quantize:        weights in 4 and 8 bits
    kv_cache:        a KV cache that grows in steps, and cutting it back
    releases:        names that differ between releases of transformers
    endpoint:        models on an OpenAI-compatible server
    gguf:            GGUF files in this process, with llama.cpp
    scripted:        replays given text, for tests
    doctor:          what this machine can run
"""
