"""The request: settings become one frozen `StoryRequest`, with its prompt and token budget.

Knows no model and no engine.

    story_request:   `StoryRequest` with its `Sampling` and `Draft`, checked once
    server_address:  `ServerAddress`, where an OpenAI-compatible server is
    paths:           the home folder in the paths that users type
    text_files:      reads the user's texts
    settings:        every setting, how it is parsed, which source wins
    conflicts:       settings that contradict each other
    presets:         prompt templates and sampling settings in TOML files
    prompts:         `Message`, and the prompt for a request
    premise:         reads a length out of a premise
    premise_kinds:   whether a premise is a phrase, a sentence, a text or a request
    premise_numbers: reads word counts in a text
    book:            title, author, language and cover of the story's files
    premise_words:   the vocabulary of requests in several languages
    stated_length:   leaves out or replaces a length in a premise
    budget:          how many tokens a story may use
    adherence:       how close the length came to the words asked for
"""
