"""Which models there are, where their files are, and what fits this machine.

Loads none of them, and knows no stories.

    catalogue:   the known models and their figures
    reference:   `ModelRef`, a model's name resolved
    cache:       a model's files on this machine
    model_files: what a model's folder says of itself
    weights:     the weight files of a folder
    hub:         a name becomes a `ModelRef`, and its files are fetched
    hub_errors:  what the hub refuses, in words
    download:    a resumable download into the hub's cache
    devices:     graphics cards, MPS, processor, and their memory
    memory:      how much memory a model needs
"""
