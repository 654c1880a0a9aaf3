"""The local engine: transformers models in this process.

Knows nothing of stories; where a model's files come from is the matter of `models`.

    engine:         `LocalEngine` and `load`
    loading:        a model's files become a checked model and tokenizer
    gguf_loading:   a GGUF file becomes a plain model
    loading_errors: what the libraries raise, in words
    quiet:          keeps the libraries off stdin, stdout and stderr
    chat:           messages become token ids
    decode:         the decoding loop
    forward:        prefill and decode steps
    static_forward: steps of fixed shapes, for CUDA graphs
    generation:     one answer: which token comes, when it is over
    vocabulary:     the tokens with a meaning of their own
    sampling:       the choice of the next token
    dry:            the DRY penalty
    detokenizer:    tokens become text
    lockstep:       several answers at once
    random_models:  models of known shapes, for benchmarks
"""
