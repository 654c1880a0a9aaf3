"""How fast polaris writes here, beside others.

Measures alone: nothing here is used to write a story.

    speed:    tokens/s against the transformers snippet
    batch:    several stories at once
    length:   how well the ways to reach a length do
    peers:    llama.cpp and vLLM beside polaris
    pipeline: what everything but the model costs
    startup:  how soon the commands start
"""
