"""What is asked for: settings become one frozen request, with its prompt and token budget.

Knows no model and no engine.

    story_request:   `StoryRequest` with its `Sampling` and `Draft`, checked once
    settings:        every setting, how it is read, which source wins
    presets:         prompt wordings and sampling settings in TOML files
    prompts:         `Message`, and a request worded for a model
    premise:         a length read out of a premise
    premise_kinds:   whether a premise is a phrase, a sentence, a text or a request
    premise_numbers: numbers of words in a text
    premise_words:   the vocabulary of requests in five languages
    budget:          from words to tokens
    adherence:       how near the words written came to those asked for
"""
