"""Benchmarks: how fast polaris writes on this machine, compared with other programs.

Only measures; nothing here is used to write a story.

    speed:    tokens/s, compared with the usual transformers snippet
    engines:  the engines side by side
    batch:    throughput of several stories at once
    stories:  throughput of whole stories
    length:   compares the ways to reach a length
    scoring:  how fast texts are scored
    prompts:  prompts without meaning, and timed requests
    peers:    llama.cpp and vLLM, for comparison
    llama_server: llama.cpp's server called directly
    pipeline: the time of everything except the model
    first_text: the time to the first text of a story with llama.cpp
    bare_llama: a program that runs llama.cpp alone
    device:   everything about one device in one run: `python -m polaris_cli.bench.device`
    device_parts: its parts, and measurements of whole runs
    device_steps: measurements of single steps
    device_process: measures them in another process
    device_model: the model that it measures
    startup:  how long the commands take to start
"""
