"""The built-in demo model, a tiny model with Qwen3.5's architecture, and how it is made.

Running it needs nothing from here: it loads like any other model folder.

    train:     trains it again
    rows:      training examples as batches of tokens
    measure:   measures its stories
    tokenizer: its tokenizer
    tasks:     training examples
    grammar:   the story grammar
    scenes:    sentences for the first scenes, the last one, and episodes
    middles:   the scenes in between
    premises:  premises for training
    unseen:    premises for measuring
    words:     word lists
    lists:     reads the text files with sentences and phrases
"""
