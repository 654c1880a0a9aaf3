"""The embedded demo model, a toy of Qwen3.5's architecture, and how it was made.

Nothing here is needed to run it: it loads like any other folder.

    paths:     where its files are
    train:     remakes it
    measure:   measures it
    tokenizer: its tokenizer
    tasks:     training examples
    grammar:   the story grammar
    scenes:    sentences that frame a story
    middles:   scenes in between
    premises:  premises for training
    unseen:    premises for measuring
    words:     word lists
    lists:     reads the text files
"""
