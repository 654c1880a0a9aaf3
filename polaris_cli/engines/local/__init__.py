"""The local engine: transformers models in this process.

Does not know about stories. `models` finds and downloads a model's files.

    engine:         `LocalEngine` and `load`
    loading:        loads and checks a model and its tokenizer
    gguf_loading:   a GGUF file, dequantized by transformers
    loading_errors: explains the exceptions of the libraries
    cpu_threads:    the number of CPU threads, which is the whole process's
    quiet:          keeps the libraries off stdin, stdout and stderr
    chat:           messages to token ids, by the chat template
    decode:         the decoding loop
    forward:        prefill and decode steps
    static_forward: decode steps with fixed shapes, for CUDA graphs
    prefix_cache:   the KV cache of the last answer, for the next one
    generation:     the state of one answer: next token, text, stop conditions
    vocabulary:     the special tokens of a tokenizer
    control_tokens: the tokens that steer a model
    sampling:       penalties and sampling of the next token
    fused_sampler:  the same with Triton's kernels, for CUDA
    dry:            the DRY penalty
    detokenizer:    tokens to text
    lockstep:       generates several answers at once
    shared_steps:   lets threads read these answers, each as if it were alone
    trial:          measures how many answers at once are worth it
    random_models:  models with random weights, for benchmarks
"""
