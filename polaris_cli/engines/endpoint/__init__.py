"""Writes with an OpenAI-compatible server: llama.cpp, vLLM, transformers serve, or any other.

Does not know how a server is found (`models.servers`).

    opening:      chooses one of the two engines by what the server can do
    checking:     what a server does with polaris's settings
    token_engine: continues answers from their token ids, as the local engine does
    chat_engine:  chat completions, for a server that takes only messages
    prompts:      a prompt's token ids, in which the user's text is never a control token
    llama_cpp:    the requests of llama.cpp's server
    vllm:         the requests of vLLM
    thinking_marks: whether a chat server marks the thinking in its answers
"""
